"""Containers with any bytes changed: no crash, no hang, no memory without bound, and no error but a SourceError.

FUZZ_EXAMPLES is how many are read of each container; where it is set, they are others each time.
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from threading import Timer

import av
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streammon import errors
from tests.media import clip

ROOT = Path(__file__).parents[2]
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "100"))
LONGEST_S = 5.0
MOST_MIB = 300
"""The child has 70 without any stream, a block of FFmpeg's at most 64, and a decoder keeps some pictures."""


class ChildDied(AssertionError):
    """The child crashed, or did not answer in time."""


class Reader:
    """The child, started anew when it has died."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None

    def read(self, content: bytes, *, seekable: bool) -> tuple[str, int, int]:
        """See `container_reader`. Raises ChildDied."""
        child = self._running()
        assert child.stdin is not None
        child.stdin.write(len(content).to_bytes(4, "big") + bytes([seekable]) + content)
        child.stdin.flush()
        ended, pictures, mib = self._answer(child).split()
        return ended, int(pictures), int(mib)

    def close(self) -> None:
        if self._child is not None:
            self._child.kill()
            with self._child:
                pass
            self._child = None

    def _running(self) -> subprocess.Popen[bytes]:
        if self._child is None:
            command = [sys.executable, "-m", "tests.unit.container_reader"]
            self._child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT)
            assert self.read(VALID["flv"], seekable=False)[0] == "end"  # it has started
        return self._child

    def _answer(self, child: subprocess.Popen[bytes]) -> str:
        assert child.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(child.stdout, selectors.EVENT_READ)
            answered = bool(selector.select(LONGEST_S))
        line = child.stdout.readline().decode() if answered else ""
        if not line:
            self.close()
            raise ChildDied(f"it ended with status {child.returncode}" if answered else "it hangs")
        return line


def fragmented_mp4() -> bytes:
    file = BytesIO()
    with (
        av.open(BytesIO(clip(0.4, container="mp4")), "r") as source,
        av.open(file, "w", format="mp4", options=FMP4) as out,
    ):
        stream = out.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                out.mux(packet)
    return file.getvalue()


FMP4 = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
VALID = {container: clip(0.4, 0.3, container=container) for container in ("flv", "mpegts", "mp4", "matroska", "avi")}
VALID["fmp4"] = fragmented_mp4()
SEEKABLE = {"mp4", "avi"}
REFUSALS = {
    name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, errors.SourceError)
}


@pytest.fixture(scope="module")
def reader() -> Iterator[Reader]:
    one = Reader()
    yield one
    one.close()


@st.composite
def damaged(draw: st.DrawFn, container: str) -> bytes:
    """A clip with bytes flipped, cut out, doubled, zeroed, or taken from another one."""
    content = bytearray(VALID[container])
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, max(len(content) - 1, 0)))
        size = draw(st.sampled_from([1, 2, 4, 8, 188, 1000]))
        kind = draw(st.sampled_from(["flip", "set", "cut", "double", "zero", "splice", "end"]))
        piece = content[at : at + size]
        match kind:
            case "flip":
                content[at : at + 1] = bytes([byte ^ 1 << draw(st.integers(0, 7)) for byte in piece[:1]])
            case "set":
                content[at : at + 4] = draw(st.sampled_from([b"\xff" * 4, b"\x7f\xff\xff\xff", b"\0\0\0\1", b"\x80"]))
            case "cut":
                del content[at : at + size]
            case "double":
                content[at:at] = piece * draw(st.integers(1, 3))
            case "zero":
                content[at : at + size] = bytes(len(piece))
            case "splice":
                other = VALID[draw(st.sampled_from(sorted(VALID)))]
                content[at : at + size] = other[at : at + size]
            case "end":
                del content[max(at, 64) :]
    return bytes(content)


@pytest.mark.parametrize("container", sorted(VALID))
def test_what_is_whole_is_read_to_its_end(reader: Reader, container: str) -> None:
    ended, pictures, mib = reader.read(VALID[container], seekable=container in SEEKABLE)
    assert ended == "end"
    assert pictures >= 10
    assert mib < MOST_MIB


@pytest.mark.parametrize("container", sorted(VALID))
@settings(max_examples=EXAMPLES, deadline=None, derandomize="FUZZ_EXAMPLES" not in os.environ,
          suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])  # fmt: skip
@given(data=st.data())
def test_damaged_bytes_are_read_or_refused(reader: Reader, container: str, data: st.DataObject) -> None:
    content = data.draw(damaged(container))
    ended, _, mib = reader.read(content, seekable=container in SEEKABLE)
    assert ended == "end" or ended in REFUSALS
    assert mib < MOST_MIB


@settings(max_examples=EXAMPLES, deadline=None, derandomize="FUZZ_EXAMPLES" not in os.environ)
@given(content=st.binary(max_size=4000), head=st.sampled_from([value[:64] for value in VALID.values()]))
def test_bytes_of_no_stream_are_refused(reader: Reader, content: bytes, head: bytes) -> None:
    ended, pictures, _ = reader.read(head + content, seekable=False)
    assert ended in REFUSALS or pictures == 0


@pytest.mark.parametrize("packets", [1 << 21, 1 << 25, 1 << 29, (1 << 32) - 1])
def test_a_segment_that_claims_millions_of_packets_gets_no_memory_for_them(reader: Reader, packets: int) -> None:
    content = bytearray(VALID["fmp4"])
    table = content.index(b"trun") + 4  # version, flags, and how many: ISO/IEC 14496-12, 8.8.8
    content[table : table + 8] = bytes(4) + packets.to_bytes(4, "big")
    ended, _, mib = reader.read(bytes(content), seekable=False)
    assert ended == "end" or ended in REFUSALS
    assert mib < MOST_MIB


@pytest.mark.parametrize(("after_s", "said"), [(0.1, "status -9"), (5.0, "it hangs")])
def test_a_child_that_dies_or_hangs_is_noticed(
    reader: Reader, monkeypatch: pytest.MonkeyPatch, after_s: float, said: str
) -> None:
    reader.read(VALID["flv"], seekable=False)
    child = reader._running()
    child.send_signal(signal.SIGSTOP)
    killer = Timer(after_s, child.kill)
    killer.start()
    monkeypatch.setattr(f"{__name__}.LONGEST_S", 1.0)
    with pytest.raises(ChildDied, match=said):
        reader.read(VALID["flv"], seekable=False)
    killer.cancel()
    killer.join()
    assert child.poll() is not None
