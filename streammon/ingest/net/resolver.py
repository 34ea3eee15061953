"""Finds hosts' addresses on a few threads of its own, since nothing interrupts the system's resolver.

Rooms' threads ask and wait. Who asks for a name that is being looked up waits for the same answer, so a name that
never resolves holds one thread, however many rooms and attempts want it. The threads end when nothing is asked.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from threading import Event, Lock, Thread

from streammon.errors import SourceUnreachable
from streammon.ingest.net.patience import Patience

# A lookup that fails slowly takes some 20 s; so many names may do so at once before others wait for them.
_THREADS = 16

Lookup = Callable[[str], list[str]]


def look_up(host: str) -> list[str]:
    """The host's addresses in the resolver's order. Raises OSError, or ValueError for what is no host; blocks."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(info[4][0]) for info in found))


@dataclass(slots=True)
class _Question:
    """One name that is asked for; `asking` counts who still waits. Its answer is there once `answered` is set."""

    asking: int = 0
    answered: Event = field(default_factory=Event)
    addresses: list[str] = field(default_factory=list)
    error: Exception | None = None


class Resolver:
    """Looks names up for many threads, on at most `threads` of its own. Nothing is remembered."""

    def __init__(self, lookup: Lookup = look_up, threads: int = _THREADS) -> None:
        self._lookup = lookup
        self._most = threads
        self._lock = Lock()
        self._waiting: dict[str, _Question] = {}
        self._underway: dict[str, _Question] = {}
        self._threads = 0

    def addresses(self, host: str, patience: Patience, timeout_s: float | None = None) -> list[str]:
        """The host's addresses in the resolver's order, at least one.

        Raises SourceUnreachable where the name does not resolve, or not within `timeout_s` and the patience's own
        deadline; SourceStopped soon after a stop.
        """
        if _is_address(host):
            return [host]
        until_s = patience.deadline(timeout_s)
        question = self._ask(host)
        try:
            patience.wait_for(question.answered, until_s)
        except TimeoutError as error:
            raise SourceUnreachable("the resolver did not answer in time; check it and the host's name") from error
        finally:
            self._leave(host, question)
        if not question.addresses:
            raise SourceUnreachable("the host's name does not resolve; check it and the resolver") from question.error
        return list(question.addresses)

    def _ask(self, host: str) -> _Question:
        with self._lock:
            question = self._underway.get(host) or self._waiting.setdefault(host, _Question())
            question.asking += 1
            if self._waiting and self._threads < self._most:
                Thread(target=self._answer_all, name="resolver", daemon=True).start()
                self._threads += 1
        return question

    def _leave(self, host: str, question: _Question) -> None:
        """A question that nobody waits for any more is not looked up; one that is underway is left to itself."""
        with self._lock:
            question.asking -= 1
            if question.asking == 0 and self._waiting.get(host) is question:
                del self._waiting[host]

    def _answer_all(self) -> None:
        while (asked := self._next()) is not None:
            host, question = asked
            try:
                question.addresses = self._lookup(host)
            except Exception as error:  # noqa: BLE001 - the thread's top frame; it is told to who waits
                question.error = error
            with self._lock:
                del self._underway[host]
            question.answered.set()

    def _next(self) -> tuple[str, _Question] | None:
        """The name that has waited longest; None, and one thread fewer, where none does."""
        with self._lock:
            for host, question in self._waiting.items():
                del self._waiting[host]
                self._underway[host] = question
                return host, question
            self._threads -= 1
            return None


@cache
def shared_resolver() -> Resolver:
    """The process's own."""
    return Resolver()


def _is_address(host: str) -> bool:
    """Whether the host is written as an address, which needs no resolver."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
