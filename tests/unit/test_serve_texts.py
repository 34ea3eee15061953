"""`POST /v1/rooms/{id}/texts`: all lines of a request are taken, or none and why."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import httpx
import pytest
from prometheus_client import CollectorRegistry

from streammon.judge.texts import SentText
from streammon.serve.app import build_app
from streammon.serve.texts import texts_route
from tests.unit.test_serve import JSON, TOKEN, State

PATH = "/v1/rooms/r1/texts"
BODY = '{"texts": [{"text": "你好", "author": "u1"}, {"text": "b"}]}'.encode()


@dataclass(slots=True, kw_only=True)
class Readers:
    """One room, r1, and what was written in it; full, nothing more is taken."""

    got: list[SentText] = field(default_factory=list)
    full: bool = False

    def knows(self, room_id: str) -> bool:
        return room_id == "r1"

    def read(self, texts: Sequence[SentText]) -> bool:
        if not self.full:
            self.got += texts
        return not self.full


def post(readers: Readers, body: bytes = BODY, path: str = PATH, token: str | None = None) -> httpx.Response:
    app = build_app(State(), CollectorRegistry(), [texts_route(readers, token)])

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await client.post(path, content=body, headers=JSON)

    return asyncio.run(ask())


def test_lines_are_taken() -> None:
    readers = Readers()
    answer = post(readers)
    assert (answer.status_code, answer.json()) == (202, {"accepted": 2})
    assert readers.got == [SentText(room_id="r1", text="你好", author="u1"), SentText(room_id="r1", text="b")]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "truncated"),
        (b'{"texts": [{"text": ""}]}', "$.texts[0].text"),
        (b'{"lines": []}', "texts"),
        (b"\xff", "not valid"),
    ],
)
def test_what_is_not_valid_is_told_with_its_place(body: bytes, reason: str) -> None:
    readers = Readers()
    answer = post(readers, body)
    assert answer.status_code == 400
    assert reason in answer.json()["error"]
    assert readers.got == []


def test_what_there_is_no_room_for_may_be_sent_again() -> None:
    answer = post(Readers(full=True))
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")


def test_rooms_and_tokens_are_asked_for_as_for_feedback() -> None:
    assert post(Readers(), path="/v1/rooms/r2/texts").status_code == 404
    assert post(Readers(), token=TOKEN).status_code == 401
    assert post(Readers(), body=b" " * (1 << 20) + BODY).status_code == 413
