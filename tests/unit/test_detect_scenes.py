"""The detector of scenes: which classes mean a label, what a head's file may hold, odd outputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from streammon.detect.runtime.session import Session, open_session
from streammon.detect.scenes.classes import load_groups
from streammon.detect.scenes.config import ScenesConfig
from streammon.detect.scenes.detector import ScenesDetector
from streammon.detect.scenes.embedding import Embedder, placed
from streammon.detect.scenes.heads import HeadFile, load_heads
from streammon.entities import Frame
from streammon.errors import HeadUnusable, ModelError
from streammon.taxonomy import load_taxonomy
from tests.unit.small_nets import frame_of, pixel_net

SIDE, CLASSES, SIZE = 224, 1000, 1280


def net(folder: Path, *, gain: float = 128 / 255, add: float = 127 / 255) -> Session:
    """Probabilities and embedding are the pixels / 255, of red's plane: 1,000 and then 1,280 of them."""
    shapes = {"probabilities": (CLASSES,), "embedding": (SIZE,)}
    return open_session(pixel_net(folder / "net.onnx", SIDE, shapes, gain=gain, add=add), "cpu")


def shown(levels: dict[int, int]) -> Frame:
    """By position in the outputs; those of the embedding begin at 1,000."""
    image = np.zeros((SIDE, SIDE, 3), np.uint8)
    for position, level in levels.items():
        image[*divmod(position, SIDE), 0] = level
    return frame_of(image)


def head(**changes: Any) -> HeadFile:
    weights = np.zeros(SIZE, "<f4")
    weights[7] = 4.0
    values: dict[str, Any] = {
        "version": 1, "label": "values.tattoo", "model": "net", "model_sha256": "0" * 64, "weights": weights.tobytes(),
        "bias": -2.0, "positives": 30, "negatives": 40, "precision": 0.9, "recall": 0.8,
    }  # fmt: skip
    return HeadFile(**values | changes)


def saved(place: Path, content: HeadFile) -> Path:
    place.write_bytes(msgspec.json.encode(content))
    return place


def test_the_groups_are_of_the_taxonomy_and_no_class_means_two_labels() -> None:
    groups = load_groups()
    assert {group.label for group in groups} <= load_taxonomy().labels.keys()
    assert len({group.label for group in groups}) == len(groups)
    classes = [number for group in groups for number in group.classes]
    assert len(set(classes)) == len(classes)
    assert all(0 <= number < CLASSES for number in classes)
    assert all(group.review_from >= max(0.2, group.most) for group in groups)


def test_the_classes_of_a_label_are_added_and_its_threshold_is_for_review(tmp_path: Path) -> None:
    detector = ScenesDetector(net(tmp_path), ScenesConfig(min_score=0.0, review_from={"prohibited.drugs": 0.5}))
    detector.warm_up()
    (found,) = detector.detect([shown({413: 26, 764: 25, 845: 128, 0: 90})])
    scores = {one.label: one.score for one in found}
    assert scores["violence.weapon.gun"] == pytest.approx(0.7, abs=0.002)  # 51 of 255 is 0.2
    assert scores["prohibited.drugs"] == pytest.approx(0.7, abs=0.003)
    assert scores["prohibited.gambling"] == 0
    assert {(one.detector, one.model, one.box) for one in found} == {("scenes", "net", None)}
    assert detector.labels == scores.keys()


def test_what_is_unlikely_or_switched_off_is_not_reported(tmp_path: Path) -> None:
    detector = ScenesDetector(net(tmp_path), ScenesConfig(off=("prohibited.gambling",)))
    none, gun = detector.detect([shown({413: 25, 800: 255}), shown({413: 26, 800: 255})])
    assert none == ()
    assert [one.label for one in gun] == ["violence.weapon.gun"]
    assert "prohibited.gambling" not in detector.labels
    assert detector.detect([]) == []


def test_heads_are_read_from_files_and_folders_and_run_on_the_embedding(tmp_path: Path) -> None:
    session = net(tmp_path)
    (tmp_path / "heads").mkdir()
    ours = {"model_sha256": session.sha256}
    saved(tmp_path / "heads" / "ink.json", head(**ours))
    fire = saved(tmp_path / "blaze.json", head(**ours, label="violence.fire", bias=2.0))
    detector = ScenesDetector(session, ScenesConfig(heads=(tmp_path / "heads", fire), min_score=0.5))
    bright, dark = detector.detect([shown({CLASSES + 7: 255}), shown({})])
    assert [(one.label, one.model, round(one.score, 3)) for one in bright] == [
        ("values.tattoo", "net/ink", 0.881), ("violence.fire", "net/blaze", 0.998),
    ]  # fmt: skip
    assert [one.label for one in dark] == ["violence.fire"]
    assert {"values.tattoo", "violence.fire"} <= detector.labels


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"model_sha256": "1" * 64}, "another version of net .* train it again"),
        ({"label": "values.ink"}, "label 'values.ink' is not in the taxonomy"),
        ({"weights": np.full(SIZE, np.nan, "<f4").tobytes()}, "are no numbers"),
        ({"weights": bytes(8)}, "is no head"),
        ({"version": 2}, "is no head: Invalid enum value 2"),
    ],
)
def test_a_head_that_cannot_be_run_says_why(tmp_path: Path, changes: dict[str, Any], reason: str) -> None:
    place = saved(tmp_path / "h.json", head(**changes))
    with pytest.raises(HeadUnusable, match=f"h.json: .*{reason}"):
        load_heads([place], "0" * 64)


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b"\xff\xd8\xff", b"{" + b" " * (2 << 20)])
def test_what_is_no_head_says_so(tmp_path: Path, content: bytes) -> None:
    place = tmp_path / "h.json"
    place.write_bytes(content)
    with pytest.raises(HeadUnusable, match=r"h\.json: .*train it again"):
        load_heads([place], "0" * 64)


def test_a_place_without_heads_says_so(tmp_path: Path) -> None:
    with pytest.raises(HeadUnusable, match="has no head in it"):
        load_heads([tmp_path], "0" * 64)
    with pytest.raises(HeadUnusable, match=r"gone\.json: cannot be read"):
        load_heads([tmp_path / "gone.json"], "0" * 64)


@pytest.mark.parametrize(("gain", "add"), [(float("nan"), 0.0), (1e38, 1e38), (1.0, 5.0)])
def test_outputs_that_are_no_probabilities_are_an_error(tmp_path: Path, gain: float, add: float) -> None:
    detector = ScenesDetector(net(tmp_path, gain=gain, add=add), ScenesConfig())
    with pytest.raises(ModelError, match="net: its"):
        detector.detect([shown({413: 255})])


def test_another_net_is_refused(tmp_path: Path) -> None:
    other = pixel_net(tmp_path / "net.onnx", SIDE, {"probabilities": (10,), "embedding": (SIZE,)})
    with pytest.raises(ModelError, match="its outputs are not 1000 probabilities and 1280 features"):
        Embedder(open_session(other, "cpu")).warm_up()


def test_an_embedding_that_is_no_number_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="its outputs are not"):
        Embedder(net(tmp_path, gain=float("nan"))).warm_up()


@pytest.mark.parametrize("shape", [(1, 1), (20000, 10), (10, 20000)])
def test_odd_shapes_are_shown_whole(shape: tuple[int, int]) -> None:
    small = placed(np.full((*shape, 3), 77, np.uint8))
    assert small.shape == (SIDE, SIDE, 3)
    assert (small == 77).all()
