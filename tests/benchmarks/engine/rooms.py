"""Serves FLV clips as live rooms over HTTP: `python rooms.py PORT CLIP...`, rooms at /0, /1, and so on. One thread.

Room n plays clip n modulo their number, from a place of its own, in real time and for ever; its clock goes on over the
clip's end. Who connects gets it from the next key frame on, as a media server without a GOP cache gives it. Uses the
standard library only, so that it costs little and can be run by itself.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path

_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: video/x-flv\r\nConnection: close\r\n\r\n"
_FLV_HEADER_BYTES, _TAG_HEAD_BYTES, _TAG_END_BYTES = 13, 11, 4
_VIDEO, _KEY = 9, 1
_CONFIGURATION, _PICTURE = 0, 1
_EVERY_S = 0.1
"""What has become due is sent this often: media servers merge what they write, too."""
_GOLDEN = 0.618034
"""Multiples of it modulo 1 lie evenly spread, however many there are: rooms' key frames do not come together."""


@dataclass(frozen=True, slots=True)
class Tag:
    """One packet of the video. `at_ms` is its decoding time in the clip."""

    at_ms: int
    key: bool
    head: bytes
    tail: bytes

    def stamped(self, at_ms: int) -> bytes:
        """The tag with another time."""
        return self.head + (at_ms & 0xFFFFFF).to_bytes(3, "big") + bytes([at_ms >> 24 & 0x7F]) + self.tail


class Clip:
    """The video of one FLV file in memory. Raises ValueError where there is none."""

    def __init__(self, content: bytes) -> None:
        tags = list(_tags(content))
        configuration = [tag for tag, kind in tags if kind == _CONFIGURATION]
        self.tags = [tag for tag, kind in tags if kind == _PICTURE]
        if not configuration or len(self.tags) < 2:
            raise ValueError("no H.264 video in the clip")
        self.opening = content[:_FLV_HEADER_BYTES] + configuration[0].stamped(0)
        last_ms = self.tags[-1].at_ms
        self.length_ms = round(last_ms * len(self.tags) / (len(self.tags) - 1))

    def from_key(self, start_ms: int) -> Iterator[tuple[int, Tag]]:
        """Tags for ever, from the first key frame at or after `start_ms`, with their times on a clock that goes on."""
        waiting = True
        for turn in count(start_ms // self.length_ms):
            for tag in self.tags:
                at_ms = turn * self.length_ms + tag.at_ms
                if waiting and (at_ms < start_ms or not tag.key):
                    continue
                waiting = False
                yield at_ms, tag


def _tags(content: bytes) -> Iterator[tuple[Tag, int]]:
    """The video tags, and what each holds."""
    at = _FLV_HEADER_BYTES
    while at + _TAG_HEAD_BYTES <= len(content):
        size = int.from_bytes(content[at + 1 : at + 4], "big")
        end = at + _TAG_HEAD_BYTES + size
        if content[at] == _VIDEO and size > 1:
            at_ms = int.from_bytes(content[at + 4 : at + 7], "big") | content[at + 7] << 24
            first, kind = content[at + _TAG_HEAD_BYTES], content[at + _TAG_HEAD_BYTES + 1]
            key = first >> 4 == _KEY
            yield Tag(at_ms, key, content[at : at + 4], content[at + 8 : end + _TAG_END_BYTES]), kind
        at = end + _TAG_END_BYTES


class Broadcast:
    """All rooms, on the air since this was made."""

    def __init__(self, clips: Sequence[Clip]) -> None:
        self._clips = clips
        self._began_s = time.monotonic()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request, until the client goes."""
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
            request = await reader.readuntil(b"\r\n\r\n")
            room = int(request.split()[1].strip(b"/"))
            writer.write(_HEAD)
            await self._play(room, writer)
        writer.close()

    async def _play(self, room: int, writer: asyncio.StreamWriter) -> None:
        clip = self._clips[room % len(self._clips)]
        shift_ms = round(room * _GOLDEN % 1.0 * clip.length_ms)
        tags = clip.from_key(self._position_ms(shift_ms))
        at_ms, tag = next(tags)
        began_ms, pending = at_ms, clip.opening
        while True:
            due = [pending]
            while at_ms <= self._position_ms(shift_ms):
                due.append(tag.stamped(at_ms - began_ms))
                at_ms, tag = next(tags)
            writer.write(b"".join(due))
            pending = b""
            await writer.drain()
            await asyncio.sleep(_EVERY_S)

    def _position_ms(self, shift_ms: int) -> int:
        return shift_ms + int((time.monotonic() - self._began_s) * 1000)


async def serve(port: int, clips: Sequence[Clip]) -> None:
    """Serves until it is ended."""
    server = await asyncio.start_server(Broadcast(clips).answer, "127.0.0.1", port)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), [Clip(Path(name).read_bytes()) for name in sys.argv[2:]]))
