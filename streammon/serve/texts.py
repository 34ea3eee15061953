"""Takes what viewers write by HTTP: `POST /v1/rooms/{room_id}/texts`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from streammon.errors import StreammonError
from streammon.judge.texts import SentText, decode_texts
from streammon.serve.posting import posting
from streammon.serve.requests import refused

_MAX_BYTES = 1 << 20


class Writers(Protocol):
    """Who is told what viewers write. Called on the HTTP thread, so nothing may block."""

    def knows(self, room_id: str) -> bool:
        """Whether the room is one of ours."""

    def read(self, texts: Sequence[SentText]) -> bool:
        """Takes all of them in, or none: False."""


def texts_route(writers: Writers, token: str | None) -> Route:
    """Answers 202 and how many lines were taken, or says why none was: 429 where too much waits, or see `posting`."""

    def take(room_id: str, body: bytes) -> Response:
        try:
            texts = decode_texts(room_id, body)
        except StreammonError as error:
            return refused(400, str(error))
        if not writers.read(texts):
            return refused(429, "too much waits to be read; send it again", {"retry-after": "1"})
        return JSONResponse({"accepted": len(texts)}, 202)

    return posting("texts", writers.knows, token, _MAX_BYTES, take)
