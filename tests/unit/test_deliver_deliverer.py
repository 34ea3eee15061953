"""A deliverer gets everything to its sink in order, says what it waits for, and stops when told."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise, takewhile
from pathlib import Path

import jsonschema
import msgspec
import pytest

from streammon.backoff import Backoff
from streammon.deliver.dead_letters import DeadLetter, DeadLetters
from streammon.deliver.deliverer import Deliverer
from streammon.deliver.envelope import Envelope
from streammon.deliver.memory import MemorySink
from streammon.deliver.outbox import Outbox
from streammon.deliver.pump import PumpState, PumpStatus
from streammon.deliver.schemas import FOLDER
from streammon.deliver.sinks import Refusal
from streammon.errors import DeliveryError

FLUSH_S = 30.0


def envelopes(first: int, last: int) -> list[Envelope]:
    return [
        Envelope(
            event_id=f"incident:{number}",
            type="streammon.violation.v1",
            source="/streammon/w",
            subject="room",
            time="2025-03-04T05:06:07Z",
            dataschema="urn:streammon:schema:violation.v1",
            topic="streammon.violations",
            key="room",
            value=b"{}",
        )
        for number in range(first, last + 1)
    ]


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    opened = Outbox(tmp_path / "spool.db")
    opened.register_sinks(["memory"])
    yield opened
    opened.close()


class Recovery:
    """A back-off's dice that, thrown often enough, bring the sink back: tests need no clock and no sleep."""

    def __init__(self, sink: MemorySink, after: int) -> None:
        self.sink, self.after = sink, after
        self.statuses: list[PumpStatus] = []
        self.deliverer: Deliverer | None = None

    def __call__(self) -> float:
        assert self.deliverer is not None
        self.statuses.append(self.deliverer.status)
        if len(self.statuses) == self.after:
            self.sink.accept()
        return 0.0


def recovering(outbox: Outbox, sink: MemorySink, after: int) -> tuple[Deliverer, Recovery]:
    recovery = Recovery(sink, after)
    deliverer = recovery.deliverer = Deliverer(outbox, sink, backoff=Backoff(draw=recovery))
    return deliverer, recovery


def test_delivers_in_order_what_came_before_and_after_its_start(outbox: Outbox) -> None:
    sink = MemorySink()
    deliverer = Deliverer(outbox, sink)
    outbox.commit(envelopes(1, 300))
    deliverer.start()
    outbox.commit(envelopes(301, 310))

    assert deliverer.flush(FLUSH_S)
    assert sink.taken == envelopes(1, 310)
    assert outbox.depth("memory") == 0
    assert deliverer.close()


def test_waits_out_a_sink_that_refuses_and_loses_nothing(outbox: Outbox, caplog: pytest.LogCaptureFixture) -> None:
    sink = MemorySink()
    sink.refuse("broker is down")
    deliverer, recovery = recovering(outbox, sink, after=5)
    outbox.commit(envelopes(1, 3))
    with caplog.at_level(logging.INFO, logger="streammon"):
        deliverer.start()
        assert deliverer.flush(FLUSH_S)

    assert sink.taken == envelopes(1, 3)
    assert recovery.statuses[-1] == PumpStatus(state=PumpState.WAITING, reason="memory: broker is down", failures=5)
    assert deliverer.close()
    assert caplog.messages == [
        "sink memory: waiting, nothing is lost: memory: broker is down",
        "sink memory: delivering again",
    ]


def test_goes_on_behind_what_was_taken_of_a_batch(outbox: Outbox) -> None:
    sink = MemorySink()
    sink.refuse("full", after=7)
    deliverer, _ = recovering(outbox, sink, after=2)
    outbox.commit(envelopes(1, 20))
    deliverer.start()

    assert deliverer.flush(FLUSH_S)
    assert sink.taken == envelopes(1, 20)
    assert deliverer.close()


def test_flush_says_when_not_all_was_taken(outbox: Outbox) -> None:
    sink = MemorySink()
    sink.refuse("broker is down")
    deliverer = Deliverer(outbox, sink, backoff=Backoff(first_s=600.0, cap_s=600.0))
    outbox.commit(envelopes(1, 1))
    deliverer.start()

    assert not deliverer.flush(0.01)
    assert deliverer.close()  # though it was backing off for minutes
    assert deliverer.status.state is PumpState.CLOSED
    assert outbox.depth("memory") == 1


