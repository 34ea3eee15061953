"""The parent's side of the official package: whatever the child does, each call comes back, and none is left behind."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streammon.backoff import Backoff
from streammon.detect.paddle import worker
from streammon.detect.paddle.process import PaddleProcess, Patience
from streammon.detect.text.paddle_engine import PaddleEngine, PaddleModel
from streammon.entities import Box
from streammon.errors import ModelError, ModelProcessLost, RunTimedOut

CHILD = str(Path(__file__).with_name("paddle_child.py"))
AT_ONCE = Backoff(first_s=1.0, cap_s=1.0, draw=lambda: 0.0)
LATER = Backoff(first_s=600.0, cap_s=600.0, draw=lambda: 1.0)
SOON = 0.3
"""What a hanging child is given, in seconds; `LONG` is what nothing here should take."""
LONG = 60.0

Make = Callable[..., PaddleProcess]


@pytest.fixture
def make() -> Iterator[Make]:
    """Processes, of which none is left when the test ends."""
    made: list[PaddleProcess] = []

    def process(
        opening: dict[str, Any] | None = None, *, ready_s: float = LONG, answer_s: float = LONG,
        again: Backoff = AT_ONCE, left_s: Callable[[], float | None] = lambda: None, command: tuple[str, ...] = (),
    ) -> PaddleProcess:  # fmt: skip
        patience = Patience(ready_s=ready_s, answer_s=answer_s, again=again)
        made.append(PaddleProcess(command or (sys.executable, "-I", CHILD), opening or {}, patience, left_s))
        return made[-1]

    yield process
    for one in made:
        one.close()
        assert one.pid is None
    assert [thread.name for thread in threading.enumerate() if thread.name == "paddleocr-stderr"] == []


def alive(pid: int | None) -> bool:
    """Whether there is such a process, be it only to be reaped."""
    assert pid is not None
    return Path(f"/proc/{pid}").exists()


def test_a_request_and_all_its_pixels_arrive(make: Make) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (2, 720, 1280, 3), np.uint8)
    answer = make().ask({"do": "count"}, [part.data for part in pixels])
    assert answer == {"bytes": pixels.size, "sum": int(pixels.sum()) % 65536}


def test_an_answer_may_come_in_pieces_and_beside_much_talk(make: Make) -> None:
    process = make()
    assert process.ask({"do": "dribble"}) == {"came": "in pieces"}
    assert process.ask({"do": "chatter"}) == {"said": True}


def test_a_request_that_fails_costs_no_child(make: Make) -> None:
    process = make()
    process.start()
    first = process.pid
    with pytest.raises(ModelError, match="paddleocr failed: ValueError at x:1") as failed:
        process.ask({"do": "say", "answer": {"error": "ValueError at x:1"}})
    assert not failed.value.retryable
    process.ask({"do": "count"})
    assert process.pid == first


def test_a_child_that_hangs_is_ended_and_another_answers(make: Make) -> None:
    process = make(answer_s=2.0)
    process.start()
    first, began_s = process.pid, time.monotonic()
    with pytest.raises(RunTimedOut, match="took too long") as failed:
        process.ask({"do": "hang"})
    assert time.monotonic() - began_s < LONG
    assert failed.value.retryable
    assert not alive(first)
    process.start()
    assert process.ask({"do": "count"})["bytes"] == 0
    assert process.pid != first


def test_one_that_takes_no_pixels_is_ended_too(make: Make) -> None:
    process = make(answer_s=SOON)
    process.start()
    child = process.pid
    assert child is not None
    os.kill(child, signal.SIGSTOP)
    with pytest.raises(RunTimedOut, match="took too long"):
        process.ask({"do": "count"}, [np.zeros(1 << 24, np.uint8).data])
    assert not alive(child)


def test_no_call_takes_longer_than_is_left_to_its_thread(make: Make) -> None:
    process = make(left_s=lambda: SOON)
    process.start()
    began_s = time.monotonic()
    with pytest.raises(RunTimedOut):
        process.ask({"do": "hang"})
    assert time.monotonic() - began_s < LONG / 2


def test_a_thread_without_time_costs_no_child(make: Make) -> None:
    left: list[float | None] = [None]
    process = make(left_s=lambda: left[0])
    process.start()
    first, left[0] = process.pid, 0.0
    with pytest.raises(RunTimedOut, match="no time left"):
        process.ask({"do": "count"})
    assert process.pid == first


def test_a_child_that_died_is_told_with_its_last_words(make: Make) -> None:
    process = make()
    process.start()
    with pytest.raises(ModelProcessLost, match=r"ended with status 7; it said: first \| the last words") as failed:
        process.ask({"do": "die"})
    assert failed.value.retryable
    assert process.ask({"do": "count"})["bytes"] == 0


@pytest.mark.parametrize("do", ["garbage", "promise"])
def test_one_that_speaks_otherwise_is_ended(make: Make, do: str) -> None:
    process = make()
    process.start()
    first = process.pid
    with pytest.raises(ModelProcessLost, match="said what is no answer"):
        process.ask({"do": do})
    assert not alive(first)
    assert process.ask({"do": "count"})["bytes"] == 0


@pytest.mark.parametrize("answer", [[], "text", 3])
def test_an_answer_is_an_object(make: Make, answer: object) -> None:
    with pytest.raises(ModelProcessLost, match="no answer"):
        make().ask({"do": "say", "answer": answer})


def test_one_that_closes_its_stdout_is_ended(make: Make) -> None:
    process = make()
    process.start()
    first = process.pid
    with pytest.raises(ModelProcessLost, match="is gone: it was ended"):
        process.ask({"do": "close"})
    assert not alive(first)


def test_after_a_loss_nothing_is_started_for_a_while(make: Make) -> None:
    process = make(again=LATER)
    with pytest.raises(ModelProcessLost):
        process.ask({"do": "die"})
    with pytest.raises(ModelProcessLost, match=r"started again in \d+") as failed:
        process.ask({"do": "count"})
    assert failed.value.retryable
    assert process.pid is None


def test_waits_grow_with_each_loss_until_one_answers(make: Make) -> None:
    asked: list[int] = []

    class Noted(Backoff):
        def delay_s(self, failures: int) -> float:
            asked.append(failures)
            return 0.0

    process = make(again=Noted())
    for do in ("die", "garbage", "count", "die"):
        with contextlib.suppress(ModelProcessLost):
            process.ask({"do": do})
    assert asked == [1, 2, 1]


def test_a_call_while_it_starts_gives_up_and_leaves_it_to_start(make: Make, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    process = make({"gate": str(gate)}, answer_s=SOON)
    with pytest.raises(RunTimedOut, match="still being started"):
        process.ask({"do": "count"})
    first = process.pid
    gate.write_bytes(b"open")
    process.start()
    assert process.pid == first


def test_one_that_is_never_ready_is_ended(make: Make, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    process = make({"gate": str(gate)}, ready_s=1.0)
    with pytest.raises(RunTimedOut, match="not ready in time"):
        process.start()
    assert process.pid is None


def test_closing_ends_a_child_at_work_and_whoever_waits_for_it(make: Make) -> None:
    process = make()
    process.start()
    child, raised = process.pid, list[Exception]()
    began = threading.Event()

    def ask() -> None:
        began.set()
        try:
            process.ask({"do": "hang"})
        except ModelError as error:
            raised.append(error)

    asking = threading.Thread(target=ask)
    asking.start()
    assert began.wait(LONG)
    process.close()
    process.close()
    asking.join(LONG)
    assert not asking.is_alive()
    assert not alive(child)
    assert [str(error) for error in raised] == ["paddleocr is closed"]
    with pytest.raises(ModelError, match="closed"):
        process.ask({"do": "count"})


def test_what_the_child_needs_of_our_environment_is_all_it_gets(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_SECRET_ACCESS_KEY", "https_proxy", "STREAMMON_TOKEN"):
        monkeypatch.setenv(name, "secret")
    names = set(make().ask({"do": "environment"})["names"])
    assert {"HOME", "PADDLE_PDX_DISABLE_MODEL_SOURCE_CHECK"} <= names
    assert names.isdisjoint({"AWS_SECRET_ACCESS_KEY", "https_proxy", "STREAMMON_TOKEN"})


def test_what_was_read_is_not_logged(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        answer = make().ask({"do": "say", "answer": {"lines": [["what a viewer wrote", 1.0]]}})
    assert answer["lines"][0][0] == "what a viewer wrote"
    assert "viewer" not in caplog.text
    assert "runs as process" in caplog.text


def test_an_interpreter_that_is_not_there_is_named(make: Make) -> None:
    with pytest.raises(ModelError, match="/no/such/python cannot be started: No such file or directory"):
        make(command=("/no/such/python",)).start()


def test_an_environment_without_the_package_is_told_by_its_own_words(make: Make) -> None:
    opening = {"threads": 1, "detection": ["a", "/a"], "recognition": ["b", "/b"]}
    with pytest.raises(ModelProcessLost, match=r"did not start: it ended with status 1.*No module named 'paddleocr'"):
        make(opening, command=(sys.executable, "-I", worker.__file__), again=LATER).start()


def test_the_worker_ends_with_its_parent() -> None:
    """Its stdin ends when the parent does, however that ends."""
    child = subprocess.Popen([sys.executable, "-I", worker.__file__], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    assert child.stdin is not None
    child.stdin.close()
    assert child.wait(LONG) == 0


OFFLINE = """
import runpy, socket, sys
main = runpy.run_path(sys.argv[1])["main"]
def serve(incoming, outgoing):
    print("what a library prints")
    for call in (lambda: socket.create_connection(("127.0.0.1", 9)), lambda: socket.getaddrinfo("localhost", 80)):
        try:
            call()
        except PermissionError:
            outgoing.write(b"refused ")
    outgoing.flush()
