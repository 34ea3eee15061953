"""Opens whatever carries a room's stream."""

from __future__ import annotations

from threading import Event

from streammon.ingest.config import IngestConfig
from streammon.ingest.media.bounds import Bounds
from streammon.ingest.media.ffmpeg_source import FileSource, RtmpSource
from streammon.ingest.media.http_source import HttpSource
from streammon.ingest.net.address import AddressPolicy
from streammon.ingest.source import Source, SourceRequest


def open_source(request: SourceRequest, config: IngestConfig, stop: Event) -> Source:
    """An open connection to the stream, which is given up soon after `stop` is set. Raises SourceError."""
    if not request.live:
        return FileSource(request.url, stop, Bounds.of(config))
    policy = AddressPolicy(allow=config.allow_networks)
    if request.url.lower().startswith("http"):
        return HttpSource(request, config, policy, stop)
    return RtmpSource(request.url, config, policy, stop)