def test_flush_ends_a_back_off(outbox: Outbox) -> None:
    sink = MemorySink()
    sink.refuse("broker is down")
    outbox.commit(envelopes(1, 1))

    def minutes() -> float:
        sink.accept()
        return 1.0

    deliverer = Deliverer(outbox, sink, backoff=Backoff(first_s=600.0, cap_s=600.0, draw=minutes))
    deliverer.start()

    assert deliverer.flush(FLUSH_S)
    assert deliverer.close()


class BrokenSink(MemorySink):
    """A sink with a bug: the first sends raise what nobody expects."""

    def __init__(self, bugs: int) -> None:
        super().__init__()
        self.bugs = bugs

    def send(self, envelopes: Sequence[Envelope]) -> int | Refusal:
        if self.bugs:
            self.bugs -= 1
            raise ZeroDivisionError
        return super().send(envelopes)


def test_survives_a_bug_and_reports_it_once(outbox: Outbox, caplog: pytest.LogCaptureFixture) -> None:
    sink = BrokenSink(bugs=3)
    deliverer = Deliverer(outbox, sink, backoff=Backoff(draw=lambda: 0.0))
    outbox.commit(envelopes(1, 2))
    deliverer.start()

    assert deliverer.flush(FLUSH_S)
    assert sink.taken == envelopes(1, 2)
    assert deliverer.close()
    assert [record.exc_info is not None for record in caplog.records].count(True) == 1


class SilentSink(MemorySink):
    """A sink that breaks its contract: it takes nothing and does not raise."""

    def send(self, envelopes: Sequence[Envelope]) -> int:
        return len(envelopes[:0])


def test_a_sink_that_takes_nothing_is_waited_for(outbox: Outbox) -> None:
    deliverer, recovery = recovering(outbox, SilentSink(), after=1)
    outbox.commit(envelopes(1, 1))
    deliverer.start()

    assert not deliverer.flush(0.05)
    assert deliverer.close()
    assert recovery.statuses[0].reason == "memory: took nothing and did not say why"


def test_a_restarted_deliverer_goes_on_where_the_last_one_was(tmp_path: Path) -> None:
    sinks = [MemorySink(), MemorySink()]
    for sink, last in zip(sinks, (4, 6), strict=True):
        outbox = Outbox(tmp_path / "spool.db")
        outbox.register_sinks(["memory"])
        outbox.commit(envelopes(last - 1, last))
        deliverer = Deliverer(outbox, sink)
        deliverer.start()
        assert deliverer.flush(FLUSH_S)
        assert deliverer.close()
        outbox.close()

    assert [sink.taken for sink in sinks] == [envelopes(3, 4), envelopes(5, 6)]


def test_closing_never_misses_a_thread_about_to_sleep(outbox: Outbox) -> None:
    for number in range(50):
        deliverer = Deliverer(outbox, MemorySink())
        deliverer.start()
        outbox.commit(envelopes(number, number))
        assert deliverer.flush(FLUSH_S)
        assert deliverer.close()


def test_closing_twice_or_before_the_start_is_fine(outbox: Outbox) -> None:
    never_started = Deliverer(outbox, MemorySink())
    assert never_started.close()
    assert never_started.close()


def test_backoff_doubles_up_to_its_cap_and_is_jittered_down_to_nothing() -> None:
    bounds = [Backoff(first_s=0.2, cap_s=10.0, draw=lambda: 1.0).delay_s(failures) for failures in range(1, 2000)]

    assert bounds[:4] == [0.2, 0.4, 0.8, 1.6]
    assert bounds[-1] == 10.0
    assert all(later >= earlier for earlier, later in pairwise(bounds))
    assert Backoff(draw=lambda: 0.0).delay_s(3) == 0.0


def test_memory_sink_takes_what_it_may() -> None:
    sink = MemorySink(capacity=2)
    sink.refuse("full", after=3)

    assert sink.send(envelopes(1, 5)) == 3
    with pytest.raises(DeliveryError, match="memory: full"):
        sink.send(envelopes(4, 5))
    assert sink.taken == envelopes(2, 3)
    sink.close()


class PickySink(MemorySink):
    """A sink that can never take one event: it takes what is before it, then refuses."""

    def __init__(self, never: str, *, name: str = "memory") -> None:
        super().__init__(name)
        self.never = never

    def send(self, envelopes: Sequence[Envelope]) -> int | Refusal:
        before = list(takewhile(lambda envelope: envelope.event_id != self.never, envelopes))
        return super().send(before) if before else Refusal(reason="TooLarge")


