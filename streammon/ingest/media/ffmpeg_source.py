"""Streams that FFmpeg itself opens: RTMP, whose host is resolved and checked first, and files."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from threading import Event

from av.container import InputContainer

from streammon.errors import SourceEnded, SourceHasNoVideo, SourceUnreachable
from streammon.ingest.config import IngestConfig
from streammon.ingest.media.bounds import USUAL_BOUNDS, Bounds
from streammon.ingest.media.demux import LONGEST_PAUSE_S, DemuxedRun, decodable, open_container, stamped_now
from streammon.ingest.media.rtmp_url import checked_address
from streammon.ingest.net.address import AddressPolicy
from streammon.ingest.net.authorities import authorities_file
from streammon.ingest.net.patience import Patience
from streammon.ingest.net.resolver import Resolver, shared_resolver
from streammon.ingest.source import Run

# Small probes open RTMP in half a second instead of nearly three; they may find no stream, then FFmpeg's own are used.
_PROBES: tuple[dict[str, str], ...] = ({"probesize": "500000", "analyzeduration": "700000"}, {})


class RtmpSource:
    """One RTMP or RTMPS connection; see `Source`. Without sockets of our own, a stop is heard at the next packet.

    `resolver` finds the host's address; None: the process's own. All of the opening takes `config.open_timeout`.
    """

    def __init__(
        self, url: str, config: IngestConfig, policy: AddressPolicy, stop: Event, resolver: Resolver | None = None
    ) -> None:
        self._stop = stop
        self._config = config
        self._bounds = Bounds.of(config)
        self._until_s = time.monotonic() + config.open_timeout
        resolver = resolver if resolver is not None else shared_resolver()
        find = partial(resolver.addresses, patience=Patience(stop), timeout_s=config.open_timeout)
        checked, options = checked_address(url, policy, find)
        self._container = self._open(checked, options | _trusted(config))

    @property
    def patience_s(self) -> float:
        """See `Source`."""
        return self._config.stall_after

    def runs(self) -> Iterator[Run]:
        """See `Source`."""
        yield DemuxedRun(
            self._container,
            self._stop,
            stamped_now,
            stall_after_s=self._config.stall_after,
            pace=False,
            bounds=self._bounds,
        )
        if not self._stop.is_set():
            raise SourceEnded("the publisher left; it is tried again")

    def close(self) -> None:
        """See `Source`."""
        self._container.close()

    def _open(self, url: str, options: dict[str, str]) -> InputContainer:
        for probe in _PROBES:
            timeout = (self._left_s(), self._config.stall_after)
            container = open_container(url, options=options | probe, timeout=timeout, bounds=self._bounds)
            try:
                self._left_s()  # where time ran out while it was probed, FFmpeg hands out what is broken
            except SourceUnreachable:
                container.close()
                raise
            if any(decodable(stream) for stream in container.streams.video):
                return container
            container.close()
        raise SourceHasNoVideo("the stream has no video that can be decoded; publish H.264, HEVC, VP9 or AV1 video")

    def _left_s(self) -> float:
        left_s = self._until_s - time.monotonic()
        if left_s <= 0:
            raise SourceUnreachable("the stream did not open in time; check the address and that it is live")
        return left_s


class FileSource:
    """A file, played at its own pace; see `Source`."""

    patience_s = LONGEST_PAUSE_S + 5.0

    def __init__(self, path: str, stop: Event, bounds: Bounds = USUAL_BOUNDS) -> None:
        self._stop = stop
        self._bounds = bounds
        try:
            with Path(path).open("rb"):
                pass
        except FileNotFoundError as error:
            raise SourceUnreachable("no such file; give a path, or an rtmp://, http:// or https:// URL") from error
        except OSError as error:
            why = error.strerror
            raise SourceUnreachable(
                f"the file cannot be read: {why}; give a video file that streammon may read"
            ) from error
        # With its protocol, since a name with a colon in it would be taken for another's.
        self._container = open_container(f"file:{path}", options={"protocol_whitelist": "file"}, bounds=bounds)

    def runs(self) -> Iterator[Run]:
        """See `Source`."""
        yield DemuxedRun(self._container, self._stop, stamped_now, stall_after_s=None, pace=True, bounds=self._bounds)

    def close(self) -> None:
        """See `Source`."""
        self._container.close()


def _trusted(config: IngestConfig) -> dict[str, str]:
    """FFmpeg's option for whom RTMPS trusts."""
    try:
        authorities = authorities_file(config.ca_file)
    except OSError as error:
        raise SourceUnreachable(f"`ingest.ca_file` cannot be read: {error.strerror}; check it") from error
    return {} if authorities is None else {"ca_file": str(authorities)}
