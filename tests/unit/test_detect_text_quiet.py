"""A room without text is looked at cheaply, and a line that comes in is searched for at once."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from streammon.detect.text.quiet import QUIET_S, QuietRoom
from streammon.entities import Image

EVERY_S = 2.0


def room(shift_px: int = 0) -> Image:
    """A picture with edges of its own."""
    blocks = np.random.default_rng(5).integers(60, 160, (9, 16, 3)).astype(np.uint8)
    large = cv2.resize(blocks, (1280, 720), interpolation=cv2.INTER_NEAREST).astype(np.uint8)
    return np.roll(large, shift_px, axis=1)


def with_line(text: str, scale: float, level: int, at: tuple[int, int] = (300, 400)) -> Image:
    image = room()
    cv2.putText(image, text, at, cv2.FONT_HERSHEY_SIMPLEX, scale, (level, level, level), 1, cv2.LINE_AA)
    return image


def watched(until_s: float, quiet: QuietRoom | None = None) -> tuple[QuietRoom, list[float]]:
    """A room without text until then, and when it was searched in full."""
    quiet, full = quiet if quiet is not None else QuietRoom(), []
    at_s = EVERY_S
    while at_s <= until_s:
        if not quiet.shows_nothing_new(room(), at_s):
            quiet.searched(room(), at_s, text=False)
            full.append(at_s)
        at_s += EVERY_S
    return quiet, full


def test_a_room_is_searched_in_full_for_a_minute_and_then_seldom() -> None:
    _, full = watched(200)
    assert full[:30] == [EVERY_S * number for number in range(1, 31)]
    assert full[30:] == [106, 152, 198]


@pytest.mark.parametrize(
    ("text", "scale", "level"), [("wx abc123", 0.45, 255), ("QQ 7352", 0.5, 0), ("hello from Madrid", 0.9, 240)]
)
def test_a_line_that_comes_in_is_searched_for_at_once(text: str, scale: float, level: int) -> None:
    quiet, _ = watched(QUIET_S + 4)
    assert quiet.shows_nothing_new(room(), QUIET_S + 6)
    assert not quiet.shows_nothing_new(with_line(text, scale, level), QUIET_S + 6)


def test_what_comes_in_slowly_is_not_forgotten_between_looks() -> None:
    """Each picture is held against those searched in full, never against the last one that was passed over."""
    quiet, _ = watched(QUIET_S + 4)
    at_s = QUIET_S + 4
    for share in (0.02, 0.05, 0.3, 0.6, 1.0):
        at_s += EVERY_S
        mixed = cv2.addWeighted(with_line("wx abc123", 0.6, 255), share, room(), 1 - share, 0).astype(np.uint8)
        passed_over = quiet.shows_nothing_new(mixed, at_s)
    assert not passed_over


def test_a_room_that_shows_text_is_not_quiet_for_another_minute() -> None:
    quiet, _ = watched(QUIET_S + 4)
    quiet.searched(with_line("wx abc123", 0.9, 255), 100, text=True)
    assert not quiet.shows_nothing_new(room(), 102)
    quiet.searched(room(), 102, text=False)
    assert not quiet.shows_nothing_new(room(), 158)


def test_another_size_and_a_picture_too_small_to_tell_by_are_searched() -> None:
    quiet, _ = watched(QUIET_S + 4)
    assert not quiet.shows_nothing_new(np.zeros((480, 640, 3), np.uint8), QUIET_S + 6)
    tiny = QuietRoom()
    for at_s in range(2, 70, 2):
        tiny.searched(np.zeros((4, 4, 3), np.uint8), float(at_s), text=False)
    assert not tiny.shows_nothing_new(np.zeros((4, 4, 3), np.uint8), 71)
