"""Tells when a room's picture amounts to nothing: black, one colour, a test card, noise, or one that stands still.

Pure: used by the room's thread on every sample. A sample is averaged over blocks once, into about 90 x 160 values a
colour, and everything is judged on those: an average is deaf to a codec's noise and hears small motion.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from streammon.entities import Image, PictureState

_Grid = NDArray[np.int16]
"""Mean levels (0..255) of a picture's blocks: 3 x rows x columns."""

_BY_PRIORITY = (PictureState.BLACK, PictureState.SOLID, PictureState.NO_SIGNAL, PictureState.FROZEN)

# Blocks are as large as leaves this many on the shorter side: 8 px at 720p, and a text cursor moves one by 40 levels.
_SHORT_SIDE_BLOCKS = 64
# Rows read of a block: reading them is most of the cost, and noise is as well averaged over these.
_ROWS_PER_BLOCK = 2

# A block is of the picture's colour within so many levels: codecs keep flat areas within 2, a capped camera's noise
# averages out to 3, and real scenes dimmed until hardly anything is seen still vary by more.
_FLAT_LEVELS = 6
# How sparsely the blocks are looked at for one colour, and for colours at all.
_SPARSE = 4

# H.264 at a usable bitrate re-encodes a still picture with blocks off by up to 4 levels where it is smooth and 18 where
# it is detailed, and then the mean is off too; a small clock's digits change by 15, a mouth by 23, a cursor by 36.
_STILL_LEVELS = 6.0
_STILL_LEVELS_PER_MEAN = 12.0
_STILL_LEVELS_MOST = 18.0
# Noise goes both ways; a picture that has become so many levels brighter or darker as a whole is fading.
_STILL_DRIFT = 1.5

# Yellow, cyan, green, magenta, red, blue as bits of (R, G, B): the order of all bars (SMPTE EG 1, RP 219, EBU 3325,
# ARIB STD-B28), by falling luma. White, black and the grey sides differ between them and are not asked for.
_BARS = (0b110, 0b011, 0b010, 0b101, 0b100, 0b001)
# Rows in which bars are bars, as shares of the height: below are castellations and ramps. The second band holds those
# with black above and below (16:9 shown in a portrait picture), the first those with a text in the middle.
_BAR_BANDS = ((0.08, 0.3), (0.37, 0.5))
_BAR_LEVELS = 16  # within which a column's blocks are of one colour
_BAR_CONTRAST = 90  # levels between high and low of each of red, green, blue: 75 % bars have 191
_BAR_ROWS = 0.7  # share of a column's blocks that must be of its colour: the others may be text
_BAR_GLANCE = 0.5  # share of columns whose first and last block must be alike to be worth a closer look
_BARS_WIDTH = 0.4  # share of the width that the six colours take up: 16:9 bars in a wider picture still do
_BAR_LEAST_WIDTH = 0.02  # narrower runs are the blur between two bars
_BAR_EVENNESS = 0.5  # the narrowest bar to the widest
_HALF, _UNCLEAR_WITHIN, _UNCLEAR = 0.5, 0.15, -1

# An untuned receiver's noise has no colour: mean levels by which red and blue are off green.
_SNOW_COLOUR = 6.0
# Cells that a side must have, for there to be neighbours whose likeness can be told.
_LEAST_SNOW = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureChange:
    """What is told of a room's picture: what it amounts to now, and its size in pixels.

    `changed`: `picture` is not what was told last (or this is the room's first). `resized`: the size is not the last's.
    """

    picture: PictureState
    width: int
    height: int
    resized: bool
    changed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Limits:
    """How far a picture may be from the pure case. What is told ends at looser limits than those at which it begins.

    `dark_level`: the brightest channel of black. `odd_share`: of blocks that are not of a flat picture's colour, such
    as a logo's. `still_factor`: times a codec's noise. `bar_columns`: share of columns that are of one colour.
    `snow_deviation`: of the blocks' levels. `snow_likeness`: correlation (0..1) of neighbours and of successive
    pictures. `snow_profile`: the deviation of the rows' means, as a share of that of the blocks.
    """

    dark_level: int
    odd_share: float
    still_factor: float
    bar_columns: float
    snow_deviation: float
    snow_likeness: float
    snow_profile: float


