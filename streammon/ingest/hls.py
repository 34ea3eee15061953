"""Follows a live HLS stream: polls its playlist and fetches its segments, in order, from the live edge on.

Used by the room's thread, which it blocks while it waits for the next segment.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from threading import Event

from streammon.errors import (
    SourceEnded,
    SourceFinished,
    SourceNotMedia,
    SourceStalled,
    SourceTooLarge,
    SourceUnreachable,
)
from streammon.ingest.hls_crypto import Decryptor
from streammon.ingest.http_client import Fetched, HttpClient
from streammon.ingest.playlist import parse_playlist
from streammon.ingest.playlist_entities import InitSection, MasterPlaylist, MediaPlaylist, Segment
from streammon.ingest.rendition import choose_variant

MAX_PLAYLIST_BYTES = 4 << 20
_MAX_SEGMENT_BYTES = 64 << 20
_MAX_INIT_BYTES = 1 << 20
_MAX_MASTER_HOPS = 3
# Reloads in a row that show an older window, before it is believed that the publisher began to count anew.
_OLDER_RELOADS = 3
# Segments in a row that cannot be fetched, before the stream is given up and opened anew.
_MAX_MISSING = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A segment's bytes, ready for a demuxer. `init` is what must come before them in a new run (fMP4), else empty.

    `begins_run`: timestamps, codec or init section may differ from the last segment's. `received_at` is UTC,
    `received_s` the same on the monotonic clock.
    """

    data: bytes
    init: bytes
    begins_run: bool
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
        self._first: Fetched | None = first
        self._max_height = max_height
        self._stall_after_s = stall_after_s
        self._play_ended = play_ended
        self._decryptor = Decryptor(client, stall_after_s)
        self._init: InitSection | None = None
        self._init_body = b""
        self._target_duration_s = 0.0
        self.paced = False

    @property
    def patience_s(self) -> float:
        """How long a live stream may go without anything new: segments come whole, so not less than three of them."""
        return max(self._stall_after_s, 3 * self._target_duration_s)

    def segments(self, stop: Event) -> Iterator[Loaded]:
        """The stream's segments, as they appear, until its publisher says that it is over or `stop` is set."""
        following = Following(self._open(), from_start=self.paced)
        missing = 0
        came_s = time.monotonic()
        while not stop.is_set():
            if not self.paced and time.monotonic() - came_s > self.patience_s:
                raise SourceStalled("no new segment came any more; it is tried again")
            segment = following.next()
            if segment is None:
                if following.ended:
                    return
                self._reload(following, stop)
            elif segment.gap:
                following.break_run()
            elif (loaded := self._load(segment, following)) is not None:
                missing = 0
                yield loaded
                came_s = time.monotonic()  # what the room's thread did meanwhile is not the stream's fault
            else:
                missing = self._count_missing(missing)

    def _count_missing(self, before: int) -> int:
        if before >= _MAX_MISSING:
            raise SourceUnreachable(f"{before + 1} segments in a row are missing; the stream is opened anew")
        return before + 1

    def _open(self) -> MediaPlaylist:
        for _ in range(_MAX_MASTER_HOPS):
            playlist = self._fetch_playlist()
            if isinstance(playlist, MediaPlaylist):
                if playlist.ended and not self._play_ended:
                    raise SourceFinished("the stream is over; it is looked at again")
                self.paced = playlist.ended
                self._target_duration_s = playlist.target_duration_s
                return playlist
            self._url = choose_variant(playlist.variants, self._max_height).uri
        raise SourceNotMedia("the playlist leads only to further playlists of variants; check the address")

    def _fetch_playlist(self) -> MediaPlaylist | MasterPlaylist:
        fetched, self._first = self._first, None
        if fetched is None:
            fetched = self._client.get(self._url, max_bytes=MAX_PLAYLIST_BYTES, within_s=self._stall_after_s)
        return parse_playlist(fetched.body.decode("utf-8", errors="replace"), fetched.url)

    def _reload(self, following: Following, stop: Event) -> None:
        stop.wait(following.reload_after_s())
        if stop.is_set():
            return
        playlist = self._fetch_playlist()
        if not isinstance(playlist, MediaPlaylist):
            raise SourceEnded("the playlist turned into one of variants; the stream is opened anew")
        self._target_duration_s = playlist.target_duration_s
        following.update(playlist)

    def _load(self, segment: Segment, following: Following) -> Loaded | None:
        """The segment, or None where it is not to be had, which makes the next one begin a new run."""
        try:
            init = self._load_init(segment)
            fetched = self._client.get(
                segment.uri, max_bytes=_MAX_SEGMENT_BYTES, within_s=self.patience_s, part=segment.byte_range
            )
            data = self._decryptor.decrypt(fetched.body, segment.key, segment.sequence)
        except (SourceUnreachable, SourceTooLarge):
            following.break_run()
            return None
        begins = following.take_break(segment) or init is not None
        return Loaded(
            data=data,
            init=init if init is not None else self._init_body if begins else b"",
            begins_run=begins,
            segment=segment,
            received_at=fetched.received_at,
            received_s=fetched.received_s,
        )

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


