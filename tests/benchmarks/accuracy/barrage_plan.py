"""Which lines fly over the picture, when, where and how they look: a plan by a seed. No picture is made here."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

WIDTH, HEIGHT = 1280, 720
_TEXTS = Path(__file__).with_name("barrage_lines.txt")
_COLOURS = ((255, 255, 255),) * 6 + (
    (255, 64, 64), (255, 220, 0), (64, 255, 96), (96, 200, 255), (255, 128, 220), (255, 160, 32), (20, 20, 20),
)  # fmt: skip
_GAP_PX = 6
_CHECKED_EVERY_S = 0.2

Area = tuple[float, float, float, float]
"""Left, top, right, bottom in pixels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How a line is drawn: `alpha` 0..1, `stroke` the colour around the glyphs or None."""

    size_px: int
    colour: tuple[int, int, int]
    stroke: tuple[int, int, int] | None
    alpha: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Flight:
    """A line's way: its left top corner is at (`x_px`, `y_px`) at `start_s` and moves by `speed_px_s` along x."""

    start_s: float
    end_s: float
    x_px: float
    y_px: float
    speed_px_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A line that is drawn: `width_px` x `height_px` with its stroke."""

    text: str
    look: Look
    flight: Flight
    width_px: int
    height_px: int

    def area(self, at_s: float) -> Area:
        """Where it is, in pixels; it may lie outside of the picture."""
        left = self.flight.x_px + self.flight.speed_px_s * (at_s - self.flight.start_s)
        return left, self.flight.y_px, left + self.width_px, self.flight.y_px + self.height_px

    def shown(self, at_s: float) -> float:
        """The share (0..1) of its width that is in the picture."""
        if not self.flight.start_s <= at_s < self.flight.end_s:
            return 0.0
        left, _, right, _ = self.area(at_s)
        return max(0.0, min(right, WIDTH) - max(left, 0.0)) / self.width_px


Measure = Callable[[str, Look], tuple[int, int]]
Fly = Callable[[int, int], Flight]


def texts() -> list[str]:
    """The lines that may be written: Chinese, English, and both."""
    return [line for line in _TEXTS.read_text(encoding="utf-8").splitlines() if line]


class Planner:
    """Plans lines by a seed, none over another. `measure(text, look)` gives width and height in pixels."""

    def __init__(self, seed: int, measure: Measure, duration_s: float) -> None:
        self._rng = random.Random(seed)  # noqa: S311
        self._measure = measure
        self._duration_s = duration_s
        self._texts = texts()
        self._planned: list[Written] = []

    def plan(self, *, flying: int, standing: int, overlays: int) -> list[Written]:
        """`overlays` stand from before the start until after the end, `standing` ones for 4 to 6 s."""
        for _ in range(overlays):
            self._place(partial(self._standing, -1.0, self._duration_s + 1.0))
        for _ in range(standing):
            start_s = self._rng.uniform(0, self._duration_s - 4)
            self._place(partial(self._standing, start_s, start_s + self._rng.uniform(4, 6)))
        for number in range(flying):
            # From before the start on, so that the first picture is as full as the others.
            self._place(partial(self._flying, -4 + (self._duration_s + 2) * number / flying))
        return self._planned

    def _place(self, fly: Fly) -> None:
        """Adds a line where it has room; of 30 tries without, none."""
        text = self._rng.choice(self._texts)
        for _ in range(30):
            look = self._look()
            width_px, height_px = self._measure(text, look)
            flight = fly(width_px, height_px)
            line = Written(text=text, look=look, flight=flight, width_px=width_px, height_px=height_px)
            if not any(_meet(line, other) for other in self._planned):
                self._planned.append(line)
                return

    def _look(self) -> Look:
        colour = self._rng.choice(_COLOURS)
        stroke = (0, 0, 0) if sum(colour) > 200 else (255, 255, 255)
        return Look(
            size_px=self._rng.randint(14, 40),
            colour=colour,
            stroke=stroke if self._rng.random() < 0.6 else None,
            alpha=self._rng.uniform(0.6, 1.0),
        )

    def _flying(self, start_s: float, width_px: int, height_px: int) -> Flight:
        speed_px_s = self._rng.uniform(60, 400)
        leftwards = self._rng.random() < 0.85
        return Flight(
            start_s=start_s,
            end_s=start_s + (WIDTH + width_px) / speed_px_s,
            x_px=WIDTH if leftwards else -width_px,
            y_px=self._rng.randint(4, max(5, HEIGHT - height_px - 4)),
            speed_px_s=-speed_px_s if leftwards else speed_px_s,
        )

    def _standing(self, start_s: float, end_s: float, width_px: int, height_px: int) -> Flight:
        y_px = self._rng.choice((self._rng.randint(4, 180), self._rng.randint(500, max(501, HEIGHT - height_px - 4))))
        x_px = self._rng.randint(4, max(5, WIDTH - width_px - 4))
        return Flight(start_s=start_s, end_s=end_s, x_px=x_px, y_px=y_px, speed_px_s=0.0)


def _meet(one: Written, other: Written) -> bool:
    """Whether two lines ever come nearer than a few pixels."""
    start_s = max(one.flight.start_s, other.flight.start_s)
    end_s = min(one.flight.end_s, other.flight.end_s)
    return any(_near(one.area(at_s), other.area(at_s)) for at_s in _moments(start_s, end_s))


def _moments(start_s: float, end_s: float) -> Iterator[float]:
    at_s = start_s
    while at_s < end_s:
        yield at_s
        at_s += _CHECKED_EVERY_S


def _near(one: Area, other: Area) -> bool:
    return (
        one[0] < other[2] + 4 * _GAP_PX
        and other[0] < one[2] + 4 * _GAP_PX
        and one[1] < other[3] + _GAP_PX
        and other[1] < one[3] + _GAP_PX
    )
