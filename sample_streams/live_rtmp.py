"""Publishes a clip to an RTMP server at real-time pace, in a child process: FFmpeg blocks where it likes to.

`python -m sample_streams.live_rtmp CLIP URL` does it by hand.
"""

from __future__ import annotations

import argparse
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import av
from av.container import InputContainer
from av.packet import Packet

from streammon.errors import StreammonError

_CONNECT_S = 10.0
_POLITE_S = 0.5
"""How long the child may take to say goodbye to the server before it is killed."""


class LiveRtmp:
    """A clip being published to `url`, `loop` times over, from the key frame at or before `start_s`. Context manager.

    `pid` is the publishing process, `started_at` (UTC) when the first picture went out. Raises StreammonError where the
    server does not take the stream within 10 s.
    """

    def __init__(self, clip: Path, url: str, loop: int = 1, start_s: float = 0.0) -> None:
        command = [sys.executable, "-m", "sample_streams.live_rtmp", str(clip.resolve()), url]
        command += ["--loop", str(loop), "--start", str(start_s)]
        self._process = subprocess.Popen(
            command,
            cwd=Path(__file__).resolve().parent.parent,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,  # Ctrl-C is for whoever started us, who closes us when done with us
        )
        try:
            self._wait_for_first_packet()
        except BaseException:
            self.close()
            raise
        self.pid = self._process.pid
        self.started_at = datetime.now(UTC)

    def wait(self, timeout_s: float) -> bool:
        """Waits for the clip's end; False where it still plays after `timeout_s` seconds."""
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    def close(self) -> None:
        """Stops publishing, within 1 s. May be called twice."""
        self._process.terminate()
        if not self.wait(_POLITE_S):
            self._process.kill()
            self._process.wait(_POLITE_S)
        if self._process.stdout is not None:
            self._process.stdout.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _wait_for_first_packet(self) -> None:
        said = ""
        output = self._process.stdout
        if output is not None and select.select([output], [], [], _CONNECT_S)[0]:
            said = output.readline().strip()
        if said != "publishing":
            raise StreammonError(f"the RTMP server does not take the stream: {said or 'no answer'}")


def packets(clip: Path, loop: int, start_s: float) -> Iterator[tuple[Packet[Any], float]]:
    """The clip's packets in decoding order with their DTS in seconds since the first, without a jump between turns."""
    offset_s = 0.0
    for _ in range(loop):
        with av.open(str(clip)) as source:
            if start_s > 0:
                source.seek(round(start_s * av.time_base))
            end_s = offset_s
            for packet, dts_s in _from_zero(source, offset_s):
                yield packet, dts_s
                end_s = max(end_s, dts_s + float((packet.duration or 0) * packet.time_base))
            offset_s = end_s


def _from_zero(source: InputContainer, offset_s: float) -> Iterator[tuple[Packet[Any], float]]:
    """The packets from where `source` stands, their times moved so that the first DTS is `offset_s`."""
    first_s: float | None = None
    for packet in source.demux():
        if packet.dts is None or packet.pts is None:
            continue
        dts_s = float(packet.dts * packet.time_base)
        first_s = dts_s if first_s is None else first_s
        move = round((offset_s - first_s) / packet.time_base)
        packet.dts, packet.pts = packet.dts + move, packet.pts + move
        yield packet, float(packet.dts * packet.time_base)


def publish(clip: Path, url: str, loop: int, start_s: float, stop: threading.Event) -> None:
    """Sends the clip to `url` by the wall clock until it is over or `stop` is set. Raises av.FFmpegError."""
    with av.open(str(clip)) as template, av.open(url, "w", format="flv", timeout=_CONNECT_S) as out:
        streams = [out.add_stream_from_template(stream) for stream in template.streams]
        began_s: float | None = None
        for packet, dts_s in packets(clip, loop, start_s):
            packet.stream = streams[packet.stream.index]
            if began_s is not None and stop.wait(max(0.0, began_s + dts_s - time.monotonic())):
                return
            out.mux(packet)
            if began_s is None:
                began_s = time.monotonic()
                print("publishing", flush=True)


def main() -> int:
    """Publishes as the command line says; the parent reads the first line to know how it went."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clip", type=Path)
    parser.add_argument("url")
    parser.add_argument("--loop", type=int, default=1, help="how many times to play the clip")
    parser.add_argument("--start", type=float, default=0.0, help="where in the clip to begin, in seconds")
    args = parser.parse_args()
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, lambda *_: stop.set())
    try:
        publish(args.clip, args.url, args.loop, args.start, stop)
    except av.FFmpegError as error:
        print(error.strerror, flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
