"""Names are looked up on few threads, one per name, and nobody waits longer than he wants to."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread

import pytest

from streammon.errors import SourceStopped, SourceUnreachable
from streammon.ingest.net.patience import Patience
from streammon.ingest.net.resolver import Resolver, look_up

SECRET = "secret-name.example"  # noqa: S105 - a host that no message may repeat


class Slow:
    """A lookup that answers when it is let go, and notes who asked on which threads."""

    def __init__(self) -> None:
        self.go = Event()
        self.asked: list[str] = []
        self.threads: set[Thread] = set()

    def __call__(self, host: str) -> list[str]:
        self.asked.append(host)
        self.threads.add(threading.current_thread())
        assert self.go.wait(10.0)
        return [f"1.1.1.{len(host)}"]


@pytest.fixture
def slow() -> Iterator[Slow]:
    one = Slow()
    yield one
    one.go.set()
    for thread in one.threads:
        thread.join(2.0)
        assert not thread.is_alive()


@contextmanager
def asking(resolver: Resolver, hosts: list[str], answers: list[object]) -> Iterator[None]:
    """A thread per host, each of which notes its answer or error; all are over at the end."""

    def ask(host: str) -> None:
        try:
            answers.append(resolver.addresses(host, Patience(Event()), 5.0))
        except SourceUnreachable as error:
            answers.append(error)

    threads = [Thread(target=ask, args=(host,)) for host in hosts]
    for thread in threads:
        thread.start()
    yield
    for thread in threads:
        thread.join(5.0)
        assert not thread.is_alive()


def eventually(condition: Callable[[], bool]) -> None:
    give_up_s = time.monotonic() + 2.0
    while not condition():
        assert time.monotonic() < give_up_s
        time.sleep(0.005)


def asks(resolver: Resolver, host: str, *, stop: Event | None = None, timeout_s: float | None = None) -> list[str]:
    return resolver.addresses(host, Patience(stop if stop is not None else Event()), timeout_s)


def test_an_answer_is_given_as_it_came() -> None:
    resolver = Resolver(lambda _: ["2606:4700::1111", "1.1.1.1"])
    assert asks(resolver, "a.example") == ["2606:4700::1111", "1.1.1.1"]


@pytest.mark.parametrize("error", [socket.gaierror(socket.EAI_AGAIN, f"{SECRET}: try again"), UnicodeError(SECRET)])
def test_a_name_that_does_not_resolve_is_said_to(error: Exception) -> None:
    def fails(_host: str) -> list[str]:
        raise error

    with pytest.raises(SourceUnreachable, match="check it and the resolver") as caught:
        asks(Resolver(fails), SECRET)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("host", ["", "a..b", "x" * 64 + ".example"])
def test_what_is_no_host_is_unreachable(host: str) -> None:
    with pytest.raises(SourceUnreachable, match="does not resolve"):
        asks(Resolver(), host)


def test_the_systems_resolver_is_asked_for_each_address_once() -> None:
    assert look_up("127.0.0.1") == ["127.0.0.1"]


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "fe80::1%eth0"])
def test_an_address_needs_no_lookup(slow: Slow, host: str) -> None:
    assert asks(Resolver(slow), host) == [host]
    assert slow.asked == []


def test_a_stop_is_noticed_at_once(slow: Slow) -> None:
    stop = Event()
    timer = threading.Timer(0.1, stop.set)
    timer.start()
    began_s = time.monotonic()
    with pytest.raises(SourceStopped):
        asks(Resolver(slow), SECRET, stop=stop)
    timer.join()
    assert time.monotonic() - began_s < 0.45


@pytest.mark.parametrize("by", ["argument", "patience"])
def test_who_waits_in_vain_is_told_in_time(slow: Slow, by: str) -> None:
    patience = Patience(Event())
    began_s = time.monotonic()
    with (
        patience.within(0.3 if by == "patience" else 9.0),
        pytest.raises(SourceUnreachable, match="did not answer in time") as caught,
    ):
        Resolver(slow).addresses(SECRET, patience, 0.3 if by == "argument" else 9.0)
    assert 0.25 < time.monotonic() - began_s < 0.6
    assert SECRET not in str(caught.value)


def test_a_name_is_looked_up_once_for_all_who_want_it(slow: Slow) -> None:
    resolver, answers = Resolver(slow), list[object]()
    with asking(resolver, ["a.example"] * 5, answers):
        eventually(lambda: "a.example" in resolver._underway and resolver._underway["a.example"].asking == 5)
        slow.go.set()
    assert answers == [["1.1.1.9"]] * 5
    assert slow.asked == ["a.example"]
    assert asks(resolver, "a.example") == ["1.1.1.9"]
    assert slow.asked == ["a.example"] * 2  # nothing is remembered


def test_names_beyond_the_threads_wait_for_one_and_are_answered(slow: Slow) -> None:
    hosts = [f"{'x' * number}.example" for number in range(1, 11)]
    answers: list[object] = []
    with asking(Resolver(slow, threads=3), hosts, answers):
        eventually(lambda: len(slow.asked) == 3)
        slow.go.set()
    assert sorted(map(str, answers)) == sorted(str([f"1.1.1.{len(host)}"]) for host in hosts)
    assert len(slow.threads) <= 3


def test_a_thousand_lookups_that_hang_leave_few_threads_and_nothing_to_do(slow: Slow) -> None:
    resolver = Resolver(slow, threads=4)
    before = threading.active_count()
    for number in range(1000):
        with pytest.raises(SourceUnreachable):
            asks(resolver, f"{number}.example", timeout_s=0.0)
    assert threading.active_count() - before <= 4
    assert len(slow.asked) <= 4
    slow.go.set()
    eventually(lambda: threading.active_count() == before)
    assert len(slow.asked) <= 4, "a name that nobody waits for any more was looked up"
    assert asks(resolver, "after.example") == ["1.1.1.13"]


def test_a_thousand_lookups_that_fail_leave_no_thread() -> None:
    def fails(_host: str) -> list[str]:
        raise socket.gaierror

    resolver = Resolver(fails)
    before = threading.active_count()
    for number in range(1000):
        with pytest.raises(SourceUnreachable, match="does not resolve"):
            asks(resolver, f"{number % 7}.example")
    eventually(lambda: threading.active_count() == before)
