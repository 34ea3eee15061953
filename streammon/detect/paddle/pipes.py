"""Messages to and from a child over its pipes, never waiting for longer than asked. One thread's at a time."""

from __future__ import annotations

import json
import os
import select
import time
from collections.abc import Mapping, Sequence
from typing import Any

from streammon.detect.paddle.worker import HEAD, MAGIC, MAX_ANSWER_BYTES

_CHUNK_BYTES = 1 << 18


class NotOurProtocol(Exception):
    """What came is no message of the protocol: nothing that comes after it can be understood."""


class Pipes:
    """`to_child` and `from_child` are descriptors, which stay their owner's to close. See `worker` for a message."""

    def __init__(self, to_child: int, from_child: int) -> None:
        self._to_child, self._from_child = to_child, from_child
        self._came = bytearray()
        for descriptor in (to_child, from_child):
            os.set_blocking(descriptor, False)

    def send(self, told: Mapping[str, Any], pixels: Sequence[memoryview], until_s: float) -> None:
        """Sends a message, whose pixels are all of these, one behind the other. `until_s` is `time.monotonic()`'s.

        Raises TimeoutError where the child does not take it by then, EOFError where it is gone.
        """
        text = json.dumps(told).encode()
        size = sum(part.nbytes for part in pixels)
        for part in (memoryview(HEAD.pack(MAGIC, len(text), size) + text), *pixels):
            self._write(part.cast("B"), until_s)

    def receive(self, until_s: float) -> dict[str, Any]:
        """The next message. What has come of one when the time is up is kept for the next call.

        Raises TimeoutError where none has come by then, EOFError where the child is gone, NotOurProtocol.
        """
        while (message := self._message()) is None:
            _wait(self._from_child, select.POLLIN, until_s)
            try:
                data = os.read(self._from_child, _CHUNK_BYTES)
            except BlockingIOError:
                continue
            if not data:
                raise EOFError
            self._came += data
        return message

    def _message(self) -> dict[str, Any] | None:
        """The first message, taken out of what has come; None where it is not whole yet."""
        if len(self._came) < HEAD.size:
            return None
        magic, told, pixels = HEAD.unpack_from(self._came)
        if magic != MAGIC or told > MAX_ANSWER_BYTES or pixels:
            raise NotOurProtocol
        end = HEAD.size + told
        if len(self._came) < end:
            return None
        try:
            message = json.loads(self._came[HEAD.size : end])
        except ValueError as error:
            raise NotOurProtocol from error
        del self._came[:end]
        if not isinstance(message, dict):
            raise NotOurProtocol
        return message

    def _write(self, data: memoryview, until_s: float) -> None:
        while data.nbytes:
            _wait(self._to_child, select.POLLOUT, until_s)
            try:
                data = data[os.write(self._to_child, data[:_CHUNK_BYTES]) :]
            except BlockingIOError:
                continue
            except BrokenPipeError as error:
                raise EOFError from error


def _wait(descriptor: int, event: int, until_s: float) -> None:
    """Until something may be read or written, or the other end is gone. Raises TimeoutError."""
    waiting = select.poll()
    waiting.register(descriptor, event)
    if not waiting.poll(max(0.0, until_s - time.monotonic()) * 1000):
        raise TimeoutError
