"""What of a URL goes into an HTTP request, and to whom it belongs."""

from __future__ import annotations

import string
from base64 import b64encode
from urllib.parse import quote, unquote, urlsplit, urlunsplit

_PORTS = {"http": 80, "https": 443}
_SENT_AS_IS = string.ascii_letters + string.digits + string.punctuation


def origin(url: str) -> tuple[str, str, int | None]:
    """Whom a URL belongs to: scheme, host and port. Raises ValueError where it is none."""
    split = urlsplit(url)
    return split.scheme, split.hostname or "", split.port if split.port is not None else _PORTS.get(split.scheme)


def host_header(url: str) -> str:
    """Host and port as they stand in a request, in ASCII. Raises ValueError."""
    scheme, name, port = origin(url)
    host = f"[{name}]" if ":" in name else name.encode("idna").decode("ascii")
    return host if port in {None, _PORTS.get(scheme)} else f"{host}:{port}"


def sendable(url: str) -> str:
    """The URL without fragment and credentials, its other than ASCII characters and blanks as browsers send them."""
    split = urlsplit(url)
    path, query = (quote(part, safe=_SENT_AS_IS) for part in (split.path, split.query))
    return urlunsplit((split.scheme, host_header(url), path, query, ""))


def basic_authorization(url: str) -> dict[str, str]:
    """The header for the user and password in a URL; none where it has none."""
    split = urlsplit(url)
    if split.username is None:
        return {}
    pair = f"{unquote(split.username)}:{unquote(split.password or '')}"
    return {"authorization": f"Basic {b64encode(pair.encode()).decode('ascii')}"}
