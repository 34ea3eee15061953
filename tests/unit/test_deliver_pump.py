"""What comes while a deliverer rests goes together; nothing that is known to be left waits for a rest."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from streammon.deliver import deliverer as module
from streammon.deliver.deliverer import BATCH, Deliverer
from streammon.deliver.envelope import Envelope
from streammon.deliver.memory import MemorySink
from streammon.deliver.outbox import Outbox
from streammon.deliver.records import EvidenceRecord
from tests.unit.spooling import envelope

WAIT_S = 30.0


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    opened = Outbox(tmp_path / "spool.db")
    opened.register_sinks(["memory"])
    yield opened
    opened.close()


@pytest.fixture(autouse=True)
def _for_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rest that ends by itself would be seen as a test that runs out of time."""
    monkeypatch.setattr(module, "REST_S", 600.0)


class CountingSink(MemorySink):
    """Keeps the size of each batch, takes `at_once` of it at most, and says when it has `all_` events."""

    def __init__(self, all_: int, *, at_once: int = BATCH) -> None:
        super().__init__()
        self.batches: list[int] = []
        self.has_all = threading.Event()
        self._all = all_
        self._at_once = at_once

    def send(self, envelopes: Sequence[Envelope]) -> int:
        taken = envelopes[: self._at_once]
        super().send(taken)
        self.batches.append(len(taken))
        if len(self.taken) >= self._all:
            self.has_all.set()
        return len(taken)


def commit(outbox: Outbox, first: int, last: int) -> None:
    for number in range(first, last + 1):
        outbox.commit([envelope(number)])


def test_an_event_by_itself_goes_at_once_and_what_comes_in_the_rest_together(outbox: Outbox) -> None:
    sink = CountingSink(all_=1)
    deliverer = Deliverer(outbox, sink)
    deliverer.start()
    commit(outbox, 1, 1)
    assert sink.has_all.wait(WAIT_S)
    commit(outbox, 2, 5)
    assert not outbox.wait_delivered("memory", 0.05)

    assert deliverer.flush(WAIT_S)
    assert sink.batches == [1, 4]
    assert deliverer.close()


def test_closing_ends_a_rest(outbox: Outbox) -> None:
    sink = CountingSink(all_=1)
    deliverer = Deliverer(outbox, sink)
    commit(outbox, 1, 1)
    deliverer.start()

    assert sink.has_all.wait(WAIT_S)
    assert deliverer.close()


def test_a_backlog_is_worked_off_without_rests(outbox: Outbox) -> None:
    sink = CountingSink(all_=2 * BATCH + 1)
    outbox.commit([envelope(number) for number in range(2 * BATCH + 1)])
    deliverer = Deliverer(outbox, sink)
    deliverer.start()

    assert sink.has_all.wait(WAIT_S)
    assert deliverer.close()
    assert sink.batches == [BATCH, BATCH, 1]


def test_what_a_sink_did_not_take_of_a_batch_follows_without_a_rest(outbox: Outbox) -> None:
    sink = CountingSink(all_=5, at_once=1)
    outbox.commit([envelope(number) for number in range(5)])
    deliverer = Deliverer(outbox, sink)
    deliverer.start()

    assert sink.has_all.wait(WAIT_S)
    assert deliverer.close()
    assert sink.batches == [1] * 5


def test_the_evidence_store_is_woken_by_pictures_and_not_by_events(outbox: Outbox) -> None:
    events, pictures = outbox.version, outbox.pictures.version
    commit(outbox, 1, 3)
    assert outbox.version != events
    assert outbox.pictures.version == pictures

    sleeping = threading.Thread(target=outbox.pictures.wait, args=(pictures, 60.0))
    sleeping.start()
    outbox.commit([], evidence=[EvidenceRecord(key="k", sha256="ab", jpeg=b"j", room_id="room", incident_id="i")])
    sleeping.join(WAIT_S)

    assert not sleeping.is_alive()
