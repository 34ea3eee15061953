"""How good a head of `streammon train` is: fire, learnt from the tuned half. `EVAL_DIR/incidents` and `benign`."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from streammon.detect.scenes.embedding import MODEL, Embedder, placed
from streammon.detect.scenes.heads import load_heads
from streammon.detect.scenes.training.fitting import check_installed
from streammon.detect.scenes.training.head import encoded, train
from streammon.errors import TrainingRefused
from streammon.library.read_picture import read_picture
from tests.benchmarks.accuracy.halves import held_out, items, told
from tests.benchmarks.accuracy.ordinary import REVIEW, WEIGHTS, opened

_LABEL = "violence.fire"


def measure(eval_dir: Path | None) -> dict[str, Any]:
    """F1 on the held-out half at the suggested threshold, and what that was trained on."""
    nothing = {"head_cv_f1": None, "head_n": 0}
    if eval_dir is None or not (WEIGHTS / f"{MODEL}.onnx").exists():
        return nothing
    try:
        check_installed()
    except TrainingRefused as error:
        print(error)
        return nothing
    pictures = _pictures(eval_dir)
    with tempfile.TemporaryDirectory() as name:
        head = _trained(Path(name), [one for one in pictures if not held_out(one[0].name)])
        shown = [(file, positive) for file, positive in pictures if held_out(file.name)]
        scores = load_heads([head], opened(MODEL).sha256).scores(_embedded([file for file, _ in shown]))[:, 0]
    positive = np.array([positive for _, positive in shown])
    found = scores >= REVIEW
    right = int((found & positive).sum())
    print(f"held out: precision {told(right, int(found.sum()))}, recall {told(right, int(positive.sum()))}")
    f1 = 2 * right / (int(found.sum()) + int(positive.sum()))
    return {"head_cv_f1": round(f1, 4), "head_n": len(shown), "head_positive_n": int(positive.sum()),
            "head_false": int((found & ~positive).sum())}  # fmt: skip


def _pictures(eval_dir: Path) -> list[tuple[Path, bool]]:
    """Files, and whether there is fire in them. Ordinary pictures that come with the fires stand in both lists."""
    fires = {
        (eval_dir / "incidents" / item["file"]).resolve(): bool(item["label"])
        for item in items(eval_dir / "incidents")
        if item["task"] == "fire"
    }
    ordinary: Mapping[Path, bool] = {
        (eval_dir / "benign" / item["file"]).resolve(): False for item in items(eval_dir / "benign")
    }
    return sorted((dict(ordinary) | fires).items())


def _trained(folder: Path, pictures: Sequence[tuple[Path, bool]]) -> Path:
    """The head's file, made as the command makes it."""
    kinds = {True: folder / "positive", False: folder / "negative"}
    for kind in kinds.values():
        kind.mkdir()
    for number, (file, positive) in enumerate(pictures):
        (kinds[positive] / f"{number}{file.suffix}").symlink_to(file)
    made = train(_LABEL, (kinds[True], kinds[False]), opened(MODEL), precision=0.9, progress=lambda _done, _of: None)
    precision, recall = made.assessment.precision, made.assessment.recall
    print(f"trained on {made.head.positives} and {made.head.negatives} pictures; each held out in turn: "
          f"precision {told(precision.hits, precision.n)}, recall {told(recall.hits, recall.n)}")  # fmt: skip
    head = folder / "head.json"
    head.write_bytes(encoded(made.head))
    return head


def _embedded(files: Sequence[Path]) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return Embedder(opened(MODEL)).run([placed(read_picture(file)) for file in files])[1]
