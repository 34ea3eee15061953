"""Who may speak to the monitor by HTTP: this machine, or who shows the token."""

from __future__ import annotations

import hmac
import logging
from ipaddress import ip_address

from starlette.requests import Request
from starlette.responses import Response

from streammon.serve.requests import refused

_log = logging.getLogger(__name__)


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens there: 127.0.0.0/8, ::1 or `localhost`."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def may_serve(host: str, token: str | None) -> bool:
    """Whether what changes something is served at `host`: not where others reach it without a token."""
    if token is not None or is_loopback(host):
        return True
    _log.info("nothing is taken by HTTP: %s is no loopback address, and `http.token` is not set", host)
    return False


def stranger(request: Request, token: str | None) -> Response | None:
    """The refusal of who may not speak here.

    Without a token a web page that somebody on this machine has open is the danger: it can send what is not JSON to any
    address (see `not_json`), and by DNS rebinding anything to ours, but then under its own host name.
    """
    if token is not None:
        # Starlette reads headers as Latin-1, so this gives the bytes as they came.
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode("latin-1"), token.encode()):
            return refused(401, "needs `Authorization: Bearer` with the token", {"www-authenticate": "Bearer"})
    elif not is_loopback(request.url.hostname or ""):
        return refused(403, "should be asked by a loopback address, or `http.token` be set")
    return None


def not_json(request: Request) -> Response | None:
    """The refusal of what changes something and does not call itself JSON, which a web page may not send elsewhere."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return None if media_type == "application/json" else refused(415, "should be `Content-Type: application/json`")
