"""The files that TLS trusts: one that is no good is told when it is configured, and the system's come along."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from streammon.ingest.net import authorities
from streammon.ingest.net.authorities import authorities_file, check_authorities, system_authorities
from tests.integration.test_http_tls import Authority


@pytest.fixture
def ca_file(tmp_path: Path) -> Path:
    return Authority(tmp_path).ca_file


@pytest.fixture(autouse=True)
def nothing_is_kept() -> Iterator[None]:
    authorities_file.cache_clear()
    yield
    authorities_file.cache_clear()


def write(text: str) -> Callable[[Path], object]:
    return lambda path: path.write_text(text, encoding="utf-8")


KEY = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIA==\n-----END PRIVATE KEY-----\n"
BAD: list[tuple[str, Callable[[Path], object], str]] = [
    ("missing", lambda _: None, "cannot be read: No such file"),
    ("empty", write(""), "should be a PEM file"),
    ("text", write("hello\n"), "should be a PEM file"),
    ("key", write(KEY), "should be a PEM file"),
    ("broken", write("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), "should be a PEM file"),
    ("folder", Path.mkdir, "PEM file|cannot be read"),
]


@pytest.mark.parametrize(("name", "make", "said"), BAD, ids=[case[0] for case in BAD])
def test_what_holds_no_certificate_is_refused(
    tmp_path: Path, name: str, make: Callable[[Path], object], said: str
) -> None:
    make(tmp_path / name)
    with pytest.raises(ValueError, match=said):
        check_authorities(tmp_path / name)


def test_a_file_with_a_certificate_is_handed_on(ca_file: Path) -> None:
    assert check_authorities(ca_file) == ca_file


def count(path: Path) -> int:
    """How many authorities a TLS library finds there."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cafile=path)
    return len(context.get_ca_certs())


def test_a_configured_file_joins_the_system_s(ca_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "system").mkdir()
    monkeypatch.setenv("SSL_CERT_FILE", str(Authority(tmp_path / "system").ca_file))
    joined = authorities_file(ca_file)
    assert joined is not None
    assert count(joined) == 2
    assert authorities_file(ca_file) is joined  # once per process: it holds a descriptor


def test_without_one_of_them_the_other_is_it(ca_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none"))
    monkeypatch.setattr(authorities, "_SYSTEM_FILES", ())
    assert authorities_file(None) is None
    authorities_file.cache_clear()
    assert authorities_file(ca_file) == ca_file
    authorities_file.cache_clear()
    monkeypatch.setenv("SSL_CERT_FILE", str(ca_file))
    assert authorities_file(None) == ca_file


def test_it_is_known_where_the_system_keeps_its_authorities(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    found = system_authorities()
    assert found is not None
    assert "BEGIN CERTIFICATE" in found.read_text(encoding="utf-8")