def test_what_a_sink_can_never_take_is_a_dead_letter_and_holds_nothing_up(
    outbox: Outbox, caplog: pytest.LogCaptureFixture
) -> None:
    sink, graveyard = PickySink("incident:3"), MemorySink("graveyard")
    deliverer = Deliverer(outbox, sink, dead_letters=DeadLetters(graveyard, clock=lambda: 1795418100.5))
    outbox.commit(envelopes(1, 5))
    with caplog.at_level(logging.WARNING):
        deliverer.start()
        assert deliverer.flush(FLUSH_S)
    assert deliverer.close()

    assert sink.taken == [*envelopes(1, 2), *envelopes(4, 5)]
    assert deliverer.refused == 1
    assert caplog.messages == ["sink memory: never takes incident:3 (TooLarge): a dead letter"]
    (letter,) = graveyard.taken
    told = msgspec.json.decode(letter.value, type=DeadLetter)
    assert (letter.event_id, letter.topic, letter.key) == ("incident:3:memory", "streammon.dlq", "room")
    assert (told.event_id, told.topic, told.reason, told.sink) == (
        "incident:3",
        "streammon.violations",
        "TooLarge",
        "memory",
    )
    assert told.at == datetime(2026, 11, 23, 7, 15, 0, 500000, UTC)
    assert (told.size_bytes, told.value) == (2, "{}")
    jsonschema.Draft202012Validator(json.loads((FOLDER / "dead-letter.v1.json").read_text(encoding="utf-8"))).validate(
        json.loads(letter.value)
    )


def test_a_dead_letter_keeps_the_beginning_of_what_is_large() -> None:
    graveyard = MemorySink()
    (small,) = envelopes(1, 1)
    DeadLetters(graveyard).bury(replace(small, value="直".encode() * 100_000), "TooLarge", "kafka")

    letter = msgspec.json.decode(graveyard.taken[0].value, type=DeadLetter)
    assert letter.size_bytes == 300_000
    assert set(letter.value[:-1]) == {"直"}
    assert 65_536 <= len(letter.value.encode()) < 65_540


def test_without_a_place_for_dead_letters_it_waits_and_says_for_what(outbox: Outbox) -> None:
    sink = PickySink("incident:1")
    deliverer = Deliverer(outbox, sink, backoff=Backoff(first_s=600.0, cap_s=600.0))
    outbox.commit(envelopes(1, 2))
    deliverer.start()

    assert not deliverer.flush(0.05)
    assert deliverer.close()
    assert outbox.depth("memory") == 2


def test_a_dead_letter_that_cannot_be_kept_waits_and_comes_again(outbox: Outbox) -> None:
    graveyard = MemorySink("graveyard")
    graveyard.refuse("disk is full")
    recovery = Recovery(graveyard, after=3)
    sink = PickySink("incident:1")
    deliverer = Deliverer(outbox, sink, dead_letters=DeadLetters(graveyard), backoff=Backoff(draw=recovery))
    recovery.deliverer = deliverer
    outbox.commit(envelopes(1, 2))
    deliverer.start()

    assert deliverer.flush(FLUSH_S)
    assert deliverer.close()
    assert recovery.statuses[0].reason == "graveyard: disk is full"
    assert [letter.event_id for letter in graveyard.taken] == ["incident:1:memory"]
    assert sink.taken == envelopes(2, 2)


def test_a_graveyard_that_refuses_is_waited_for(outbox: Outbox) -> None:
    dead_letters = DeadLetters(PickySink("incident:1:memory", name="graveyard"))

    with pytest.raises(DeliveryError, match="graveyard: refuses even dead letters: TooLarge"):
        dead_letters.bury(envelopes(1, 1)[0], "TooLarge", "memory")
    dead_letters.close()


class SlowSink(MemorySink):
    """A sink that hangs, as in a wait for a broker's metadata, until let go."""

    def __init__(self) -> None:
        super().__init__()
        self.entered, self.go_on = threading.Event(), threading.Event()

    def send(self, envelopes: Sequence[Envelope]) -> int | Refusal:
        self.entered.set()
        assert self.go_on.wait(FLUSH_S)
        return super().send(envelopes)


def test_who_judges_never_waits_for_a_sink(outbox: Outbox) -> None:
    sink = SlowSink()
    deliverer = Deliverer(outbox, sink)
    deliverer.start()
    outbox.commit(envelopes(1, 1))
    assert sink.entered.wait(FLUSH_S)
    for number in range(2, 51):  # on this thread, the judge's: it would never end if it waited
        outbox.commit(envelopes(number, number))

    assert outbox.depth("memory") == 50
    sink.go_on.set()
    assert deliverer.flush(FLUSH_S)
    assert deliverer.close()
    assert sink.taken == envelopes(1, 50)
