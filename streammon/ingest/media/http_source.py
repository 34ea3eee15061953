"""Streams over HTTP: HLS, and what plays as it downloads (HTTP-FLV, MPEG-TS). All bytes come by our own client."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from threading import Event

from streammon.errors import SourceEnded, SourceFinished, SourceNotMedia, SourceStalled, SourceUnreachable
from streammon.ingest.config import IngestConfig
from streammon.ingest.hls.reader import MAX_PLAYLIST_BYTES, HlsReader, Loaded
from streammon.ingest.media.bounds import Bounds
from streammon.ingest.media.demux import LONGEST_PAUSE_S, DemuxedRun, open_container
from streammon.ingest.media.feed import BodyFile, FedRun, SegmentFile, SegmentStamp
from streammon.ingest.net.address import AddressPolicy
from streammon.ingest.net.http_client import Body, Fetched, HttpClient, HttpTimes, tls_context
from streammon.ingest.source import Run, SourceRequest

# Longer probes would wait for what a live stream has not sent yet.
_PROBE = {"probesize": "500000", "analyzeduration": "700000"}
_SNIFF_BYTES = 16
_PLAYLIST = b"#EXTM3U"
_TS_PACKET_BYTES = 188
_TS_SYNC = b"\x47"
_BOM = b"\xef\xbb\xbf"


class HttpSource:
    """One HTTP stream; what it is, is seen by its first bytes. See `Source`."""

    def __init__(self, request: SourceRequest, config: IngestConfig, policy: AddressPolicy, stop: Event) -> None:
        self._config = config
        self._bounds = Bounds.of(config)
        self._stop = stop
        self._url = request.url
        self._resumed = request.resumed
        self._reader: HlsReader | None = None
        times = HttpTimes(connect_s=config.open_timeout, read_s=config.stall_after)
        tls = tls_context(None if config.ca_file is None else str(config.ca_file))
        with ExitStack() as opened:
            self._client = opened.enter_context(HttpClient(policy, times, tls, stop, request))
            self._answer = opened.enter_context(ExitStack())
            try:
                with self._client.within(config.open_timeout):
                    self._body = self._answer.enter_context(self._client.stream(request.url))
                    self._head = self._body.peek(_SNIFF_BYTES)
            except SourceStalled as error:
                waited = f"nothing came within {config.open_timeout:g} s"
                raise SourceUnreachable(f"{waited}; check the address and that it is live") from error
            self._opened = opened.pop_all()

    def runs(self) -> Iterator[Run]:
        """See `Source`."""
        if self._head.removeprefix(_BOM).startswith(_PLAYLIST):
            return self._hls_runs(self._whole(self._body))
        return self._body_runs(self._body)

    @property
    def patience_s(self) -> float:
        """See `Source`."""
        if self._reader is None:
            return self._config.stall_after
        return self._reader.patience_s + (LONGEST_PAUSE_S if self._reader.paced else 0.0)

    def close(self) -> None:
        """See `Source`."""
        self._opened.close()

    def _whole(self, body: Body) -> Fetched:
        with self._client.within(self._config.open_timeout):
            content = body.read_all(MAX_PLAYLIST_BYTES)
        self._answer.close()
        return Fetched(url=body.url, body=content, received_at=datetime.now(UTC), received_s=time.monotonic())

    def _hls_runs(self, playlist: Fetched) -> Iterator[Run]:
        reader = self._reader = HlsReader(
            self._client,
            self._url,
            playlist,
            max_height=self._config.max_height,
            stall_after_s=self._config.stall_after,
            play_ended=not self._resumed,
        )
        segments = reader.segments(self._stop)
        first = next(segments, None)
        while first is not None:
            stall_after_s = None if reader.paced else reader.patience_s
            file = SegmentFile(first, segments, stall_after_s)
            with (
                file.checked(),
                open_container(file, options=_PROBE, container=_format_of(first), bounds=self._bounds) as container,
            ):
                run = DemuxedRun(
                    container,
                    self._stop,
                    SegmentStamp(file),
                    stall_after_s=stall_after_s,
                    pace=reader.paced,
                    bounds=self._bounds,
                )
                yield FedRun(run, file, first.skipped_s)
            first = file.following
        if not self._stop.is_set():
            raise SourceFinished("the publisher has ended the stream; it is looked at again")

    def _body_runs(self, body: Body) -> Iterator[Run]:
        file = BodyFile(body, self._client.within, max(self._config.open_timeout, self._config.stall_after))
        with file.checked(), open_container(file, options=_PROBE, bounds=self._bounds) as container:
            run = DemuxedRun(
                container,
                self._stop,
                file.stamp,
                stall_after_s=self._config.stall_after,
                pace=False,
                bounds=self._bounds,
            )
            yield FedRun(run, file)
        if not self._stop.is_set():
            raise SourceEnded("the publisher left; it is tried again")


def _format_of(loaded: Loaded) -> str | None:
    """FFmpeg's name for a segment's container; None: it is to find out among those that are allowed."""
    if loaded.init:
        return "mov"
    head = loaded.data[: _TS_PACKET_BYTES + 1]
    if not head:
        raise SourceNotMedia("a segment is empty; check what the packager writes")
    if head.removeprefix(_BOM).lstrip().startswith(b"<"):
        raise SourceNotMedia("a segment is a page, no media; check the address and what it needs to be let in")
    # FFmpeg would want to see more than one short segment to believe it.
    return "mpegts" if head[::_TS_PACKET_BYTES].strip(_TS_SYNC) == b"" else None
