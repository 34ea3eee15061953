"""The reader of text: finds lines, reads them as seldom as can be, and leaves what they mean to the policy.

Several of the engine's threads at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from rapidocr.utils.process_img import get_rotate_crop_image

from streammon.detect.text.config import OcrConfig
from streammon.detect.text.engine import TextEngine
from streammon.detect.text.line import Line
from streammon.detect.text.locator import small_px
from streammon.detect.text.placed import corners, located
from streammon.detect.text.room_lines import MOST_LINES, RoomLines, Spot, affordable
from streammon.detect.text.rooms import TextRooms
from streammon.detect.text.voting import Reading
from streammon.entities import Box, Detection, Frame, Image, Source


class OcrDetector:
    """One detection per line of text, without a label: the policy's keyword lists decide.

    Lines are followed from frame to frame. Each detection is fresh: its line was found in this very frame, where it was
    read, or was seen to be the line that was read before. So a line that stands is a hit in every frame that shows it,
    one detection a line and frame, though it was read once; a line that is not found is not told.
    """

    name = "ocr"
    labels: frozenset[str] = frozenset()

    def __init__(self, engine: TextEngine, config: OcrConfig) -> None:
        self.model = engine.model
        self.max_batch = engine.max_batch
        self.parallel = engine.parallel
        self._engine = engine
        self._config = config
        self._rooms = TextRooms()

    def warm_up(self) -> None:
        """Run both models once in every shape."""
        self._engine.warm_up()

    def detect(self, frames: Sequence[Frame]) -> list[tuple[Detection, ...]]:
        """The lines in each frame, from top to bottom, none read less surely than `min_score`.

        In one frame at most `max_lines` are read; what is left over is, as long as it is there, in the next ones.
        `line` says since when each is there and how it moves; `text` is what its readings say together. Raises
        ModelError where a model does not run.
        """
        told: dict[int, tuple[Detection, ...]] = {}
        for turn in _turns(frames):
            told |= zip(turn, self._lines([frames[number] for number in turn]), strict=True)
        return [told[number] for number in range(len(frames))]

    def may_see(self, frame: Frame, part: Box) -> bool:
        """See `ScreeningDetector`: finds lines, and reads none."""
        return self._engine.may_have(frame.image, part)

    def close(self) -> None:
        """Let go of the models. May be called twice."""
        self._engine.close()

    def _lines(self, frames: Sequence[Frame]) -> list[tuple[Detection, ...]]:
        """The lines in one frame each of several rooms. What has to be read of all of them is read together."""
        with ExitStack() as held:
            looks = [self._look(frame, held.enter_context(self._rooms.lines_of(frame))) for frame in frames]
            read = iter(self._engine.read([crop for look in looks for crop in look.crops]))
            return [self._told(look, [next(read) for _ in look.crops]) for look in looks]

    def _look(self, frame: Frame, lines: RoomLines) -> _Look:
        """Where lines are. Of those that the room is known to show, most are seen again and not read again."""
        image, at_s, size = frame.image, frame.moment.pts_s, frame.image.shape[:2]
        if lines.quiet.shows_nothing_new(image, at_s):
            return _Look(frame=frame, lines=lines, searched=False)
        quads = self._engine.locate(image, MOST_LINES, fine=lines.fine(at_s, small_px(*size)))
        spots = lines.look(image, [located(quad, width_px=size[1]) for quad in quads], at_s)
        spots = affordable(spots, self._config.max_lines)
        crops = [get_rotate_crop_image(image, corners(spot.place)) for spot in spots if spot.to_read]
        return _Look(frame=frame, lines=lines, spots=spots, crops=crops)

    def _told(self, look: _Look, read: Sequence[tuple[str, float]]) -> tuple[Detection, ...]:
        """What a frame's lines are, once what is new of them was `read`: a text and its score, nothing at no score."""
        if not look.searched:
            return ()
        image, at_s = look.frame.image, look.frame.moment.pts_s
        places = [spot.place for spot in look.spots if spot.to_read]
        readings = [
            Reading(text=text, score=score if text.strip() else 0.0, cut_left=place.cut_left, cut_right=place.cut_right)
            for place, (text, score) in zip(places, read, strict=True)
        ]
        seen = look.lines.settle(look.spots, readings, at_s, self._config.min_score)
        look.lines.quiet.searched(image, at_s, text=any(line.written for line in seen))
        return tuple(self._detection(line, image.shape[:2]) for line in seen)

    def _detection(self, line: Line, size: tuple[int, ...]) -> Detection:
        (height_px, width_px), place = size, line.place
        return Detection(
            detector=self.name,
            model=self.model,
            source=Source.TEXT,
            score=min(line.score, 1.0),
            box=Box(
                x=place.left / width_px,
                y=place.top / height_px,
                w=place.width / width_px,
                h=place.height / height_px,
            ),
            text=line.text,
            line=line.told(width_px),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """One frame: where its lines are, and pictures of those to be read."""

    frame: Frame
    lines: RoomLines
    spots: Sequence[Spot] = ()
    crops: Sequence[Image] = ()
    searched: bool = True


def _turns(frames: Sequence[Frame]) -> list[list[int]]:
    """The frames by number in as many turns as needed, so that each has one frame of a room: a room's lines go on."""
    turns: list[list[int]] = []
    came: Counter[str] = Counter()
    for number, frame in enumerate(frames):
        if came[frame.room_id] == len(turns):
            turns.append([])
        turns[came[frame.room_id]].append(number)
        came[frame.room_id] += 1
    return turns
