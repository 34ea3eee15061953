"""Weights from pinned addresses, fetched from a TLS server on loopback: whole, in parts, by a proxy, and not at all."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from streammon.backoff import Backoff
from streammon.errors import ModelCorrupt, ModelSourceUnavailable
from streammon.models.catalog import Catalog, Licence, Model, SourceFile, Task, UrlSource
from streammon.models.store import ModelStore, StoreState
from streammon.models.urls import UrlTimes, fetch
from tests.integration.connect_proxy import ConnectProxy
from tests.integration.scripted_http import Page, Reply, ScriptedServer, Talk, hang, redirect
from tests.integration.test_http_tls import LOCAL, Authority

COMMIT = "c0ffee" * 6 + "c0de"
WEIGHTS = bytes(range(256)) * 4000
PATH = f"/{COMMIT}/onnx/m.onnx"
ETAG = '"one"'
PROXIES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Authority:
    """No proxy, and an authority of our own."""
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    authority = Authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.ca_file))
    return authority


@pytest.fixture
def server(surroundings: Authority) -> Iterator[ScriptedServer]:
    with ScriptedServer(tls=surroundings.server_context(LOCAL)) as one:
        one.pages[PATH] = in_parts(WEIGHTS)
        yield one


def in_parts(content: bytes, etag: str = ETAG, cut_at: int | None = None) -> Page:
    """A file of which the rest can be had. The first answer ends at `cut_at`, in the middle of what it promised."""
    answered: list[int] = []

    def page(talk: Talk) -> Reply | None:
        first = int(talk.asked.headers.get("range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        if talk.asked.headers.get("if-range", etag) != etag:
            first = 0
        answered.append(first)
        headers = {"ETag": etag}
        if first:
            headers["Content-Range"] = f"bytes {first}-{len(content) - 1}/{len(content)}"
        whole = Reply(body=content[first:], status=206 if first else 200, headers=headers)
        if cut_at is None or len(answered) > 1:
            return whole
        head, _, body = whole.encode().partition(b"\r\n\r\n")
        talk.send(head + b"\r\n\r\n" + body[:cut_at])
        return None

    return page


def source(server: ScriptedServer, content: bytes = WEIGHTS) -> UrlSource:
    digest = hashlib.sha256(content).hexdigest()
    file = SourceFile(path="onnx/m.onnx", sha256=digest, size_bytes=len(content))
    return UrlSource(ecosystem="url", base=server.url(f"/{COMMIT}/"), revision=COMMIT, files=(file,))


def model(of: UrlSource) -> Model:
    licence = Licence(spdx="MIT", permissive=True)
    return Model(
        name="m", task=Task.OBJECT_DETECTION, card="m.md", licence=licence, source=of, raw_labels=(), label_map={},
        optional=True,
    )  # fmt: skip


def times(**changed: Any) -> UrlTimes:
    return UrlTimes(**{"backoff": Backoff(first_s=0.0), "read_s": 10.0, **changed})


def fetched(of: UrlSource, tmp_path: Path, **changed: Any) -> bytes:
    into = tmp_path / f"into-{len(list(tmp_path.iterdir()))}"
    (file,) = fetch(of, tmp_path / "partials", into, times(**changed)).values()
    return file.read_bytes()


def partials(tmp_path: Path) -> list[int]:
    return [path.stat().st_size for path in (tmp_path / "partials").iterdir() if path.suffix != ".etag"]


def ranges(server: ScriptedServer) -> list[tuple[str | None, str | None]]:
    return [(asked.headers.get("range"), asked.headers.get("if-range")) for asked in server.asked]


def test_a_pull_by_name_makes_it_ready_and_one_without_names_leaves_it(server: ScriptedServer, tmp_path: Path) -> None:
    root = tmp_path / "models"
    store = ModelStore(root, Catalog(models={"m": model(source(server))}))
    assert store.pull() == ()
    steps: list[str] = []
    (state,) = store.pull(["m"], progress=lambda _name, step: steps.append(step))
    assert state.state is StoreState.READY
    assert store.path("m").read_bytes() == WEIGHTS
    assert sorted(path.name for path in root.iterdir()) == [".lock", "m.json", "m.onnx"]
    assert steps == [f"downloading {server.url(PATH)} (1 MB)", "ready"]
    store.pull(["m"])
    assert server.paths() == [PATH]


def test_what_broke_off_is_continued(server: ScriptedServer, tmp_path: Path) -> None:
    server.pages[PATH] = in_parts(WEIGHTS, cut_at=300_000)
    assert fetched(source(server), tmp_path) == WEIGHTS
    first, second = ranges(server)
    assert first == (None, None)
    assert second[1] == ETAG
    assert 0 < int((second[0] or "").removeprefix("bytes=").removesuffix("-")) <= 300_000
    assert list((tmp_path / "partials").iterdir()) == []


def test_a_later_pull_continues_what_an_earlier_one_left(server: ScriptedServer, tmp_path: Path) -> None:
    server.pages[PATH] = in_parts(WEIGHTS, cut_at=300_000)
    with pytest.raises(ModelSourceUnavailable, match="broke off"):
        fetched(source(server), tmp_path, tries=1)
    (kept,) = partials(tmp_path)
    assert 0 < kept <= 300_000
    assert fetched(source(server), tmp_path) == WEIGHTS
    assert ranges(server)[1] == (f"bytes={kept}-", ETAG)


def test_a_server_that_sends_no_parts_is_asked_for_all_of_it(server: ScriptedServer, tmp_path: Path) -> None:
    server.pages[PATH] = in_parts(WEIGHTS, cut_at=300_000)
    with pytest.raises(ModelSourceUnavailable):
        fetched(source(server), tmp_path, tries=1)
    server.pages[PATH] = Reply(body=WEIGHTS)
    assert fetched(source(server), tmp_path) == WEIGHTS


def test_a_part_of_another_file_is_thrown_away(server: ScriptedServer, tmp_path: Path) -> None:
    other = bytes(len(WEIGHTS))
    server.pages[PATH] = in_parts(other, cut_at=300_000)
    with pytest.raises(ModelSourceUnavailable):
        fetched(source(server), tmp_path, tries=1)
    server.pages[PATH] = in_parts(WEIGHTS, etag="W/weak")
    (tmp_path / "partials" / f"{hashlib.sha256(WEIGHTS).hexdigest()}.etag").unlink()  # as if there had been none
    assert fetched(source(server), tmp_path) == WEIGHTS
    assert [first for first, _ in ranges(server)][-1] is None


def test_another_file_by_its_etag_is_fetched_from_the_start(server: ScriptedServer, tmp_path: Path) -> None:
    server.pages[PATH] = in_parts(bytes(len(WEIGHTS)), cut_at=300_000)
    with pytest.raises(ModelSourceUnavailable):
        fetched(source(server), tmp_path, tries=1)
    server.pages[PATH] = in_parts(WEIGHTS, etag='"two"')
    assert fetched(source(server), tmp_path) == WEIGHTS
    assert len(server.asked) == 2


@pytest.mark.parametrize(
    ("page", "told"),
    [
        (Reply(body=WEIGHTS[:-1] + b"x"), "sha256 of https://.* is [0-9a-f]{64}, the catalogue says"),
        (Reply(body=WEIGHTS + b"x"), "has 1024001 bytes, the catalogue says 1024000"),
        (Reply(body=b"<html>log in</html>"), "has 19 bytes, the catalogue says 1024000"),
    ],
)
def test_a_file_that_is_not_the_catalogue_s_is_refused(
    server: ScriptedServer, tmp_path: Path, page: Page, told: str
) -> None:
    server.pages[PATH] = page
    with pytest.raises(
        ModelCorrupt, match=f"{told}.*: the address or the catalogue is wrong, and nothing of it is kept"
    ):
        fetched(source(server), tmp_path)
    assert sum(partials(tmp_path)) == 0
    assert len(server.asked) == 1


def test_one_that_does_not_say_its_length_and_does_not_end_is_cut_short(server: ScriptedServer, tmp_path: Path) -> None:
    sent: list[int] = []

    def flood(talk: Talk) -> None:
        talk.send(b"HTTP/1.1 200 OK\r\n\r\n")
        while talk.wait(0.0) and len(sent) < 4000:
            talk.send(bytes(65_536))
            sent.append(65_536)

    server.pages[PATH] = flood
    with pytest.raises(ModelCorrupt, match="has more than the 1024000 bytes"):
        fetched(source(server), tmp_path)
    assert sum(partials(tmp_path)) == 0
    assert sum(sent) < 100 * len(WEIGHTS)


def test_a_redirect_is_followed_over_https(server: ScriptedServer, tmp_path: Path) -> None:
    server.pages["/elsewhere"] = in_parts(WEIGHTS)
    server.pages[PATH] = redirect("/elsewhere")
    assert fetched(source(server), tmp_path) == WEIGHTS


def test_a_redirect_to_http_is_not_followed(server: ScriptedServer, tmp_path: Path) -> None:
    with ScriptedServer() as plain:
        plain.pages["/p"] = Reply(body=WEIGHTS)
        server.pages[PATH] = redirect(plain.url("/p"))
        with pytest.raises(ModelSourceUnavailable, match="redirects to http, and only https is followed"):
            fetched(source(server), tmp_path)
        assert plain.asked == []


def test_redirects_in_a_circle_end(server: ScriptedServer, tmp_path: Path) -> None:
    server.pages[PATH] = redirect(PATH)
    with pytest.raises(ModelSourceUnavailable, match="redirects more than 5 times"):
        fetched(source(server), tmp_path)
    assert len(server.asked) == 6


def test_the_environment_s_proxy_is_used_unless_it_says_not_to(
    server: ScriptedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ConnectProxy() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        assert fetched(source(server), tmp_path) == WEIGHTS
        assert proxy.asked == [f"CONNECT 127.0.0.1:{server.port}"]
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        assert fetched(source(server), tmp_path) == WEIGHTS
        assert len(proxy.asked) == 1
    assert len(server.asked) == 2


def test_a_proxy_that_refuses_or_means_nothing_is_told(
    server: ScriptedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ConnectProxy(allows=False) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        with pytest.raises(ModelSourceUnavailable, match="the proxy refuses"):
            fetched(source(server), tmp_path)
    monkeypatch.setenv("HTTPS_PROXY", "gopher://127.0.0.1:9")
    with pytest.raises(ModelSourceUnavailable, match="correct HTTPS_PROXY"):
        fetched(source(server), tmp_path)
    assert server.asked == []


@pytest.mark.parametrize(("status", "asked"), [(404, 1), (403, 1), (503, 5), (429, 5)])
def test_a_refusal_is_final_where_another_try_would_not_help(
    server: ScriptedServer, tmp_path: Path, status: int, asked: int
) -> None:
    server.pages[PATH] = Reply(status=status)
    with pytest.raises(ModelSourceUnavailable, match=f"{server.url(PATH)}.*{status}"):
        fetched(source(server), tmp_path)
    assert len(server.asked) == asked


def test_a_server_that_says_nothing_is_given_up(server: ScriptedServer, tmp_path: Path) -> None:
    server.pages[PATH] = hang
    with pytest.raises(ModelSourceUnavailable, match="no answer in time, 2 times"):
        fetched(source(server), tmp_path, read_s=0.3, tries=2)


def test_a_trickle_ends_too(server: ScriptedServer, tmp_path: Path) -> None:
    def trickle(talk: Talk) -> None:
        talk.send(f"HTTP/1.1 200 OK\r\nContent-Length: {len(WEIGHTS)}\r\n\r\n".encode())
        while talk.wait(0.05):
            talk.send(b"x")

    server.pages[PATH] = trickle
    with pytest.raises(ModelSourceUnavailable, match="no end after 0 s"):
        fetched(source(server), tmp_path, whole_s=0.3)


def test_an_authority_that_is_not_known_is_not_believed_nor_asked_again(
    server: ScriptedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "other").mkdir()
    monkeypatch.setenv("SSL_CERT_FILE", str(Authority(tmp_path / "other").ca_file))
    with pytest.raises(ModelSourceUnavailable, match=r"certificate is not valid.*SSL_CERT_FILE"):
        fetched(source(server), tmp_path)
    assert server.asked == []
    assert server.connections == 1


def test_a_closed_network_names_the_address_and_the_way_without_one(surroundings: Authority, tmp_path: Path) -> None:
    with ScriptedServer() as gone:
        pass
    url = f"https://127.0.0.1:{gone.port}/{COMMIT}/"
    file = SourceFile(path="m.onnx", sha256="0" * 64, size_bytes=1)
    of = UrlSource(ecosystem="url", base=url, revision=COMMIT, files=(file,))
    store = ModelStore(
        tmp_path / "models", Catalog(models={"m": model(of)}), fetch=partial(fetch, times=times(tries=2))
    )
    with pytest.raises(ModelSourceUnavailable) as caught:
        store.pull(["m"])
    said = str(caught.value)
    assert f"could not fetch {url}m.onnx: cannot connect" in said
    assert said.endswith("or fetch it elsewhere and run `streammon models import m FILE`")
    assert [path.name for path in (tmp_path / "models").iterdir()] == [".lock"]
    assert "\n" not in said
