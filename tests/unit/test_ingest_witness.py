"""The witness of a crash: a real one, in a child process, names the thread that did it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from streammon.ingest.witness import Witness

CHILD = """
import ctypes, faulthandler, os, signal, sys, threading
faulthandler.enable(file=int(sys.argv[1]), all_threads=True)
leave = threading.Event()

def guilty():
    print(threading.get_ident(), flush=True)
    try:
        {deed}
    finally:
        leave.set()

for _ in range(3):
    threading.Thread(target=leave.wait, daemon=True).start()
{start}
leave.wait(10)
os._exit({status})
"""
ON_A_THREAD = "threading.Thread(target=guilty, name='room', daemon=True).start()"
ON_THE_MAIN_THREAD = "guilty()"


def die(witness: Witness, deed: str, start: str = ON_A_THREAD, status: int = 0) -> tuple[int, int]:
    """A child that crashes. Returns its exit status, and its guilty thread's ident."""
    script = CHILD.format(deed=deed, start=start, status=status)
    command = [sys.executable, "-c", script, str(witness.fd)]
    child = subprocess.run(command, pass_fds=[witness.fd], capture_output=True, text=True, timeout=20, check=False)
    return child.returncode, int(child.stdout)


@pytest.mark.parametrize(
    ("deed", "signum", "start"),
    [
        ("ctypes.string_at(0)", signal.SIGSEGV, ON_A_THREAD),
        ("ctypes.string_at(0)", signal.SIGSEGV, ON_THE_MAIN_THREAD),
        ("signal.raise_signal(signal.SIGSEGV)", signal.SIGSEGV, ON_A_THREAD),
        ("signal.raise_signal(signal.SIGBUS)", signal.SIGBUS, ON_A_THREAD),
        ("os.abort()", signal.SIGABRT, ON_A_THREAD),
    ],
    ids=["in C", "in C, on the main thread", "SIGSEGV", "SIGBUS", "abort"],
)
def test_the_thread_that_crashed_is_named_and_where_it_was(deed: str, signum: int, start: str) -> None:
    witness = Witness()
    status, ident = die(witness, deed, start)
    assert status == -signum
    assert witness.crashed_thread() == ident
    assert "in guilty" in witness.stack()
    assert "in wait" not in witness.stack(), "the stacks of the innocent are left out"
    witness.close()


@pytest.mark.parametrize(
    ("deed", "status"),
    [("pass", 3), ("os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL), ("1 / 0", 0)],
    ids=["it fails", "it is killed", "an exception"],
)
def test_no_crash_no_culprit(deed: str, status: int) -> None:
    witness = Witness()
    returned, _ = die(witness, deed, status=max(status, 0))
    assert returned == status
    assert witness.crashed_thread() is None
    assert witness.stack() == ""
    witness.close()


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"\x00\xff" * 1000,
        b"Fatal Python error: Segmentation fault\n\nThread 0x00007f12 (most recent call first):\n  File x\n",
        b"Current thread 0xnothing (most recent call first):\n",
        b"Current thread 0x",
    ],
)
def test_what_a_process_writes_there_itself_is_no_danger(said: bytes) -> None:
    witness = Witness()
    os.write(witness.fd, said)
    assert witness.crashed_thread() is None
    assert witness.stack() == ""
    witness.close()


def test_a_thread_with_a_name_is_read_too() -> None:
    witness = Witness()
    os.write(
        witness.fd, b'Current thread 0x7f12 [puller] (most recent call first):\n  File "a" in b\n\nThread 0x1:\n  c\n'
    )
    assert (witness.crashed_thread(), witness.stack()) == (0x7F12, '  File "a" in b\n')
    witness.close()


def test_a_closed_witness_knows_nothing_and_closes_twice() -> None:
    witness = Witness()
    fd = witness.fd
    witness.close()
    witness.close()
    assert witness.crashed_thread() is None
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)
