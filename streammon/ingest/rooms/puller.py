"""The thread that pulls a room: connect, sample, hand over, reconnect; until it is stopped, or given up as hung.

It says by when it must have come on, so that a watchdog (see `room`) can tell that it hangs in a call.
"""

from __future__ import annotations

import logging
import math
import time
from contextlib import closing
from dataclasses import dataclass, replace
from threading import Event, Thread, get_native_id
from typing import Protocol

from streammon.backoff import Backoff
from streammon.entities import RoomState
from streammon.errors import (
    InternalFault,
    SourceError,
    SourceFinished,
    SourceStalled,
    SourceStopped,
    SourceUnreachable,
)
from streammon.ingest.config import IngestConfig
from streammon.ingest.media.opening import open_source
from streammon.ingest.net.address import AddressPolicy
from streammon.ingest.net.pulled import pulled_bytes
from streammon.ingest.rooms.refresh import URL_COMMAND_WITHIN_S, fresh_url
from streammon.ingest.rooms.session import SampledRoom, Sampling
from streammon.ingest.rooms.witness import marked, next_mark
from streammon.ingest.source import SourceRequest

_log = logging.getLogger(__name__)

# A connection that has held this long is a success: the next failure is tried again quickly.
_GOOD_SESSION_S = 60.0
# What time alone rarely mends is tried again so many times more slowly.
_SLOWLY = 10.0
# The time-outs inside come first; the watchdog is for what they do not end.
_SLACK_S = 2.0
_CLOSE_WITHIN_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a room's threads pull. `url_command` prints the URL before each connection."""

    request: SourceRequest
    url_command: tuple[str, ...]

    @property
    def live(self) -> bool:
        """Whether it is tried again after its end and after every failure."""
        return self.request.live or bool(self.url_command)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What pulling has cost since the thread began: its time on a core, and what came over the network."""

    cpu_s: float = 0.0
    pulled_bytes: int = 0


class PulledRoom(SampledRoom, Protocol):
    """What a puller tells its room. All raise SourceStopped where the room has given this puller up."""

    def state(self) -> RoomState | None:
        """What the room is doing."""

    def runs_on(self, tid: int, mark: str) -> None:
        """The calling thread pulls the room from now on, see `RoomThread`."""

    def move(self, puller: Puller, state: RoomState, error: SourceError | None = None) -> None:
        """The connection is in another state, for that reason."""

    def failed(self, puller: Puller) -> int:
        """One more failure in a row. Returns how many there are now."""

    def forget_failures(self, puller: Puller) -> None:
        """A connection has been good."""

    def resumed(self) -> bool:
        """Whether the room has delivered video before."""


class Puller:
    """One thread. After failures in a row it waits before its first connection too."""

    def __init__(self, room: PulledRoom, target: Target, config: IngestConfig, *, after_failures: int = 0) -> None:
        self._room = room
        self._target = target
        self._config = config
        self._after_failures = after_failures
        self._quick = Backoff(first_s=config.backoff_first, cap_s=config.backoff_cap)
        self._slow = Backoff(first_s=_SLOWLY * config.backoff_first, cap_s=_SLOWLY * config.backoff_cap)
        self._stop = Event()
        self._hang_up = Event()
        self._deadline_s = math.inf
        self._spent = Spent()
        self._mark = next_mark()
        self._thread = Thread(target=marked(self._run, self._mark), name="puller", daemon=True)

    def start(self) -> None:
        """Begins to pull."""
        self._thread.start()

    def stop(self) -> None:
        """Asks the thread to end. Any thread."""
        self._stop.set()
        self._hang_up.set()

    def hang_up(self) -> None:
        """Asks it to end the connection that it is on, as stalled, and to try again. Any thread."""
        self._hang_up.set()

    @property
    def deadline_s(self) -> float:
        """By when it must have come on, on the monotonic clock."""
        return self._deadline_s

    def expect(self, within_s: float) -> None:
        """It comes on within so many seconds, and some more. See `SamplingThread`."""
        self._deadline_s = time.monotonic() + within_s + _SLACK_S
        self._spent = Spent(cpu_s=time.thread_time(), pulled_bytes=pulled_bytes())

    @property
    def spent(self) -> Spent:
        """What it has cost until it last came on."""
        return self._spent

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def join(self, timeout_s: float) -> bool:
        """Whether the thread has ended within `timeout_s`."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        self._room.runs_on(get_native_id(), self._mark)
        if self._after_failures:
            self._stop.wait(self._quick.delay_s(self._after_failures))
        while True:
            try:
                self._pull()
            except SourceStopped:
                pass  # given up: another puller, or none, has the room now
            except Exception:  # noqa: BLE001 - the thread's top frame
                _log.exception("a room's thread failed")
                if self._go_on_after_fault():
                    continue
            return

    def _go_on_after_fault(self) -> bool:
        """Whether the room is tried again after a fault of our own."""
        fault = InternalFault("a fault of the monitor's own; its log says where")
        try:
            if self._target.live:
                self._wait_after(fault)
                return True
            self._room.move(self, RoomState.FAILED, fault)
        except SourceStopped:
            pass
        return False

    def _pull(self) -> None:
        while not self._stop.is_set():
            if self._room.state() is not RoomState.ENDED:
                self._room.move(self, RoomState.CONNECTING)
            try:
                self._one_session()
            except SourceError as error:
                if self._stop.is_set():
                    break
                if not self._target.live:
                    self._room.move(self, RoomState.FAILED, error)
                    return
                self._wait_after(error)
            else:
                if not self._stop.is_set():
                    self._room.move(self, RoomState.ENDED, SourceFinished("it has been played to its end"))
                break
        self._room.move(self, RoomState.STOPPED)

    def _wait_after(self, error: SourceError) -> None:
        """Waits until the stream is worth another try. One that is over is looked at again without a word."""
        after = _state_after(error, self._room.state())
        if after is not self._room.state():
            self._room.move(self, after, error)
        backoff = self._slow if error.persistent else self._quick
        self._stop.wait(backoff.delay_s(self._room.failed(self)))

    def _one_session(self) -> None:
        """Raises SourceError for all that ends it but a file's end and a stop."""
        self._hang_up = Event()
        if self._stop.is_set():  # which `stop` set while this one was being made
            return
        try:
            self._connect_and_sample()
        except SourceStopped as error:
            if not self._stop.is_set():
                raise self._late() from error
            raise
        finally:
            self._deadline_s = math.inf
        if self._hang_up.is_set() and not self._stop.is_set():
            raise self._late()

    def _late(self) -> SourceError:
        if self._room.state() in {RoomState.STREAMING, RoomState.STALLED}:
            return SourceStalled("connected, but nothing came any more; it is tried again")
        return SourceUnreachable("the stream did not open in time; check the address and that it is live")

    def _connect_and_sample(self) -> None:
        url = self._current_url()
        self.expect(self._config.open_timeout)
        request = replace(self._target.request, url=url, resumed=self._room.resumed())
        with closing(open_source(request, self._config, self._hang_up)) as source:
            started_s = time.monotonic()
            try:
                Sampling(self._room, self, self._config, self._hang_up).run(source)
            finally:
                self.expect(_CLOSE_WITHIN_S)
                if time.monotonic() - started_s >= _GOOD_SESSION_S:
                    self._room.forget_failures(self)

    def _current_url(self) -> str:
        if not self._target.url_command:
            return self._target.request.url
        self.expect(URL_COMMAND_WITHIN_S)
        url = fresh_url(self._target.url_command, self._hang_up)
        AddressPolicy().check_scheme(url)  # files come from the command line only
        return url


def _state_after(error: SourceError, now: RoomState | None) -> RoomState:
    """What a room is doing while it waits to be tried again."""
    if isinstance(error, SourceFinished):
        return RoomState.ENDED
    if isinstance(error, SourceStalled) and now in {RoomState.STREAMING, RoomState.STALLED}:
        return RoomState.STALLED
    return RoomState.BACKING_OFF
