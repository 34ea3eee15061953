"""Barrage over real video as a live stream carries it: H.264 at a live bitrate, of which a sampler gets key frames."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, cycle, islice
from pathlib import Path

import av
import cv2
import numpy as np

from sample_streams.room_picture import background, room_at
from streammon.entities import Image
from tests.benchmarks.accuracy.barrage_drawing import Drawing
from tests.benchmarks.accuracy.barrage_plan import HEIGHT, WIDTH, Planner, Written

FPS, EVERY_S = 25, 2
_CLIPS = "incidents/shared/fight/*.mp4"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A picture as the sampler gets it, 720 x 1280 x 3 RGB. `contrast`: of each line that it shows at least half of,
    by the line's number.
    """

    at_s: float
    picture: Image
    contrast: dict[int, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """A room's samples and all lines that were drawn, whether or not a sample shows them."""

    lines: tuple[Written, ...]
    samples: tuple[Sample, ...]
    duration_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Density:
    """How many lines a room has in all: flying ones, such that stand for seconds, such that stand all the time."""

    flying: int
    standing: int = 8
    overlays: int = 4


def room(seed: int, duration_s: int, density: Density, eval_dir: Path | None = None, bit_rate: int = 2_000_000) -> Room:
    """The same room for the same arguments. Over clips under `eval_dir`; without, over the drawn room of the sample."""
    drawing = Drawing()
    lines = Planner(seed, drawing.measure, duration_s).plan(
        flying=density.flying, standing=density.standing, overlays=density.overlays
    )
    contrasts: dict[int, dict[int, float]] = {}
    pictures = _written(lines, drawing, backgrounds(eval_dir, duration_s * FPS), contrasts)
    samples = [
        Sample(at_s=index / FPS, picture=picture, contrast=contrasts[index])
        for index, picture in streamed(pictures, bit_rate)
    ]
    return Room(lines=tuple(lines), samples=tuple(samples), duration_s=duration_s)


def backgrounds(eval_dir: Path | None, count: int) -> Iterator[Image]:
    """Pictures without our lines, 720p: real clips there and back again, one after the other, or the drawn room."""
    if eval_dir is None:
        empty = background()
        return (room_at(empty, index / FPS) for index in range(count))
    clips = sorted(eval_dir.glob(_CLIPS))
    return islice(chain.from_iterable(_to_and_fro(clip) for clip in cycle(clips)), count)


def streamed(pictures: Iterator[Image], bit_rate: int) -> Iterator[tuple[int, Image]]:
    """The key frames, one every `EVERY_S`, with the numbers of their pictures."""
    carried = io.BytesIO()
    options = {
        "preset": "veryfast",
        "x264-params": f"keyint={FPS * EVERY_S}:min-keyint={FPS * EVERY_S}:scenecut=0:open-gop=0",
        "maxrate": str(bit_rate),
        "bufsize": str(bit_rate),
    }
    with av.open(carried, "w", format="matroska") as out:
        video = out.add_stream("libx264", rate=FPS, options=options)
        video.width, video.height, video.pix_fmt, video.bit_rate = WIDTH, HEIGHT, "yuv420p", bit_rate
        for index, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, FPS)
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
    carried.seek(0)
    with av.open(carried, "r") as stream:
        stream.streams.video[0].codec_context.skip_frame = "NONKEY"
        for shown in stream.decode(video=0):
            image: Image = np.ascontiguousarray(shown.to_ndarray(format="rgb24").astype(np.uint8, copy=False))
            image.flags.writeable = False
            yield round((shown.time or 0.0) * FPS), image


def _written(
    lines: list[Written], drawing: Drawing, pictures: Iterator[Image], contrasts: dict[int, dict[int, float]]
) -> Iterator[Image]:
    for index, picture in enumerate(pictures):
        at_s = index / FPS
        seen = [(number, line) for number, line in enumerate(lines) if line.shown(at_s) > 0]
        if index % (FPS * EVERY_S) == 0:
            halves = ((number, line) for number, line in seen if line.shown(at_s) >= 0.5)
            contrasts[index] = {number: drawing.contrast(picture, line, at_s) for number, line in halves}
        for _, line in seen:
            drawing.draw(picture, line, at_s)
        yield picture


def _to_and_fro(clip: Path) -> Iterator[Image]:
    with av.open(str(clip)) as container:
        there: list[Image] = [
            cv2.resize(shown.to_ndarray(format="rgb24").astype(np.uint8, copy=False), (WIDTH, HEIGHT)).astype(
                np.uint8, copy=False
            )
            for shown in container.decode(video=0)
        ]
    for picture in there + there[::-1]:
        yield picture.copy()