class Following:
    """Where in the playlist we are, and which of its segments begin a new run. Pure."""

    def __init__(self, playlist: MediaPlaylist, *, from_start: bool) -> None:
        self._pending = list(playlist.segments if from_start else playlist.segments[-1:])
        self._breaks = _breaks(playlist)
        self._next_sequence = _end(playlist)
        self._target_duration_s = playlist.target_duration_s
        self._older = 0
        self._broken = True
        self._discontinuity: int | None = None
        self._changed = True
        self.ended = playlist.ended

    def next(self) -> Segment | None:
        """The next segment, None where the playlist must be loaded again."""
        return self._pending.pop(0) if self._pending else None

    def reload_after_s(self) -> float:
        """How long to wait before loading it again.

        Half of what RFC 8216 (6.3.4) asks for, a target duration after a playlist that had news and half of one after
        others, since the wait begins when the last segment has been watched and not when the playlist was asked for.
        """
        wait_s = self._target_duration_s if self._changed else self._target_duration_s / 2
        return min(max(wait_s / 2, 0.2), 5.0)

    def update(self, playlist: MediaPlaylist) -> None:
        """Takes a reloaded playlist in, once there is no next segment."""
        self._target_duration_s = playlist.target_duration_s
        if _end(playlist) < self._next_sequence:
            self._take_older(playlist)
            return
        self._older = 0
        self.ended = playlist.ended
        fresh = [segment for segment in playlist.segments if segment.sequence >= self._next_sequence]
        self._changed = bool(fresh)
        if not fresh:
            return
        if fresh[0].sequence > self._next_sequence:
            self.break_run()
            fresh = fresh[-1:]  # segments were missed: what is live now counts, not the backlog
        elif fresh[0] is playlist.segments[0] and fresh[0].discontinuity_sequence != self._discontinuity:
            self.break_run()
        self._pending, self._breaks, self._next_sequence = fresh, _breaks(playlist), _end(playlist)

    def break_run(self) -> None:
        """The next segment does not follow the last one."""
        self._broken = True

    def take_break(self, segment: Segment) -> bool:
        """Whether this segment begins a new run."""
        begins = self._broken or segment.sequence in self._breaks
        self._broken, self._discontinuity = False, segment.discontinuity_sequence
        return begins

    def _take_older(self, playlist: MediaPlaylist) -> None:
        """From a CDN node that is behind, or a publisher that counts anew."""
        self._changed = False
        self._older += 1
        if self._older < _OLDER_RELOADS:
            return
        self.ended = playlist.ended
        if not playlist.segments:
            return
        self._older, self._changed = 0, True
        self._pending, self._breaks, self._next_sequence = list(playlist.segments[-1:]), set(), _end(playlist)
        self.break_run()


def _end(playlist: MediaPlaylist) -> int:
    """The number of the segment that comes after its last."""
    return playlist.segments[-1].sequence + 1 if playlist.segments else playlist.media_sequence


def _breaks(playlist: MediaPlaylist) -> set[int]:
    """The numbers of the segments that a discontinuity stands before.

    Told by their neighbours: many servers leave EXT-X-DISCONTINUITY-SEQUENCE out, and then count from the playlist's
    beginning, so that the same segment has another count as soon as an earlier discontinuity has slid out.
    """
    counts = [playlist.discontinuity_sequence, *(segment.discontinuity_sequence for segment in playlist.segments)]
    return {
        segment.sequence
        for before, segment in zip(counts, playlist.segments, strict=False)
        if segment.discontinuity_sequence != before
    }