_STRICT = _Limits(
    dark_level=32,
    odd_share=0.04,
    still_factor=1.0,
    bar_columns=0.9,
    snow_deviation=5.0,
    snow_likeness=0.6,
    snow_profile=0.3,
)
_LOOSE = _Limits(
    dark_level=40,
    odd_share=0.06,
    still_factor=1.5,
    bar_columns=0.8,
    snow_deviation=4.0,
    snow_likeness=0.7,
    snow_profile=0.4,
)


class PictureWatch:
    """One room's picture. A condition is told once it has held for `after_s` of stream time, LIVE again at once.

    Of several, the first of black, solid, no_signal, frozen is told. While what was told has turned into another
    condition that has not lasted yet, nothing is told: no picture between them was live.
    """

    def __init__(self, after_s: float) -> None:
        self._after_s = after_s
        self._told: PictureState | None = None
        self._size: tuple[int, int] | None = None
        self._last: _Grid | None = None
        self._still: _Grid | None = None
        self._since: dict[PictureState, float] = {}

    def begin_session(self) -> None:
        """A new connection, whose stream time begins anew: so do the durations. What was told stays told."""
        self._since.clear()

    def look(self, image: Image, at_s: float, size: tuple[int, int]) -> PictureChange | None:
        """Takes the next sample, of stream time `at_s` seconds and of a stream of `size` (width, height) pixels.

        Returns what is to be told, or None. The room's first picture is told as live, so that its size is known.
        """
        grid = _averaged(image)
        held = self._held(grid)
        self._since = {state: self._since.get(state, at_s) for state in held}
        if PictureState.FROZEN not in held:
            self._still = grid  # the first of those that may turn out to stand still
            self._since[PictureState.FROZEN] = at_s
        self._last = grid
        return self._tell(self._amounts_to(held, at_s), size)

    def _held(self, grid: _Grid) -> list[PictureState]:
        """The conditions that this picture meets, the most telling first."""
        black, solid, no_signal, frozen = (_LOOSE if state is self._told else _STRICT for state in _BY_PRIORITY)
        level, odd_share = _flatness(grid)
        met = (
            odd_share <= black.odd_share and level <= black.dark_level,
            odd_share <= solid.odd_share,
            _is_bars(grid, no_signal) or _is_snow(grid, self._last, no_signal),
            _is_still(grid, self._still, frozen),
        )
        return [state for state, is_met in zip(_BY_PRIORITY, met, strict=True) if is_met]

    def _amounts_to(self, held: list[PictureState], at_s: float) -> PictureState:
        for state in held:
            if at_s - self._since[state] >= self._after_s:
                return state
        return self._told if held and self._told is not None else PictureState.LIVE

    def _tell(self, picture: PictureState, size: tuple[int, int]) -> PictureChange | None:
        changed = picture is not self._told
        resized = self._size is not None and size != self._size
        self._told, self._size = picture, size
        if not changed and not resized:
            return None
        return PictureChange(picture=picture, width=size[0], height=size[1], resized=resized, changed=changed)


