"""Sockets for the HTTP client: connected only to allowed addresses, and every wait ends soon after a stop is asked for.

A `httpcore.NetworkBackend`, of one room's thread.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import ssl
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, TypeVar

import httpcore

from streammon.ingest.net.address import AddressPolicy
from streammon.ingest.net.patience import Patience, step_s
from streammon.ingest.net.pulled import count_pulled
from streammon.ingest.net.resolver import Resolver, shared_resolver

Result = TypeVar("Result")


class GuardedBackend(httpcore.NetworkBackend):
    """Connects to what the address policy allows. Raises SourceForbidden, and SourceStopped after a stop.

    `resolver` finds the hosts' addresses; None: the process's own.
    """

    def __init__(self, policy: AddressPolicy, patience: Patience, resolver: Resolver | None = None) -> None:
        self._policy = policy
        self._patience = patience
        self._resolver = resolver if resolver is not None else shared_resolver()

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
            addresses = self._policy.only_allowed(self._resolver.addresses(host, self._patience, timeout))
            for tried, address in enumerate(addresses):
                now_s = time.monotonic()
                try:
                    connected = self._connect((address, port), now_s + (until_s - now_s) / (len(addresses) - tried))
                except OSError as error:
                    failure = error
                else:
                    return GuardedStream(connected, self._patience)
        except TimeoutError as error:
            failure = error
        kind = httpcore.ConnectTimeout if isinstance(failure, TimeoutError) else httpcore.ConnectError
        raise kind(failure) from failure

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
            data = self._in_steps(partial(self._socket.recv, max_bytes), select.POLLIN, timeout)
        except TimeoutError as error:
            raise httpcore.ReadTimeout(str(error)) from error
        except OSError as error:
            raise httpcore.ReadError(str(error)) from error
        count_pulled(len(data))
        return data

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


def _check_code(code: int) -> None:
    if code not in {0, errno.EINPROGRESS}:
        raise OSError(code, os.strerror(code))


def _ready(watched: socket.socket, event: int, until_s: float) -> bool:
    """Whether the socket became ready within one step, or by `until_s` if that is sooner."""
    poll = select.poll()  # not select(), which cannot watch descriptors above 1023
    poll.register(watched, event)
    return bool(poll.poll(step_s(until_s) * 1000))
