"""What the engine asks of unchanged pictures, and what the judge says came of the others. Any thread."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection
from threading import Lock

from streammon.detect.change.picture_print import PicturePrint, print_of
from streammon.detect.change.reuse import Reuse
from streammon.detect.config import ReuseConfig
from streammon.entities import Box, Frame

# Prints of frames whose outcome is not known yet, at most: the engine holds fewer frames.
_MAX_OPEN = 1024


class RoomReuse:
    """Takes each frame's print once, and keeps it until the judge has seen what came of the frame."""

    def __init__(self, config: ReuseConfig) -> None:
        self._config = config
        self._reuse = Reuse(config)
        self._open: OrderedDict[tuple[str, int, int], PicturePrint] = OrderedDict()
        self._lock = Lock()

    def unchanged(self, frame: Frame, due: Collection[str], now_s: float) -> Collection[str]:  # noqa: ARG002
        """Those of the detectors in `due` that would see nothing new in the frame. Ages are counted between frames."""
        if not self._config.enabled:
            return ()
        picture, session = print_of(frame.image), frame.moment.session
        with self._lock:
            self._open[_key(frame)] = picture
            while len(self._open) > _MAX_OPEN:
                self._open.popitem(last=False)
            return {d for d in due if self._reuse.may_reuse(d, frame.room_id, session, picture, frame.received_s)}

    def part(self, frame: Frame, detector: str) -> Box | None:
        """What has changed in a frame that `unchanged` was asked of, see `Reuse.part`."""
        with self._lock:
            picture = self._open.get(_key(frame))
            if picture is None:
                return None
            return self._reuse.part(detector, frame.room_id, frame.moment.session, picture, frame.received_s)

    def judged(self, frame: Frame, looked: Collection[str], *, hold: bool) -> None:
        """These detectors have looked at the frame. `hold`: something goes on in its room, see `Reuse.forget`."""
        with self._lock:
            picture = self._open.pop(_key(frame), None)
            if hold and looked:
                self._reuse.forget(frame.room_id)
            elif picture is not None:
                for detector in looked:
                    moment, at_s = frame.moment, frame.received_s
                    self._reuse.examined(detector, frame.room_id, moment.session, picture, at_s)

    def forget(self, room_id: str) -> None:
        """The room is over, or what is judged in it has changed."""
        with self._lock:
            self._reuse.forget(room_id)

    def forget_all(self) -> None:
        """A detector sees otherwise from now on: of no room may anything be reused that was seen before.

        Nor what is seen of frames that are on their way now: an old model may look at them.
        """
        with self._lock:
            self._open.clear()
            self._reuse = Reuse(self._config)


def _key(frame: Frame) -> tuple[str, int, int]:
    return frame.room_id, frame.moment.session, frame.seq
