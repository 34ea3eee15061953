"""Asks a running monitor by HTTP."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import httpcore
import msgspec

from streammon.errors import StreammonError

_WITHIN_S = 60.0  # a switch waits for a frame that is being looked at
_GONE = (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError, httpcore.UnsupportedProtocol)


class _Refusal(msgspec.Struct):
    error: str


class Monitor:
    """The one at `url`, such as `http://127.0.0.1:9464`; the first line of `token_file` is its `http.token`.

    Raises StreammonError where the file cannot be read.
    """

    def __init__(self, url: str, token_file: Path | None) -> None:
        self._url = url.rstrip("/")
        self._headers: dict[bytes | str, bytes | str] = {"content-type": "application/json"}
        if token_file is not None:
            self._headers["authorization"] = f"Bearer {_first_line(token_file)}"

    def ask(self, method: str, *path: str, body: bytes = b"") -> bytes:
        """The body of its answer. Raises StreammonError with what it says where it refuses, or where nobody answers."""
        url = "/".join((self._url, "v1", *(quote(part, safe="") for part in path)))
        timeouts = dict.fromkeys(("connect", "read", "write", "pool"), _WITHIN_S)
        try:
            with httpcore.ConnectionPool() as pool:
                answer = pool.request(
                    method, url, headers=self._headers, content=body, extensions={"timeout": timeouts}
                )
        except _GONE as error:
            raise StreammonError(
                f"no monitor answers at {self._url} ({type(error).__name__}); --url should be that of `streammon run` "
                "or `watch --http`"
            ) from error
        if 200 <= answer.status < 300:
            return answer.content
        raise StreammonError(_reason(answer))


def _reason(answer: httpcore.Response) -> str:
    try:
        return msgspec.json.decode(answer.content, type=_Refusal).error
    except msgspec.DecodeError:
        return (
            f"the monitor answers {answer.status}; a host that others reach takes this only where `http.token` is set"
        )


def _first_line(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").partition("\n")[0].strip()
    except (OSError, UnicodeDecodeError) as error:
        raise StreammonError(f"--token-file {path} cannot be read: {error}") from error