main.__globals__["serve"] = serve
main()
"""


def test_the_worker_reaches_no_network_and_keeps_its_stdout_for_answers() -> None:
    command = [sys.executable, "-I", "-c", OFFLINE, worker.__file__]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True)
    assert done.stdout == "refused refused "
    assert "what a library prints" in done.stderr


class Fixed(PaddleProcess):
    """Has a child that answers the same to all."""

    def __init__(self, process: PaddleProcess, answer: dict[str, Any]) -> None:
        self._process, self._answer = process, answer

    def ask(self, request: Any, pixels: Any = ()) -> dict[str, Any]:  # noqa: ARG002
        return self._process.ask({"do": "say", "answer": self._answer}, pixels)


def engine(make: Make, answer: dict[str, Any]) -> PaddleEngine:
    models = [PaddleModel(official=name, directory=Path("/nowhere")) for name in ("det", "rec")]
    return PaddleEngine(Fixed(make(), answer), *models)


GREY = np.full((90, 160, 3), 114, np.uint8)
QUADS = [[[x, y], [x + 30, y], [x + 30, y + 9], [x, y + 9]] for x, y in ((60, 50), (10, 10), (100, 11))]


def test_of_too_many_lines_the_surest_are_taken_in_reading_order(make: Make) -> None:
    found = engine(make, {"quads": QUADS, "scores": [0.9, 0.7, 0.8]}).locate(GREY, 2, fine=False)
    assert [quad[0].tolist() for quad in found] == [[100, 11], [60, 50]]
    assert engine(make, {"quads": [], "scores": []}).locate(GREY, 2, fine=False) == []


def test_each_line_has_its_text(make: Make) -> None:
    crops = [GREY[:9, :30], GREY[10:19, :40], GREY[20:29, :50]]
    reader = engine(make, {"lines": [["a", 0.5], ["", 0.0], ["c", 1.0]]})
    assert reader.read(crops) == [("a", 0.5), ("", 0.0), ("c", 1.0)]
    with pytest.raises(ModelError, match="read 3 lines of 2"):
        reader.read(crops[:2])


@pytest.mark.parametrize("answer", [{}, {"quads": [[[1, 2]]], "scores": [1.0]}, {"quads": "none", "scores": []}])
def test_an_answer_of_another_form_is_an_error(make: Make, answer: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match="not understood"):
        engine(make, answer).locate(GREY, 2, fine=True)


@pytest.mark.parametrize(
    "answer",
    [
        {"quads": QUADS[:1], "scores": [math.nan]},
        {"quads": [[[math.inf, 0.0]] * 4], "scores": [1.0]},
        {"quads": QUADS, "scores": [1.0]},
    ],
)
def test_a_line_without_a_place_or_a_score_is_an_error(make: Make, answer: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match="without a place or a score"):
        engine(make, answer).locate(GREY, 2, fine=True)


def test_a_text_without_a_score_is_an_error(make: Make) -> None:
    with pytest.raises(ModelError, match="no number"):
        engine(make, {"lines": [["a", math.nan]]}).read([GREY])


def test_a_part_may_have_a_line_where_one_was_found_that_reaches_into_it(make: Make) -> None:
    image = np.full((720, 1280, 3), 114, np.uint8)
    part = Box(x=0.0, y=0.0, w=0.1, h=0.1)
    assert engine(make, {"quads": [QUADS[1]], "scores": [0.3]}).may_have(image, part)
    assert not engine(make, {"quads": [[[300, 300]] * 4], "scores": [0.3]}).may_have(image, part)
    assert engine(make, {"quads": [], "scores": []}).may_have(image, Box(x=0.0, y=0.0, w=1.0, h=0.9))
