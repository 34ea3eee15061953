"""The shapes text models run in: few, and always the one that fits."""

from __future__ import annotations

import numpy as np
import pytest

from streammon.detect.runtime.batches import batches
from streammon.detect.text import locator as text_locator
from streammon.detect.text import reader as text_reader


@pytest.mark.parametrize(
    ("picture", "canvas"),
    [
        ((720, 1280), (384, 640)),
        ((1280, 720), (640, 384)),
        ((768, 1024), (480, 640)),
        ((1024, 768), (640, 480)),
        ((700, 700), (640, 640)),
        ((10, 20000), (384, 640)),
        ((20000, 10), (640, 384)),
        ((1, 1), (384, 640)),
    ],
)
def test_a_picture_goes_on_the_canvas_that_shows_it_largest(picture: tuple[int, int], canvas: tuple[int, int]) -> None:
    assert text_locator._canvas_for(*picture) == canvas


@pytest.mark.parametrize("picture", [(720, 1280), (1, 1), (20000, 10), (90, 160), (641, 641)])
def test_a_picture_fits_its_canvas_and_is_not_blown_up(picture: tuple[int, int]) -> None:
    canvas = text_locator._canvas_for(*picture)
    scale = text_locator._scale(canvas, *picture)
    assert scale <= 2
    assert round(picture[0] * scale) <= canvas[0]
    assert round(picture[1] * scale) <= canvas[1]


@pytest.mark.parametrize(
    ("crop", "width"),
    [((48, 10), 160), ((48, 160), 160), ((24, 81), 320), ((20, 500), 1280), ((5, 900), 1920), ((9, 1), 160)],
)
def test_a_line_is_padded_to_the_next_width(crop: tuple[int, int], width: int) -> None:
    image = np.full((*crop, 3), 255, np.uint8)
    assert text_reader._padded_width(image) == width
    planes = text_reader._normalised(image, width)
    assert planes.shape == (3, 48, width)
    used = min(width, -(-48 * crop[1] // crop[0]))
    assert (planes[:, :, :used] == 1).all()
    assert (planes[:, :, used:] == 0).all()


@pytest.mark.parametrize("count", range(10))
def test_batches_have_only_the_given_sizes_and_lose_nothing(count: int) -> None:
    cut = list(batches(range(count), (4, 1)))
    assert [item for batch in cut for item in batch] == list(range(count))
    assert {len(batch) for batch in cut} <= {4, 1}
    assert len(cut) == count // 4 + count % 4
