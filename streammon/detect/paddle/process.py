"""Keeps a child running: starts it, asks it, ends it where it hangs, starts it again. Several threads at once."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, NoReturn

from streammon.backoff import Backoff
from streammon.detect.paddle.child import Child
from streammon.detect.paddle.pipes import NotOurProtocol
from streammon.errors import ModelError, ModelProcessLost, RunTimedOut

_log = logging.getLogger(__name__)

_CLOSE_S = 5.0
# Between its pipes' end and its own.
_GRACE_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a child is waited for, in seconds: until it is `ready`, and for each `answer`."""

    ready_s: float
    answer_s: float
    again: Backoff = field(default_factory=lambda: Backoff(first_s=1.0, cap_s=60.0))


class PaddleProcess:
    """At most one child at a time, which answers one request after the other.

    `left_s` says what is left to the calling thread, None where nothing limits it: no call waits for longer.
    """

    def __init__(
        self,
        command: Sequence[str],
        opening: Mapping[str, Any],
        patience: Patience,
        left_s: Callable[[], float | None] = lambda: None,
    ) -> None:
        """`opening` is a child's first request. Starts nothing yet."""
        self._command, self._opening = command, opening
        self._patience, self._left_s = patience, left_s
        self._turn = Lock()
        self._changing = Lock()
        self._child: Child | None = None
        self._closed = False
        self._failures = 0
        self._not_before_s = -math.inf

    @property
    def pid(self) -> int | None:
        """The child's process id; None where there is none."""
        child = self._child
        return None if child is None else child.pid

    def start(self) -> None:
        """Starts the child where there is none, and waits until it is ready. Raises what `ask` raises."""
        with self._taking_turns(time.monotonic() + self._patience.ready_s):
            self._ready_child(math.inf)  # which waits for `ready_s` at most

    def ask(self, request: Mapping[str, Any], pixels: Sequence[memoryview] = ()) -> dict[str, Any]:
        """What the child answers.

        Raises RunTimedOut where it does not in time, which ends it, or is still being started, which does not;
        ModelProcessLost where it is gone, or was lately and is not to be started again yet; ModelError where the
        request itself fails, or where this is closed.
        """
        with self._taking_turns(time.monotonic() + self._patience.answer_s) as until_s:
            child = self._ready_child(until_s)
            answer = self._exchange(child, request, pixels, until_s)
            self._failures = 0
        if "error" in answer:
            raise ModelError(f"paddleocr failed: {answer['error']}")
        return answer

    def close(self) -> None:
        """Ends the child, whatever it is at. May be called twice."""
        with self._changing:
            self._closed = True
            child = self._child
        if child is not None:
            child.kill()  # whoever waits for its answer comes back
        if self._turn.acquire(timeout=_CLOSE_S):
            try:
                self._drop()
            finally:
                self._turn.release()

    @contextmanager
    def _taking_turns(self, until_s: float) -> Iterator[float]:
        """Until when this thread may wait, once it has its turn."""
        left_s = self._left_s()
        if left_s is not None:
            if left_s <= 0:
                raise RunTimedOut("paddleocr had no time left to answer")
            until_s = min(until_s, time.monotonic() + left_s)
        if not self._turn.acquire(timeout=max(0.0, until_s - time.monotonic())):
            raise RunTimedOut("paddleocr was busy for too long")
        try:
            yield until_s
        finally:
            self._turn.release()

    def _ready_child(self, until_s: float) -> Child:
        child = self._child if self._child is not None else self._start()
        if child.ready:
            return child
        ready_by_s = child.started_s + self._patience.ready_s
        try:
            answer = child.pipes.receive(min(until_s, ready_by_s))
        except TimeoutError as error:
            if time.monotonic() < ready_by_s:
                raise RunTimedOut("paddleocr is still being started") from error
            self._lost("was not ready in time", error)
        except (EOFError, NotOurProtocol) as error:
            self._lost("did not start", error)
        child.ready = True
        _log.info("paddleocr %s runs as process %d", answer.get("ready"), child.pid)
        return child

    def _start(self) -> Child:
        wait_s = self._not_before_s - time.monotonic()
        if wait_s > 0:
            raise ModelProcessLost(f"paddleocr's process was lost; it is started again in {wait_s:.1f} s")
        with self._changing:
            if self._closed:
                raise ModelError("paddleocr is closed")
            child = self._child = Child(self._command)
        try:
            child.pipes.send(self._opening, (), child.started_s + self._patience.ready_s)
        except (TimeoutError, EOFError) as error:
            self._lost("did not start", error)
        return child

    def _exchange(
        self, child: Child, request: Mapping[str, Any], pixels: Sequence[memoryview], until_s: float
    ) -> dict[str, Any]:
        try:
            child.pipes.send(request, pixels, until_s)
            return child.pipes.receive(until_s)
        except TimeoutError as error:
            self._lost("took too long", error)
        except NotOurProtocol as error:
            self._lost("said what is no answer", error)
        except EOFError as error:
            self._lost("is gone", error)

    def _lost(self, how: str, error: Exception) -> NoReturn:
        """Ends the child and raises. The next one is not started before some time has passed."""
        ended = self._drop(grace_s=_GRACE_S if isinstance(error, EOFError) else 0.0)
        if self._closed:
            raise ModelError("paddleocr is closed") from error
        self._failures += 1
        self._not_before_s = time.monotonic() + self._patience.again.delay_s(self._failures)
        _log.warning("paddleocr's process %s: it %s", how, ended)
        kind = RunTimedOut if isinstance(error, TimeoutError) else ModelProcessLost
        raise kind(f"paddleocr's process {how}: it {ended}") from error

    def _drop(self, *, grace_s: float = 0.0) -> str:
        child, self._child = self._child, None
        return child.end(grace_s=grace_s) if child is not None else "had ended"
