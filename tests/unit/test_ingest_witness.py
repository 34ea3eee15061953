"""The witness of a crash: a real one, in a child process, names the thread that did it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from streammon.ingest.rooms.witness import Witness

# More threads than faulthandler would show, were it asked for all of them; the guilty one is the oldest.
CHILD = """
import ctypes, faulthandler, os, signal, sys, threading
from streammon.ingest.rooms.witness import marked, next_mark
faulthandler.enable(file=int(sys.argv[1]), all_threads=False)
begin, leave = threading.Event(), threading.Event()

def guilty():
    begin.wait()
    try:
        {deed}
    finally:
        leave.set()

{start}
for _ in range(120):
    threading.Thread(target=marked(leave.wait, next_mark()), daemon=True).start()
begin.set()
{then}
leave.wait(10)
os._exit({status})
"""
ON_A_THREAD = "threading.Thread(target=marked(guilty, next_mark()), daemon=True).start()"


def die(witness: Witness, deed: str, *, start: str = ON_A_THREAD, then: str = "", status: int = 0) -> int:
    """A child that crashes. Returns its exit status; the guilty thread is marked `puller_1`."""
    script = CHILD.format(deed=deed, start=start, then=then, status=status)
    command = [sys.executable, "-c", script, str(witness.fd)]
    child = subprocess.run(command, pass_fds=[witness.fd], capture_output=True, text=True, timeout=20, check=False)
    return child.returncode


@pytest.mark.parametrize(
    ("deed", "signum"),
    [
        ("ctypes.string_at(0)", signal.SIGSEGV),
        ("signal.raise_signal(signal.SIGSEGV)", signal.SIGSEGV),
        ("signal.raise_signal(signal.SIGBUS)", signal.SIGBUS),
        ("os.abort()", signal.SIGABRT),
    ],
    ids=["in C", "SIGSEGV", "SIGBUS", "abort"],
)
def test_the_thread_that_crashed_is_named_and_where_it_was(deed: str, signum: int) -> None:
    witness = Witness()
    assert die(witness, deed) == -signum
    assert witness.crashed_thread() == "puller_1"
    assert "in guilty" in witness.stack()
    witness.close()


def test_a_crash_on_the_main_thread_is_no_puller_s() -> None:
    witness = Witness()
    assert die(witness, "pass", start="", then="ctypes.string_at(0)") == -signal.SIGSEGV
    assert witness.crashed_thread() is None
    assert "Segmentation fault" in witness.stack()
    witness.close()


@pytest.mark.parametrize(
    ("deed", "status"),
    [("pass", 3), ("os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL), ("1 / 0", 0)],
    ids=["it fails", "it is killed", "an exception"],
)
def test_no_crash_no_culprit(deed: str, status: int) -> None:
    witness = Witness()
    assert die(witness, deed, status=max(status, 0)) == status
    assert witness.crashed_thread() is None
    assert witness.stack() == ""
    witness.close()


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"\x00\xff" * 1000,
        b"Fatal Python error: Segmentation fault\n\nStack (most recent call first):\n  File x, line 1 in run\n",
        b'  File "puller_1", line 1 in run\n',
        b"  File x, line 1 in puller_\n",
    ],
)
def test_what_a_process_writes_there_itself_is_no_danger(said: bytes) -> None:
    witness = Witness()
    os.write(witness.fd, said)
    assert witness.crashed_thread() is None
    assert witness.stack().replace("\n", "").isprintable()
    witness.close()


def test_a_closed_witness_knows_nothing_and_closes_twice() -> None:
    witness = Witness()
    fd = witness.fd
    witness.close()
    witness.close()
    assert witness.crashed_thread() is None
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)
