"""Barrage through a real encoder and the real models: read right over its life on screen, and seldom."""

from __future__ import annotations

from pathlib import Path

import pytest

from streammon.entities import TextKind
from streammon.models.catalog import load_catalog
from tests.benchmarks.accuracy.barrage import Run, exactness, run
from tests.benchmarks.accuracy.barrage_scoring import folded
from tests.benchmarks.accuracy.barrage_video import Density, Room, room
from tests.needs import need

ROOT = Path(__file__).parents[2]
NEEDED = [ROOT / "models" / f"{name}.onnx" for name in load_catalog().models if name.startswith("ppocr")]
OVERLAYS = 3


@pytest.fixture(scope="module")
def weights() -> None:
    """Skips without weights, but in CI their absence is a failure."""
    missing = [str(path) for path in NEEDED if not path.is_file()]
    need("weights", f"no {', '.join(missing)}; `streammon models pull` fetches them" if missing else None)


@pytest.fixture(scope="module")
def shown() -> Room:
    """Twenty seconds of the drawn room, with lines that fly and some that stand all the time."""
    return room(11, 20, Density(flying=12, standing=0, overlays=OVERLAYS))


@pytest.fixture(scope="module")
def followed(weights: None, shown: Room) -> Run:
    return run(shown.samples)


def test_nearly_all_legible_lines_are_exact_in_the_end(shown: Room, followed: Run) -> None:
    lines, exact, _, _ = exactness(shown, followed.read)
    assert lines >= 6
    assert exact >= lines - 1


def test_lines_that_stand_are_told_in_each_picture_but_read_once_or_twice(shown: Room, followed: Run) -> None:
    standing = {folded(line.text) for line in shown.lines if not line.flight.speed_px_s}
    told = [[d for d in read if folded(d.text or "") in standing] for read in followed.read]
    assert [len(read) for read in told[1:]] == [OVERLAYS] * (len(shown.samples) - 1)
    assert all(d.line is not None and d.line.kind is TextKind.SCENE and d.line.reads <= 3 for d in told[-1])


def test_lines_that_fly_are_told_as_barrage_with_first_and_last_moment(shown: Room, followed: Run) -> None:
    flying = {folded(line.text) for line in shown.lines if line.flight.speed_px_s}
    lines = [d.line for read in followed.read for d in read if folded(d.text or "") in flying and d.line is not None]
    barrage = [line for line in lines if line.kind is TextKind.BARRAGE]
    assert len(barrage) > len(lines) / 3
    assert all(line.first_pts_s < line.last_pts_s for line in barrage)


def test_following_lines_spares_readings(shown: Room, followed: Run, weights: None) -> None:
    plain = run(shown.samples, followed=False)
    assert followed.recognised < 0.7 * plain.recognised
    assert exactness(shown, followed.read)[1] >= exactness(shown, plain.read)[1]
