"""`/v1/models`: what is passed on, what each refusal answers, and who may ask."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import httpx
import msgspec
import pytest
from prometheus_client import CollectorRegistry

from streammon.detect.shadow.report import DetectorModels, ModelFile, ShadowAsked
from streammon.errors import DetectorUnknown, ModelError, ModelMissing, ModelUpdateRefused
from streammon.serve.app import build_app
from streammon.serve.models import model_routes
from tests.unit.test_serve import State

REPORT = [DetectorModels(detector="nsfw", models={"m": ModelFile(file="m.onnx", sha256="ab", configured=True)})]
JSON = {"content-type": "application/json"}
CHANGES = [
    ("PUT", "/v1/models/nsfw/shadow"),
    ("DELETE", "/v1/models/nsfw/shadow"),
    ("POST", "/v1/models/nsfw/switch"),
    ("POST", "/v1/models/nsfw/rollback"),
]


@dataclass(slots=True)
class Keeper:
    """Keeps what it was asked for, and raises `error` if it has one."""

    error: ModelError | None = None
    asked: list[tuple[object, ...]] = field(default_factory=list)

    def report(self) -> Sequence[DetectorModels]:
        return REPORT

    def shadow(self, name: str, asked: ShadowAsked) -> None:
        self._note("shadow", name, asked)

    def unshadow(self, name: str) -> None:
        self._note("unshadow", name)

    def switch(self, name: str) -> None:
        self._note("switch", name)

    def rollback(self, name: str) -> None:
        self._note("rollback", name)

    def _note(self, *asked: object) -> None:
        if self.error is not None:
            raise self.error
        self.asked.append(asked)


def ask(
    keeper: Keeper,
    method: str,
    path: str,
    body: bytes = b'{"file":"new.onnx"}',
    headers: dict[str, str] = JSON,
    *,
    token: str | None = None,
    host: str = "127.0.0.1",
) -> httpx.Response:
    app = build_app(State(), CollectorRegistry(), model_routes(keeper, token))

    async def go() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url=f"http://{host}:9464") as client:
            return await client.request(method, path, content=body, headers=headers)

    return asyncio.run(go())


def test_what_is_asked_is_passed_on() -> None:
    keeper = Keeper()
    whole = b'{"file":"v2/new.onnx","model":"rec","share":0.5,"sha256":"ab"}'
    assert ask(keeper, "PUT", "/v1/models/ocr/shadow", whole).status_code == 202
    assert [ask(keeper, method, path).status_code for method, path in CHANGES] == [202, 204, 204, 204]
    assert keeper.asked == [
        ("shadow", "ocr", ShadowAsked(file="v2/new.onnx", model="rec", share=0.5, sha256="ab")),
        ("shadow", "nsfw", ShadowAsked(file="new.onnx")),
        ("unshadow", "nsfw"),
        ("switch", "nsfw"),
        ("rollback", "nsfw"),
    ]


def test_the_report_can_be_read_back() -> None:
    answer = ask(Keeper(), "GET", "/v1/models", b"", {})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert msgspec.json.decode(answer.content, type=list[DetectorModels]) == REPORT


@pytest.mark.parametrize(
    ("error", "status"), [(DetectorUnknown, 404), (ModelMissing, 404), (ModelUpdateRefused, 409), (ModelError, 400)]
)
@pytest.mark.parametrize(("method", "path"), CHANGES)
def test_a_refusal_is_answered_by_its_kind(error: type[ModelError], status: int, method: str, path: str) -> None:
    answer = ask(Keeper(error("because")), method, path)
    assert (answer.status_code, answer.json()) == (status, {"error": "because"})


@pytest.mark.parametrize("body", [b"", b"[]", b'{"file":7}', b"{}", b"\xff", b'{"share":1}'])
def test_what_is_no_request_for_a_trial_is_answered_400(body: bytes) -> None:
    keeper = Keeper()
    answer = ask(keeper, "PUT", "/v1/models/nsfw/shadow", body)
    assert (answer.status_code, keeper.asked) == (400, [])
    assert answer.json()["error"].startswith("what is asked is not valid: ")


def test_a_body_without_end_is_refused() -> None:
    assert ask(Keeper(), "PUT", "/v1/models/nsfw/shadow", b" " * 70_000).status_code == 413


@pytest.mark.parametrize(("method", "path"), [*CHANGES, ("GET", "/v1/models")])
def test_strangers_are_refused(method: str, path: str) -> None:
    keeper = Keeper()
    assert ask(keeper, method, path, host="monitor.example").status_code == 403
    assert ask(keeper, method, path, token="s3cret").status_code == 401  # noqa: S106
    wrong = {**JSON, "authorization": "Bearer other"}
    assert ask(keeper, method, path, headers=wrong, token="s3cret").status_code == 401  # noqa: S106
    assert keeper.asked == []
    right = {**JSON, "authorization": "Bearer s3cret"}
    assert ask(keeper, method, path, headers=right, token="s3cret", host="a.example").status_code < 300  # noqa: S106


@pytest.mark.parametrize(("method", "path"), CHANGES)
def test_what_a_web_page_may_send_changes_nothing(method: str, path: str) -> None:
    keeper = Keeper()
    assert ask(keeper, method, path, headers={"content-type": "text/plain"}).status_code == 415
    assert keeper.asked == []
