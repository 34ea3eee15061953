"""What a line of text costs against 100,000 listed words, all steps on. `make bench-keywords`.

The words are made up and stand in no line: 70,000 Chinese ones of two to six characters, as frequent as in the reviews
that the lines are from, and 30,000 of English syllables. CPU microseconds of the thread, lines of one length.
"""

from __future__ import annotations

import json
import random
import re
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from streammon.judge.keywords import KeywordList, KeywordMatcher
from tests.benchmarks.accuracy.keywords import lists
from tests.benchmarks.accuracy.sentences import reviews, tweets

_WORDS, _CHINESE, _LINES = 100_000, 70_000, 2000
_ONSETS = (*"bcdfghjklmnprstvwz", "br", "cr", "dr", "fl", "gr", "pl", "st", "tr", "sh", "ch", "th")
_VOWELS, _CODAS = (*"aeiou", "ai", "ea", "oo", "ou"), ("", "n", "r", "s", "t", "l", "m", "ck")
_PAGE_BYTES = 4096


def made_up(lines: Sequence[str], rng: random.Random) -> list[str]:
    """Words that are in no line."""
    text = "\n".join(lines)
    common = re.findall(r"[\u4e00-\u9fff]", text)
    words: set[str] = set()
    while len(words) < _CHINESE:
        words.add("".join(rng.choices(common, k=rng.choice((2, 3, 3, 4, 4, 4, 5, 6)))))
    while len(words) < _WORDS:
        parts = (
            rng.choice(_ONSETS) + rng.choice(_VOWELS) + rng.choice(_CODAS) for _ in range(rng.choice((2, 2, 3, 4)))
        )
        words.add("".join(parts))
    return [word for word in sorted(words) if word not in text]


def rss_mb() -> float:
    """Of this process."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * _PAGE_BYTES / 2**20


def costs(search: KeywordMatcher, lines: Sequence[str]) -> dict[str, float]:
    """Median, p99 and mean, after a tenth of the lines to warm up; and hits a line by the fuzzy steps."""
    for line in lines[: len(lines) // 10]:
        search.find(line)
    took: list[float] = []
    steps: Counter[str] = Counter()
    for line in lines:
        began_s = time.thread_time()
        matches = search.find(line)
        took.append((time.thread_time() - began_s) * 1e6)
        steps.update(match.hit.by for match in matches)
    took.sort()
    return {
        "p50_us": round(took[len(took) // 2]),
        "p99_us": round(took[len(took) * 99 // 100]),
        "mean_us": round(sum(took) / len(took)),
        **{f"hits_{step}": count for step, count in sorted(steps.items())},
    }


def main() -> None:
    """Prints a table and, as its last line, the figures as JSON."""
    rng = random.Random(20261123)  # noqa: S311
    corpora = {
        "zh40": [line[:40] for line in reviews() if len(line) >= 40][:_LINES],
        "en60": [line[:60] for line in tweets() if len(line) >= 60][:_LINES],
    }
    words = made_up([line for lines in corpora.values() for line in lines], rng)
    figures: dict[str, float] = {"words": len(words)}
    KeywordMatcher([KeywordList(name="few", label="", words=("加微信", "加我微信"))]).find("加徽信")  # reads the tables
    before_mb, began_s = rss_mb(), time.process_time()
    many = KeywordMatcher([KeywordList(name="many", label="", words=tuple(words))])
    figures |= {"build_s": round(time.process_time() - began_s, 2), "build_mb": round(rss_mb() - before_mb)}
    for name, search in (("many", many), ("starter", KeywordMatcher(lists()))):
        for corpus, lines in corpora.items():
            for key, value in costs(search, lines).items():
                figures[f"{name}_{corpus}_{key}"] = value
    for key, value in figures.items():
        print(f"{key:<28} {value:>10}")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
