"""How many evasions the keyword lists find, and how many ordinary sentences they hit: `make accuracy`.

An evasion is found where a word of its list is found in it. Every hit in an ordinary sentence counts as false, be it
that somebody really tells of a casino: `exact` hits are told apart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from streammon.entities import MatchStep
from streammon.judge.keywords import KeywordList, KeywordMatcher, read_keyword_list
from tests.benchmarks.accuracy.sentences import reviews, seen_lines, tweets

LISTS = {
    "contact": "advertising.contact",
    "gambling": "prohibited.gambling",
    "drugs": "prohibited.drugs",
    "promotion": "advertising.promotion",
    "porn_ad": "advertising.porn_ad",
}
FOLDER = Path("configs/keywords")
EVASIONS = Path(__file__).with_name("evasions.tsv")
STEPS = [step for step in MatchStep if step not in {MatchStep.EXACT, MatchStep.PATTERN}]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evasion:
    """A listed word in a text that hides it."""

    part: str
    technique: str
    word: str
    text: str


def evasions() -> list[Evasion]:
    """The table, both parts."""
    lines = EVASIONS.read_text(encoding="utf-8").splitlines()
    rows = (line.split("\t") for line in lines if line and not line.startswith("#"))
    return [Evasion(part=part, technique=technique, word=word, text=text) for part, technique, word, text in rows]


def matcher(off: Collection[MatchStep] = ()) -> KeywordMatcher:
    """Of all starter lists."""
    return KeywordMatcher(lists(), allowed=read_keyword_list(FOLDER / "allow.txt", "").words, off=off)


def lists() -> list[KeywordList]:
    """The starter lists."""
    return [read_keyword_list(FOLDER / f"{name}.txt", label) for name, label in LISTS.items()]


def is_found(search: KeywordMatcher, evasion: Evasion) -> bool:
    """Whether a word of the same list is found."""
    meant = {keywords.name for keywords in lists_with(evasion.word)}
    return any(match.keywords.name in meant for match in search.find(evasion.text))


def lists_with(word: str) -> list[KeywordList]:
    """The starter lists that hold a word."""
    return [keywords for keywords in _LISTS if word.casefold() in {w.casefold() for w in keywords.words}]


_LISTS = lists()


def measure(eval_dir: Path | None) -> dict[str, object]:
    """Recall by part and technique, false hits by corpus and step, and what each step adds to both."""
    table = evasions()
    corpora = {"tweets": tweets(), "reviews": reviews(), "seen": seen_lines(eval_dir)}
    sentences = [sentence for corpus in corpora.values() for sentence in corpus]
    search = matcher()
    held_out = [evasion for evasion in table if evasion.part == "held_out"]
    figures: dict[str, object] = {
        "evasion_recall": recall(search, held_out),
        "evasion_n": len(held_out),
        "evasion_recall_develop": recall(search, (e for e in table if e.part == "develop")),
        "evasion_false": share(sentence_hits(search, sentences), len(sentences)),
        "evasion_false_n": len(sentences),
    }
    by_step = Counter(hit for sentence in sentences for hit in {m.hit.by for m in search.find(sentence)})
    for name, corpus in corpora.items():
        figures[f"evasion_false_{name}"] = share(sentence_hits(search, corpus), len(corpus)) if corpus else None
        figures[f"evasion_false_{name}_n"] = len(corpus)
    for technique in sorted({evasion.technique for evasion in table}):
        mine = [evasion for evasion in held_out if evasion.technique == technique]
        figures[f"evasion_recall_{technique}"] = recall(search, mine)
        figures[f"evasion_n_{technique}"] = len(mine)
        print(f"{technique:<11} held out {recall(search, mine):.3f} of {len(mine)}")
    everything = (recall(search, table), sentence_hits(search, sentences))
    print(f"{'step':<11} {'adds recall':>11} {'adds false':>11}   false sentences hit by it")
    for step in STEPS:
        without = matcher([step])
        gained = everything[0] - recall(without, table)
        costs = everything[1] - sentence_hits(without, sentences)
        figures |= {f"step_{step}_recall": round(gained, 4), f"step_{step}_false_n": costs}
        print(f"{step:<11} {gained:>11.3f} {costs:>11d}   {by_step[step]}")
    print(f"exact       {'':>11} {'':>11}   {by_step[MatchStep.EXACT]}")
    return figures


def recall(search: KeywordMatcher, rows: Iterable[Evasion]) -> float:
    """The share that is found."""
    found = [is_found(search, evasion) for evasion in rows]
    return share(sum(found), len(found))


def sentence_hits(search: KeywordMatcher, sentences: Iterable[str]) -> int:
    """How many sentences have a hit."""
    return sum(bool(search.find(sentence)) for sentence in sentences)


def share(part: int, whole: int) -> float:
    """Rounded to four places."""
    return round(part / whole, 4)
