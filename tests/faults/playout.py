"""A stage that is a live HLS stream, whose playlist grows by a segment a second as it is asked for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial

from tests.faults.clips import pieces
from tests.faults.fault import Servers
from tests.faults.site import Site, site
from tests.integration.hls_watching import text
from tests.integration.scripted_http import Page, Reply, Talk

_SEGMENT_S = 1.0
_WINDOW = 5


class Playout:
    """The stream, on a site. It plays its pieces over and over, with a discontinuity before the first of them.

    `init` is what comes before them in fMP4. Segments have numbers from 1000. Any thread.
    """

    def __init__(self, site: Site, content: Sequence[bytes], init: bytes = b"") -> None:
        self.site = site
        self.url = site.url
        self._content = list(content)
        self._init = init
        self._began_s = time.monotonic() - _WINDOW * _SEGMENT_S
        self._tags: list[str] = []
        self._spoiled: list[Callable[[bytes], Page]] = []
        self._first_sequence = 1000
        self._turn = 0
        self._frozen = False
        self._tail = ""
        self._lock = threading.Lock()
        site.pages["/init.mp4"] = Reply(body=init)
        site.page(self.playlist)

    def playlist(self, _talk: Talk) -> Reply:
        """The page of the live playlist."""
        with self._lock:
            self._grow()
            first = max(0, len(self._tags) - _WINDOW)
            lines = [f"{tags}#EXTINF:1.0,\n{number}.seg\n" for number, tags in enumerate(self._tags)][first:]
            breaks = sum("DISCONTINUITY" in tags for tags in self._tags[:first])
            head = f"#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-TARGETDURATION:{_SEGMENT_S:.0f}\n"
            head += f"#EXT-X-MEDIA-SEQUENCE:{self._first_sequence + first}\n#EXT-X-DISCONTINUITY-SEQUENCE:{breaks}\n"
            head += '#EXT-X-MAP:URI="init.mp4"\n' if self._init else ""
            return text(head + "".join(lines) + self._tail)

    def freeze(self) -> None:
        """No segment is added any more."""
        with self._lock:
            self._grow()
            self._frozen = True

    def thaw(self) -> None:
        """It goes on."""
        with self._lock:
            self._began_s = time.monotonic() - len(self._tags) * _SEGMENT_S
            self._frozen, self._tail = False, ""

    def end(self) -> None:
        """The publisher says that it is over."""
        self.freeze()
        with self._lock:
            self._tail = "#EXT-X-ENDLIST\n"

    def jump(self, by: int) -> None:
        """All numbers of segments are so much higher from now on, or lower where the encoder began to count anew."""
        with self._lock:
            self._first_sequence += by

    def play(self, content: Sequence[bytes]) -> None:
        """Goes over to other pieces with the next segment, after a discontinuity."""
        with self._lock:
            self._grow()
            self._content, self._turn = list(content), 0

    def spoil(self, spoil: Callable[[bytes], Page], segments: int = 1) -> None:
        """Makes something else of so many segments that are still to come."""
        with self._lock:
            self._grow()
            self._spoiled += [spoil] * segments

    def wrong(self) -> str | None:
        """See Stage."""
        return self.site.wrong()

    def _grow(self) -> None:
        wanted = int((time.monotonic() - self._began_s) / _SEGMENT_S)
        while len(self._tags) < wanted and not self._frozen:
            piece = self._content[self._turn % len(self._content)]
            again = self._turn % len(self._content) == 0 and self._tags
            page: Page = Reply(body=piece)
            if self._spoiled:
                page = self._spoiled.pop(0)(piece)
            self.site.pages[f"/{len(self._tags)}.seg"] = page
            self._tags.append("#EXT-X-DISCONTINUITY\n" if again else "")
            self._turn += 1


def playout(
    content: Callable[[], Sequence[bytes]] = pieces, init: Callable[[], bytes] = bytes
) -> Callable[[Servers], AbstractContextManager[Playout]]:
    """A stage with a live HLS stream."""
    return partial(_playout_stage, content, init)


@contextmanager
def _playout_stage(
    content: Callable[[], Sequence[bytes]], init: Callable[[], bytes], servers: Servers
) -> Iterator[Playout]:
    with site() as made:
        yield Playout(made, content(), init())
