"""Streams that FFmpeg itself opens: RTMP, whose host is resolved and checked first, and files."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from urllib.parse import urlsplit, urlunsplit

from streammon.errors import SourceEnded, SourceHasNoVideo, SourceUnreachable
from streammon.ingest.address import AddressPolicy
from streammon.ingest.config import IngestConfig
from streammon.ingest.demux import DemuxedRun, decodable, open_container, stamped_now
from streammon.ingest.source import Run

# Small probes open RTMP in half a second instead of nearly three; they may find no stream, then FFmpeg's own are used.
_PROBES: tuple[dict[str, str], ...] = ({"probesize": "500000", "analyzeduration": "700000"}, {})
_DEFAULT_PORTS = {"rtmp": 1935, "rtmps": 443}
# Where systems keep their authorities, from Go's crypto/x509/root_linux.go: PyAV's GnuTLS looks in one of these only.
_AUTHORITIES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
)


class RtmpSource:
    """One RTMP or RTMPS connection; see `Source`. Without sockets of our own, a stop is heard at the next packet.

    FFmpeg takes one file of authorities: where `config.ca_file` is set, RTMPS trusts no other.
    """

    def __init__(self, url: str, config: IngestConfig, policy: AddressPolicy, stop: Event) -> None:
        self._stop = stop
        self._stall_after_s = config.stall_after
        checked, options = checked_address(url, policy)
        authorities = str(config.ca_file) if config.ca_file is not None else _system_authorities()
        if authorities is not None:
            options["ca_file"] = authorities
        timeout = (config.open_timeout, config.stall_after)
        for probe in _PROBES:
            self._container = open_container(checked, options={**options, **probe}, timeout=timeout)
            if any(decodable(stream) for stream in self._container.streams.video):
                return
            self._container.close()
        raise SourceHasNoVideo("the stream has no video that can be decoded; publish H.264, HEVC, VP9 or AV1 video")

    def runs(self) -> Iterator[Run]:
        """See `Source`."""
        yield DemuxedRun(self._container, self._stop, stamped_now, stall_after_s=self._stall_after_s, pace=False)
        if not self._stop.is_set():
            raise SourceEnded("the publisher left; it is tried again")

    def close(self) -> None:
        """See `Source`."""
        self._container.close()


class FileSource:
    """A file, played at its own pace; see `Source`."""

    def __init__(self, path: str, stop: Event) -> None:
        self._stop = stop
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
        self._container = open_container(f"file:{path}", options={"protocol_whitelist": "file"})

    def runs(self) -> Iterator[Run]:
        """See `Source`."""
        yield DemuxedRun(self._container, self._stop, stamped_now, stall_after_s=None, pace=True)

    def close(self) -> None:
        """See `Source`."""
        self._container.close()


def checked_address(url: str, policy: AddressPolicy) -> tuple[str, dict[str, str]]:
    """The URL with an address that was checked in place of its host, and FFmpeg's options for it.

    So the name cannot lead elsewhere when FFmpeg connects. The server is still told the name (`tcUrl`). RTMPS keeps the
    name in the URL, since its certificate is verified by it. Raises SourceForbidden or SourceUnreachable.
    """
    try:
        policy.check_scheme(url)
        split = urlsplit(url)
        scheme = split.scheme.lower()
        host, port = split.hostname or "", split.port or _DEFAULT_PORTS[scheme]
    except ValueError as error:
        raise SourceUnreachable("the URL is malformed; check its host and port") from error
    address, _ = policy.resolve(host, port)[0]
    if scheme == "rtmps":
        return url, {"protocol_whitelist": "rtmps,rtmp,tls,tcp", "tls_verify": "1"}
    user, at, _ = split.netloc.rpartition("@")
    literal = f"[{address}]" if ":" in address else address
    checked = urlunsplit((split.scheme, f"{user}{at}{literal}:{port}", split.path, split.query, ""))
    bracketed = f"[{host}]" if ":" in host else host
    path = f"{split.path}?{split.query}" if split.query else split.path
    told = f"{scheme}://{bracketed}:{port}/{rtmp_app(path)}"
    return checked, {"protocol_whitelist": "rtmp,tcp", "rtmp_tcurl": told}


def _system_authorities() -> str | None:
    """The system's file of authorities, or the one that SSL_CERT_FILE names, as Python's ssl has it."""
    named = ssl.get_default_verify_paths().cafile
    return named if named is not None else next((path for path in _AUTHORITIES if Path(path).exists()), None)


def rtmp_app(path: str) -> str:
    """The application's name in a path and query, as FFmpeg divides it from the stream's.

    From libavformat/rtmpproto.c, rtmp_open, which does not stop at the query.
    """
    rest = path.removeprefix("/")
    if rest.startswith("ondemand/"):
        return "ondemand"
    app, _, name = rest.partition("/")
    instance, slash, _ = name.partition("/")
    if not slash or ":" in instance:
        return app
    return f"{app}/{instance}"
