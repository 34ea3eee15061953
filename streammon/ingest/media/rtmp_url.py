"""RTMP URLs as FFmpeg is to see them: with an address that was checked in place of the name where that can be."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import SplitResult, urlsplit, urlunsplit

from streammon.errors import SourceUnreachable
from streammon.ingest.net.address import AddressPolicy

_DEFAULT_PORTS = {"rtmp": 1935, "rtmps": 443}


def checked_address(url: str, policy: AddressPolicy, find: Callable[[str], list[str]]) -> tuple[str, dict[str, str]]:
    """The URL with an address that was checked in place of its host, and FFmpeg's options for it.

    So the name cannot lead elsewhere when FFmpeg connects. The server is still told the name (`tcUrl`). RTMPS keeps the
    name in the URL: FFmpeg can verify the certificate of an address by a name (`verifyhost`), but does not tell the
    server that name then (SNI), by which servers choose the certificate. Where the name leads elsewhere in between,
    the certificate does not fit, so nothing is said there but which name was wanted.

    `find` gives a host's addresses. Raises SourceForbidden or SourceUnreachable.
    """
    try:
        policy.check_scheme(url)
        split = urlsplit(url)
        scheme = split.scheme.lower()
        host, port = split.hostname or "", split.port if split.port is not None else _DEFAULT_PORTS[scheme]
    except ValueError as error:
        raise SourceUnreachable("the URL is malformed; check its host and port") from error
    address = policy.only_allowed(find(host))[0]
    if scheme == "rtmps":
        return url, {"protocol_whitelist": "rtmps,rtmp,tls,tcp", "tls_verify": "1"}
    user, at, _ = split.netloc.rpartition("@")
    checked = urlunsplit((split.scheme, f"{user}{at}{_bracketed(address)}:{port}", split.path, split.query, ""))
    told = f"{scheme}://{_bracketed(host)}:{port}/{_app(split)}"
    return checked, {"protocol_whitelist": "rtmp,tcp", "rtmp_tcurl": told}


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _app(split: SplitResult) -> str:
    """The application's name in a URL, as FFmpeg divides it from the stream's.

    From libavformat/rtmpproto.c, rtmp_open, which does not stop at the query.
    """
    rest = f"{split.path}?{split.query}" if split.query else split.path
    rest = rest.removeprefix("/")
    if rest.startswith("ondemand/"):
        return "ondemand"
    app, _, name = rest.partition("/")
    instance, slash, _ = name.partition("/")
    if not slash or ":" in instance:
        return app
    return f"{app}/{instance}"