def _averaged(image: Image) -> _Grid:
    """The picture's mean levels by square blocks. What is left at the right and below is not read."""
    height, width = image.shape[:2]
    block = 1
    while min(height, width) // (2 * block) >= _SHORT_SIDE_BLOCKS:
        block *= 2
    rows, columns = height // block, width // block
    taken = min(block, _ROWS_PER_BLOCK)
    lines = image.reshape(height, width * 3)[: rows * block, : columns * block * 3]
    sums = np.zeros((rows, columns * block * 3), np.uint16)
    for line in range(0, block, block // taken):
        sums += lines[line::block]
    reach = 3
    while reach < 3 * block:  # by adding a row to itself moved: 2, 4, 8 … pixels, all of a row at once
        sums = sums[:, :-reach] + sums[:, reach:]
        reach *= 2
    planes = np.stack([sums[:, colour :: 3 * block] for colour in range(3)])
    return (planes // (taken * block)).astype(np.int16)


def _flatness(grid: _Grid) -> tuple[int, float]:
    """The brightest channel of the picture's usual colour, and the share (0..1) of blocks that are not of it."""
    sparse = grid[:, ::_SPARSE, ::_SPARSE]
    colour = np.sort(sparse.reshape(3, -1), axis=1)[:, sparse[0].size // 2]
    odd = np.abs(sparse - colour[:, None, None]).max(axis=0) > _FLAT_LEVELS
    return int(colour.max()), float(odd.mean())


def _is_still(grid: _Grid, still: _Grid | None, limits: _Limits) -> bool:
    """Whether no block has moved since `still`, the first picture of the stretch, by more than a codec's noise."""
    if still is None or still.shape != grid.shape:
        return False
    moved = grid - still
    if abs(float(moved.mean())) > _STILL_DRIFT * limits.still_factor:
        return False
    np.abs(moved, out=moved)
    noise = _STILL_LEVELS + _STILL_LEVELS_PER_MEAN * float(moved.mean())
    return float(moved.max()) <= min(noise, _STILL_LEVELS_MOST) * limits.still_factor


def _is_bars(grid: _Grid, limits: _Limits) -> bool:
    """Whether colour bars stand in the picture, in their order or mirrored."""
    height = grid.shape[1]
    bands = [grid[:, int(top * height) : int(bottom * height) + 1] for top, bottom in _BAR_BANDS]
    return any(_shows_bars(band, limits) for band in bands)


def _shows_bars(band: _Grid, limits: _Limits) -> bool:
    alike = np.abs(band[:, 0] - band[:, -1]).max(axis=0) <= _BAR_LEVELS
    if alike.mean() < _BAR_GLANCE:
        return False
    columns = np.sort(band, axis=1)[:, band.shape[1] // 2]
    rows = (np.abs(band - columns[:, None]).max(axis=0) <= _BAR_LEVELS).mean(axis=0)
    return bool((rows >= _BAR_ROWS).mean() >= limits.bar_columns) and _in_order(columns)


def _in_order(columns: _Grid) -> bool:
    """Whether the six colours stand side by side, evenly and wide enough. `columns`: 3 x columns."""
    width = columns.shape[1]
    runs = [(code, run) for code, run in _runs(columns) if run >= _BAR_LEAST_WIDTH * width]
    for first in range(len(runs) - len(_BARS) + 1):
        codes, widths = zip(*runs[first : first + len(_BARS)], strict=True)
        if codes in (_BARS, _BARS[::-1]):
            return bool(min(widths) >= _BAR_EVENNESS * max(widths) and sum(widths) >= _BARS_WIDTH * width)
    return False


def _runs(columns: _Grid) -> list[tuple[int, int]]:
    """Stretches of one colour: its bits (R, G, B), or _UNCLEAR between high and low, and how many columns it has."""
    low, high = columns.min(axis=1, keepdims=True), columns.max(axis=1, keepdims=True)
    if (high - low).min() < _BAR_CONTRAST:
        return []
    level = (columns - low) / (high - low)
    codes = np.array([4, 2, 1]) @ (level > _HALF)
    codes[(np.abs(level - _HALF) < _UNCLEAR_WITHIN).any(axis=0)] = _UNCLEAR
    edges = [0, *(np.flatnonzero(np.diff(codes)) + 1).tolist(), len(codes)]
    return [(int(codes[start]), end - start) for start, end in pairwise(edges)]


def _is_snow(grid: _Grid, last: _Grid | None, limits: _Limits) -> bool:
    """Whether the picture is an untuned receiver's noise: colourless, without shape, and another one each time."""
    if last is None or last.shape != grid.shape or min(grid.shape[1:]) < _LEAST_SNOW:
        return False
    sparse = grid[:, ::_SPARSE, ::_SPARSE]
    if np.abs(sparse[::2] - sparse[1]).mean() > _SNOW_COLOUR:
        return False
    noise, before = (plane[1].astype(np.float32) - plane[1].mean() for plane in (grid, last))
    deviation = float(noise.std())
    if deviation < limits.snow_deviation:
        return False
    variance = deviation**2
    likeness = max(np.mean(noise[:, 1:] * noise[:, :-1]), np.mean(noise[1:] * noise[:-1])) / variance
    memory = abs(float(np.mean(noise * before))) / (deviation * max(float(before.std()), 1.0))
    profile = max(noise.mean(axis=0).std(), noise.mean(axis=1).std()) / deviation
    return bool(max(likeness, memory) <= limits.snow_likeness and profile <= limits.snow_profile)
