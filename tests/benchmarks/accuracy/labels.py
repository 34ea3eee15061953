"""How much of the taxonomy something raises: weights that run here, optional ones, lists that the operator fills.

`labels_with_model` are raised by a model that is here, by a reader of codes, or by the words and patterns that ship.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from streammon.config import load_yaml, shipped
from streammon.detect.config import DetectConfig
from streammon.detect.factories import FACTORIES
from streammon.detect.prompts.prompt_file import read_prompts
from streammon.detect.registry import build_detectors
from streammon.errors import ModelMissing
from streammon.judge.contacts.finder import CONTACT_LABEL
from streammon.judge.policy_file import PolicyFile
from streammon.models.catalog import load_catalog
from streammon.taxonomy import load_taxonomy
from tests.benchmarks.bench_detectors import parts

_LISTS = {"politics.person", "violence.person", "politics.flag", "politics.spoof_cartoon", "violence.symbol",
          "violence.flag", "advertising.other_game"}  # fmt: skip


def measure(eval_dir: Path | None) -> dict[str, float | int | None]:
    """Counts labels."""
    every = set(load_taxonomy().labels)
    here = set(_seen()) | set(_said())
    optional = {label for model in load_catalog().models.values() for label in model.label_map.values()}
    optional |= set(read_prompts(shipped("prompts/default.yaml")).labels)
    print(f"by models that are here, words and codes: {', '.join(sorted(here))}")
    print(f"by optional weights as well: {', '.join(sorted(optional - here))}")
    print(f"by lists of faces and pictures that an operator fills: {', '.join(sorted(_LISTS - here - optional))}")
    print(f"by a head or a model of one's own: {', '.join(sorted(every - here - optional - _LISTS))}")
    return {"labels_with_model": len(here), "labels_total": len(every)}


def _seen() -> Iterator[str]:
    """What the detectors raise whose weights are here."""
    config = DetectConfig.model_validate({"nudity": {"accept_licence": "AGPL-3.0"}})
    for name in FACTORIES:
        try:
            (detector,) = build_detectors([name], parts(config))
        except ModelMissing as error:
            print(f"{name} is not here: {error}")
            continue
        yield from detector.labels
        detector.close()


def _said() -> Iterator[str]:
    """What words, patterns and combinations raise."""
    yield CONTACT_LABEL
    strict = load_yaml(shipped("policies/live-strict.yaml"), PolicyFile, [])
    yield from (keywords.label for keywords in strict.keywords)
    yield from (combination.label for combination in strict.combine)
