"""The command that prints a room's URL: what it may print, and every way in which it fails."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from threading import Event, Timer

import pytest

from streammon.errors import SourceStopped, SourceUnreachable
from streammon.ingest.rooms import refresh
from streammon.ingest.rooms.refresh import fresh_url
from tests.integration.ingesting import until_dead


def python(code: str) -> list[str]:
    return [sys.executable, "-S", "-c", code]


def test_the_printed_line_is_the_url() -> None:
    assert (
        fresh_url(python("print(' https://example.com/live?token=1 ')"), Event()) == "https://example.com/live?token=1"
    )


def test_arguments_reach_the_command_as_they_are() -> None:
    command = [*python("import sys; print('rtmp://host/' + sys.argv[1])"), "$(id);x"]
    assert fresh_url(command, Event()) == "rtmp://host/$(id);x"


@pytest.mark.parametrize(
    "code",
    [
        "pass",
        "print('https://a/1'); print('https://a/2')",
        "print('https://a/' + 'x' * 9000)",
        "print('https://a/\\x1b[2J')",
    ],
)
def test_anything_but_one_url_is_refused_without_being_told(code: str) -> None:
    with pytest.raises(SourceUnreachable, match="one URL and nothing else") as caught:
        fresh_url(python(code), Event())
    assert "https://a" not in str(caught.value)


def test_a_command_that_fails_is_named_by_its_status() -> None:
    with pytest.raises(SourceUnreachable, match="exit status 3"):
        fresh_url(python("print('https://secret'); raise SystemExit(3)"), Event())


def test_a_command_that_is_not_there_is_told() -> None:
    with pytest.raises(SourceUnreachable, match="cannot be run"):
        fresh_url(["/no/such/command"], Event())


def test_a_command_that_takes_too_long_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refresh, "URL_COMMAND_WITHIN_S", 0.3)
    began_s = time.monotonic()
    with pytest.raises(SourceUnreachable, match="took longer"):
        fresh_url(python("import time; time.sleep(60)"), Event())
    assert time.monotonic() - began_s < 3.0


LEAVES_ONE_BEHIND = """
import os, sys, time
if os.fork() == 0:
    print(os.getpid(), file=open(sys.argv[1], "w"), flush=True)
    time.sleep(60)
    os._exit(0)
while not os.path.exists(sys.argv[1]) or not open(sys.argv[1]).read():
    time.sleep(0.01)
print("https://a/1", flush=True)
os._exit(int(sys.argv[2]))
"""


@pytest.mark.parametrize("status", [0, 3])
def test_what_a_command_leaves_behind_neither_holds_its_output_nor_stays(tmp_path: Path, status: int) -> None:
    pid_file = tmp_path / "pid"
    began_s = time.monotonic()
    command = [*python(LEAVES_ONE_BEHIND), str(pid_file), str(status)]
    if status == 0:
        assert fresh_url(command, Event()) == "https://a/1"
    else:
        with pytest.raises(SourceUnreachable, match="exit status 3"):
            fresh_url(command, Event())
    assert time.monotonic() - began_s < 3.0
    until_dead(int(pid_file.read_text(encoding="utf-8")), 1.0)


def test_a_stop_is_heard() -> None:
    stop = Event()
    timer = Timer(0.2, stop.set)
    timer.start()
    began_s = time.monotonic()
    with pytest.raises(SourceStopped):
        fresh_url(python("import time; time.sleep(60)"), stop)
    timer.join()
    assert time.monotonic() - began_s < 1.2
