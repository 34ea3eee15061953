"""The reader of text: finds lines, reads them as seldom as can be, and leaves what they mean to the policy.

Several of the engine's threads at once.
"""

from __future__ import annotations

from collections.abc import Sequence

from streammon.detect.detectors.config import OcrConfig
from streammon.detect.detectors.text_engine import TextEngine
from streammon.detect.detectors.text_locator import small_px
from streammon.detect.text.line import Line
from streammon.detect.text.placed import Placed, corners, located
from streammon.detect.text.room_lines import MOST_LINES, affordable
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
        return [tuple(self._lines(frame)) for frame in frames]

    def may_see(self, frame: Frame, part: Box) -> bool:
        """See `ScreeningDetector`: finds lines, and reads none."""
        return self._engine.may_have(frame.image, part)

    def close(self) -> None:
        """Let go of the models. May be called twice."""
        self._engine.close()

    def _lines(self, frame: Frame) -> list[Detection]:
        """The lines in the frame. Where the room's lines are known, most are seen again without being read again."""
        image, at_s, size = frame.image, frame.moment.pts_s, frame.image.shape[:2]
        with self._rooms.lines_of(frame) as lines:
            if lines.quiet.shows_nothing_new(image, at_s):
                return []
            fine = lines.fine(at_s, small_px(*size))
            quads = self._engine.locate(image, MOST_LINES, fine=fine)
            spots = lines.look(image, [located(quad, width_px=size[1]) for quad in quads], at_s)
            spots = affordable(spots, self._config.max_lines)
            readings = self._read(image, [spot.place for spot in spots if spot.to_read])
            seen = lines.settle(spots, readings, at_s, self._config.min_score)
            lines.quiet.searched(image, at_s, text=any(line.written for line in seen))
            return [self._detection(line, size) for line in seen]

    def _read(self, image: Image, places: Sequence[Placed]) -> list[Reading]:
        """What stands in each place; nothing is a text of no score."""
        read = self._engine.read(image, [corners(place) for place in places])
        return [
            Reading(text=text, score=score if text.strip() else 0.0, cut_left=place.cut_left, cut_right=place.cut_right)
            for place, (text, score) in zip(places, read, strict=True)
        ]

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
