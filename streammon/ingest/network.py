"""Sockets for the HTTP client: connected only to allowed addresses, and every wait ends soon after a stop is asked for.

A `httpcore.NetworkBackend`. Waiting happens in short steps, since nothing else wakes a thread out of a socket.
"""

from __future__ import annotations

import errno
import os
import queue
import select
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from threading import Event, Thread
from typing import Any, TypeVar

import httpcore

from streammon.errors import SourceStopped
from streammon.ingest.address import AddressPolicy

_STEP_S = 0.2

Result = TypeVar("Result")
Addresses = list[tuple[str, int]]


class Patience:
    """When waiting is over: at a stop, and at a deadline that many waits share. Of one thread."""

    def __init__(self, stop: Event) -> None:
        self._stop = stop
        self._until_s = float("inf")

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """All that is waited for in here comes within so many seconds; what is in force already still holds."""
        before_s = self._until_s
        self._until_s = min(before_s, time.monotonic() + seconds)
        try:
            yield
        finally:
            self._until_s = before_s

    def deadline(self, timeout_s: float | None) -> float:
        """When a wait that may take `timeout_s` (None: for ever) is over, on the monotonic clock."""
        return min(self._until_s, time.monotonic() + (timeout_s if timeout_s is not None else float("inf")))

    def check(self, until_s: float) -> None:
        """Raises SourceStopped after a stop, TimeoutError after `until_s`."""
        if self._stop.is_set():
            raise SourceStopped("the room is being stopped")
        if time.monotonic() >= until_s:
            raise TimeoutError("timed out")


class GuardedBackend(httpcore.NetworkBackend):
    """Connects to what the address policy allows. Raises SourceForbidden, and SourceStopped after a stop."""

    def __init__(self, policy: AddressPolicy, patience: Patience) -> None:
        self._policy = policy
        self._patience = patience

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,  # noqa: ARG002 - part of httpcore's protocol
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,  # noqa: ARG002
    ) -> httpcore.NetworkStream:
        """A connection to the first allowed address that accepts one. None has more than its share of the time."""
        until_s = self._patience.deadline(timeout)
        failure: Exception | None = None
        try:
            addresses = self._resolve(host, port, until_s)
            for tried, address in enumerate(addresses):
                now_s = time.monotonic()
                try:
                    connected = self._connect(address, now_s + (until_s - now_s) / (len(addresses) - tried))
                except OSError as error:
                    failure = error
                else:
                    return GuardedStream(connected, self._patience)
        except TimeoutError as error:
            failure = error
        kind = httpcore.ConnectTimeout if isinstance(failure, TimeoutError) else httpcore.ConnectError
        raise kind(failure) from failure

    def _resolve(self, host: str, port: int, until_s: float) -> Addresses:
        """What the policy allows. The resolver cannot be interrupted; its thread is left to its own time-out."""
        answer: queue.SimpleQueue[Addresses | Exception] = queue.SimpleQueue()
        resolve = partial(self._policy.resolve, host, port)
        Thread(target=_put_result, args=(answer, resolve), name="resolve", daemon=True).start()
        while True:
            try:
                found = answer.get(timeout=_step_s(until_s))
            except queue.Empty:
                self._patience.check(until_s)
                continue
            if isinstance(found, Exception):
                raise found
            return found

    def _connect(self, address: tuple[str, int], until_s: float) -> socket.socket:
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        connecting = socket.socket(family, socket.SOCK_STREAM)
        try:
            connecting.setblocking(False)
            _check_code(connecting.connect_ex(address))
            while not _ready(connecting, select.POLLOUT, until_s):
                self._patience.check(until_s)
            _check_code(connecting.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
            connecting.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except BaseException:
            connecting.close()
            raise
        return connecting


class GuardedStream(httpcore.NetworkStream):
    """A connected socket, plain or TLS, that is read and written in steps."""

    def __init__(self, connected: socket.socket, patience: Patience) -> None:
        self._socket = connected
        self._patience = patience

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """At most `max_bytes`; empty at the end."""
        try:
            return self._in_steps(partial(self._socket.recv, max_bytes), select.POLLIN, timeout)
        except TimeoutError as error:
            raise httpcore.ReadTimeout(str(error)) from error
        except OSError as error:
            raise httpcore.ReadError(str(error)) from error

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """All of it."""
        try:
            while buffer:
                sent = self._in_steps(partial(self._socket.send, buffer), select.POLLOUT, timeout)
                buffer = buffer[sent:]
        except TimeoutError as error:
            raise httpcore.WriteTimeout(str(error)) from error
        except OSError as error:
            raise httpcore.WriteError(str(error)) from error

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        """The same connection after a TLS handshake that verified `server_hostname`. Closed where that fails."""
        try:
            self._shake_hands(ssl_context, server_hostname, timeout)
        except TimeoutError as error:
            raise httpcore.ConnectTimeout(str(error)) from error
        except OSError as error:
            raise httpcore.ConnectError(error) from error
        return self

    def close(self) -> None:
        """Closes the connection."""
        self._socket.close()

    def get_extra_info(self, info: str) -> Any:
        """What httpcore asks of a stream: whether it is readable, and the socket."""
        if info == "is_readable":
            return _ready(self._socket, select.POLLIN, 0.0)
        return self._socket if info == "socket" else None

    def _shake_hands(self, context: ssl.SSLContext, hostname: str | None, timeout_s: float | None) -> None:
        try:
            wrapped = context.wrap_socket(self._socket, server_hostname=hostname, do_handshake_on_connect=False)
            self._socket = wrapped
            self._in_steps(wrapped.do_handshake, select.POLLIN, timeout_s)
        except BaseException:  # nobody else closes it: httpcore has no connection yet
            self.close()
            raise

    def _in_steps(self, act: Callable[[], Result], event: int, timeout_s: float | None) -> Result:
        """What `act` gives once the socket is ready for it, which `event` says of a plain one."""
        until_s = self._patience.deadline(timeout_s)
        self._socket.setblocking(False)
        while True:
            self._patience.check(until_s)
            try:
                return act()
            except BlockingIOError:
                _ready(self._socket, event, until_s)
            except ssl.SSLWantReadError:
                _ready(self._socket, select.POLLIN, until_s)
            except ssl.SSLWantWriteError:
                _ready(self._socket, select.POLLOUT, until_s)


def _put_result(answer: queue.SimpleQueue[Addresses | Exception], resolve: Callable[[], Addresses]) -> None:
    try:
        answer.put(resolve())
    except Exception as error:  # noqa: BLE001 - the thread's top frame; it is raised where it is waited for
        answer.put(error)


def _check_code(code: int) -> None:
    if code not in {0, errno.EINPROGRESS}:
        raise OSError(code, os.strerror(code))


def _step_s(until_s: float) -> float:
    return max(0.0, min(_STEP_S, until_s - time.monotonic()))


def _ready(watched: socket.socket, event: int, until_s: float) -> bool:
    """Whether the socket became ready within one step, or by `until_s` if that is sooner."""
    poll = select.poll()  # not select(), which cannot watch descriptors above 1023
    poll.register(watched, event)
    return bool(poll.poll(_step_s(until_s) * 1000))
