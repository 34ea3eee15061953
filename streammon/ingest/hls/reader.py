"""Follows a live HLS stream: polls its playlist and fetches its segments, in order, from the live edge on.

Used by the room's thread, which it blocks while it waits for the next segment.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from threading import Event

from streammon.errors import (
    SourceEnded,
    SourceError,
    SourceFinished,
    SourceNotMedia,
    SourceStalled,
    SourceTooLarge,
    SourceUnreachable,
)
from streammon.ingest.hls.crypto import Decryptor
from streammon.ingest.hls.following import Following
from streammon.ingest.hls.playlist import parse_playlist
from streammon.ingest.hls.playlist_entities import InitSection, MasterPlaylist, MediaPlaylist, Segment
from streammon.ingest.hls.rendition import choose_variant
from streammon.ingest.net.http_client import Fetched, HttpClient

MAX_PLAYLIST_BYTES = 4 << 20
_MAX_SEGMENT_BYTES = 64 << 20
_MAX_INIT_BYTES = 1 << 20
_MAX_MASTER_HOPS = 3
# Segments in a row that cannot be fetched, before the stream is given up and opened anew.
_MAX_MISSING = 3
# Reloads that may hang before a stream is stalled: the next one has a new connection.
_RELOADS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A segment's bytes, ready for a demuxer. `init` is what must come before them in a new run (fMP4), else empty.

    `begins_run`: timestamps, codec or init section may differ from the last segment's, and `skipped_s` of the stream
    were missed between the two, as far as is known. `lag_s` is how far its start was behind the stream's live edge when
    it came, None for a recording. `received_at` is UTC, `received_s` the same on the monotonic clock.
    """

    data: bytes
    init: bytes
    begins_run: bool
    skipped_s: float
    lag_s: float | None
    segment: Segment
    received_at: datetime
    received_s: float


class HlsReader:
    """One connection to one HLS stream. Errors are SourceErrors.

    `first` is the playlist at `url` as it was fetched to see what it is. `play_ended`: one that is over is played
    from its beginning; otherwise that raises SourceFinished. `paced`, known once the first segment has come: it is such
    a one, to be played at its own pace.
    """

    def __init__(
        self, client: HttpClient, url: str, first: Fetched, *, max_height: int, stall_after_s: float, play_ended: bool
    ) -> None:
        self._client = client
        self._url = url
        self._first = first
        self._max_height = max_height
        self._stall_after_s = stall_after_s
        self._play_ended = play_ended
        self._decryptor = Decryptor(client, stall_after_s)
        self._init: InitSection | None = None
        self._init_body = b""
        self._target_duration_s = 0.0
        self._came_s = 0.0
        self._missing = 0
        self._failure: SourceError | None = None
        self.paced = False

    @property
    def patience_s(self) -> float:
        """How long a live stream may go without anything new: segments come whole, so not less than three of them."""
        return max(self._stall_after_s, 3 * self._target_duration_s)

    def segments(self, stop: Event) -> Iterator[Loaded]:
        """The stream's segments, as they appear, until its publisher says that it is over or `stop` is set."""
        following = self._open()
        self._came_s = time.monotonic()
        while not stop.is_set():
            if self._left_s() <= 0:
                raise self._failure or SourceStalled("no new segment came any more; it is tried again")
            segment = following.next()
            if segment is None:
                if following.ended:
                    return
                self._reload(following, stop)
            elif segment.gap:
                following.skip(segment)
            elif (loaded := self._load(segment, following)) is not None:
                yield loaded
                # What the room's thread did meanwhile is not the stream's fault.
                self._missing, self._came_s = 0, time.monotonic()

    def _left_s(self) -> float:
        """How long the next segment may still take. Whoever watches a recording need not hurry."""
        return math.inf if self.paced else self._came_s + self.patience_s - time.monotonic()

    def _open(self) -> Following:
        for hop in range(_MAX_MASTER_HOPS):
            fetched = self._first if hop == 0 else self._fetch_playlist(self._stall_after_s)
            playlist = _parsed(fetched)
            if isinstance(playlist, MediaPlaylist):
                if playlist.ended and not self._play_ended:
                    raise SourceFinished("the stream is over; it is looked at again")
                self.paced = playlist.ended
                self._target_duration_s = playlist.target_duration_s
                return Following(playlist, fetched.received_s, from_start=self.paced)
            self._url = choose_variant(playlist.variants, self._max_height).uri
        raise SourceNotMedia("the playlist leads only to further playlists of variants; check the address")

    def _fetch_playlist(self, within_s: float) -> Fetched:
        return self._client.get(self._url, max_bytes=MAX_PLAYLIST_BYTES, within_s=within_s)

    def _reload(self, following: Following, stop: Event) -> None:
        """Loads the playlist again, or remembers why it could not be: time may mend that while there is some left."""
        stop.wait(min(following.reload_after_s(), self._left_s()))
        if stop.is_set() or self._left_s() <= 0:
            return
        try:
            fetched = self._fetch_playlist(min(self.patience_s / _RELOADS, self._left_s()))
            playlist = _parsed(fetched)
        except (SourceUnreachable, SourceEnded, SourceStalled, SourceNotMedia) as error:
            following.reload_failed()
            if self._failure is None or self._left_s() > 0:  # that time ran out says less than what went before
                self._failure = error
            return
        if not isinstance(playlist, MediaPlaylist):
            raise SourceEnded("the playlist turned into one of variants; the stream is opened anew")
        self._failure = None
        self._target_duration_s = playlist.target_duration_s
        following.update(playlist, fetched.received_s)

    def _load(self, segment: Segment, following: Following) -> Loaded | None:
        """The segment, or None where it is not to be had, which makes the next one begin a new run."""
        try:
            with self._client.within(self._left_s()):
                init = self._load_init(segment)
                fetched = self._client.get(
                    segment.uri, max_bytes=_MAX_SEGMENT_BYTES, within_s=self.patience_s, part=segment.byte_range
                )
                data = self._decryptor.decrypt(fetched.body, segment.key, segment.sequence)
        except (SourceUnreachable, SourceEnded, SourceTooLarge) as error:
            self._count_missing(error)
            following.skip(segment)
            return None
        step = following.take(segment)
        begins = step.begins_run or init is not None
        return Loaded(
            data=data,
            init=init if init is not None else self._init_body if begins else b"",
            begins_run=begins,
            skipped_s=step.skipped_s,
            lag_s=None if self.paced else step.behind_s + fetched.received_s - following.loaded_s,
            segment=segment,
            received_at=fetched.received_at,
            received_s=fetched.received_s,
        )

    def _count_missing(self, error: SourceError) -> None:
        self._missing += 1
        if self._missing > _MAX_MISSING:
            raise SourceUnreachable(
                f"{self._missing} segments in a row are missing; the stream is opened anew"
            ) from error

    def _load_init(self, segment: Segment) -> bytes | None:
        """The init section where it is another than before, else None."""
        if segment.init == self._init:
            return None
        if segment.init is None:
            self._init, self._init_body = None, b""
            return b""
        fetched = self._client.get(
            segment.init.uri, max_bytes=_MAX_INIT_BYTES, within_s=self._stall_after_s, part=segment.init.byte_range
        )
        self._init = segment.init
        self._init_body = self._decryptor.decrypt(fetched.body, segment.init.key, 0)
        return self._init_body


def _parsed(fetched: Fetched) -> MediaPlaylist | MasterPlaylist:
    return parse_playlist(fetched.body.decode("utf-8", errors="replace"), fetched.url)
