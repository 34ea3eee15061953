"""Pictures go when their time is over, when there is no room, and when somebody asks, the oldest first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from streammon.deliver.envelope import Envelope
from streammon.deliver.evidence_config import EvidenceConfig
from streammon.deliver.evidence_deletion import Deleter, Deletion, DeletionQueue
from streammon.deliver.evidence_ledger import Ledger, uncounted
from streammon.deliver.evidence_path import copy_key
from streammon.deliver.evidence_retention import SLICE, SWEEP_S, Retention
from streammon.deliver.evidence_store import delete_now
from streammon.deliver.folder_store import FolderStore
from streammon.deliver.outbox import Outbox
from streammon.deliver.picture_store import PictureStore
from streammon.deliver.records import EvidenceRecord
from streammon.errors import EvidenceError
from streammon.events import EvidenceKind, EvidenceStatus
from tests.unit.evidence_making import MONITOR, NOW_S, TEMPLATE, statuses, waiting

SNAPSHOT, ANNOTATED, BLURRED = EvidenceKind
EXPIRED, DELETED = EvidenceStatus.EXPIRED, EvidenceStatus.DELETED
HOUR_S = 3600.0


class Keeper:
    """An outbox, a folder and all that takes pictures out of it, on a clock that tests turn."""

    def __init__(self, folder: Path) -> None:
        self.now_s = NOW_S
        self.folder = folder / "evidence"
        self.outbox = Outbox(folder / "spool.sqlite")
        self.outbox.register_sinks(["memory"])
        self.store: PictureStore = FolderStore(self.folder)
        self.ledger = Ledger(self.outbox, MONITOR, count=uncounted, clock=lambda: self.now_s)
        self.queue = DeletionQueue(folder / "deletions")

    def keep(self, *records: EvidenceRecord, kinds: Sequence[EvidenceKind] = (SNAPSHOT,)) -> None:
        """Stores the pictures, as the store's thread does, and lets the sink have the events."""
        self.outbox.commit([], evidence=records)
        for record in records:
            kept = [self.ledger.described(record, kind, record.jpeg) for kind in kinds]
            for picture in kept:
                self.store.put(picture.key, record.jpeg)
            self.ledger.stored(record.key, kept)
        self.forget_events()

    def forget_events(self) -> None:
        if pending := self.outbox.pending("memory", 10_000):
            self.outbox.acknowledge("memory", pending[-1][0])

    def retention(self, **options: object) -> Retention:
        config = EvidenceConfig.model_validate({"keep": None, **options})
        return Retention(self.outbox, self.store, self.ledger, config)

    def deleter(self) -> Deleter:
        return Deleter(self.outbox, self.store, self.ledger, TEMPLATE, self.queue)

    def ask(self, **what: object) -> Deletion:
        return self.queue.ask(**{"room_id": None, "tenant": None, "before_s": self.now_s, **what})  # type: ignore[arg-type]

    @property
    def keys(self) -> set[str]:
        return {path.relative_to(self.folder).as_posix() for path in self.folder.rglob("*.jpg")}


class Refusing(FolderStore):
    """A folder from which nothing can be deleted."""

    def delete(self, keys: Sequence[str]) -> None:
        """See `PictureStore.delete`."""
        raise EvidenceError(f"{len(keys)} pictures are written once")


@pytest.fixture
def keeper(tmp_path: Path) -> Iterator[Keeper]:
    made = Keeper(tmp_path)
    yield made
    made.outbox.close()


def aged(number: int, hours: float, **changed: str) -> EvidenceRecord:
    """A picture taken so long before now, small, so that many are quick."""
    return waiting(number, taken_s=NOW_S - hours * HOUR_S, content=b"jpeg%04d" % number, **changed)


def drained(step: Retention | Deleter) -> int:
    """How many steps there are until there is nothing to do."""
    count = 0
    while step.step():
        count += 1
    return count


def test_what_is_older_than_asked_for_expires(keeper: Keeper) -> None:
    keeper.keep(aged(1, 5.0), aged(2, 2.1), aged(3, 1.9))
    drained(keeper.retention(keep="2h"))

    assert keeper.keys == {aged(3, 1.9).key}
    assert statuses(keeper.outbox) == [("i1", SNAPSHOT, EXPIRED, "age"), ("i2", SNAPSHOT, EXPIRED, "age")]
    assert keeper.outbox.stored_bytes() == len(aged(3, 1.9).jpeg)


def test_copies_expire_with_their_picture(keeper: Keeper) -> None:
    keeper.keep(aged(1, 5.0), kinds=(SNAPSHOT, ANNOTATED))
    drained(keeper.retention(keep="2h"))

    assert keeper.keys == set()
    assert set(statuses(keeper.outbox)) == {("i1", SNAPSHOT, EXPIRED, "age"), ("i1", ANNOTATED, EXPIRED, "age")}


def test_beyond_the_size_the_oldest_expire(keeper: Keeper) -> None:
    keeper.keep(*(aged(number, 10.0 - number) for number in range(10)))
    drained(keeper.retention(max_bytes=3 * len(aged(0, 1).jpeg)))

    assert keeper.keys == {aged(number, 10.0 - number).key for number in (7, 8, 9)}
    assert {reason for *_, reason in statuses(keeper.outbox)} == {"size"}


def test_nothing_expires_unless_asked_for(keeper: Keeper) -> None:
    keeper.keep(aged(1, 1e6))

    assert drained(keeper.retention()) == 0
    assert len(keeper.keys) == 1


def test_a_sweep_goes_in_slices_and_then_rests(keeper: Keeper) -> None:
    keeper.keep(*(aged(number, 5.0) for number in range(2 * SLICE + 1)))
    retention = keeper.retention(keep="2h")

    assert retention.step()
    assert len(keeper.keys) == SLICE + 1
    assert drained(retention) == 2
    keeper.keep(aged(999, 5.0))
    keeper.now_s += SWEEP_S - 1
    assert drained(retention) == 0
    keeper.now_s += 2
    assert drained(retention) == 1


def test_what_cannot_be_deleted_is_not_told_as_gone(keeper: Keeper) -> None:
    keeper.keep(aged(1, 5.0))
    keeper.store = Refusing(keeper.folder)
    retention = keeper.retention(keep="2h")

    for _ in range(2):
        with pytest.raises(EvidenceError):
            retention.step()
    assert statuses(keeper.outbox) == []
    assert len(keeper.outbox.oldest_stored(keeper.now_s, 9)) == 1


def test_deleted_behind_our_back_expires_all_the_same(keeper: Keeper) -> None:
    keeper.keep(aged(1, 5.0))
    (keeper.folder / aged(1, 5.0).key).unlink()
    drained(keeper.retention(keep="2h"))

    assert len(statuses(keeper.outbox)) == 1


def test_a_room_s_pictures_are_deleted_stored_or_waiting(keeper: Keeper) -> None:
    mine, other = aged(1, 5.0), aged(2, 5.0, room_id="other")
    keeper.keep(mine, other, kinds=(SNAPSHOT, BLURRED))
    late = [aged(3, 1.0), aged(4, 1.0, room_id="other")]
    keeper.outbox.commit([], evidence=late)
    asked = keeper.ask(room_id=mine.room_id)
    drained(keeper.deleter())

    assert keeper.keys == {other.key, copy_key(other.key, BLURRED)}
    assert keeper.outbox.pending_evidence(9) == late[1:]
    assert sorted(statuses(keeper.outbox)) == [
        ("i1", BLURRED, DELETED, "requested"),
        ("i1", SNAPSHOT, DELETED, "requested"),
        ("i3", SNAPSHOT, DELETED, "requested"),
    ]
    assert set(keeper.queue.finished(asked) or ()) == {late[0].key, mine.key, copy_key(mine.key, BLURRED)}
    assert keeper.queue.waiting() == []


def test_a_tenant_s_and_a_tenant_s_room(keeper: Keeper) -> None:
    one, two = aged(1, 5.0, tenant="a", room_id="r"), aged(2, 5.0, tenant="a", room_id="s")
    three, four = aged(3, 5.0, tenant="b", room_id="r"), aged(4, 5.0, tenant="b", room_id="s")
    keeper.keep(one, two, three, four)
    keeper.ask(tenant="a", room_id="r")
    drained(keeper.deleter())
    assert keeper.keys == {two.key, three.key, four.key}
    keeper.ask(tenant="b")
    drained(keeper.deleter())
    assert keeper.keys == {two.key}


def test_what_came_later_stays(keeper: Keeper) -> None:
    keeper.keep(aged(1, 5.0), aged(2, 1.0))
    keeper.ask(room_id="10086", before_s=NOW_S - 2 * HOUR_S)
    drained(keeper.deleter())

    assert keeper.keys == {aged(2, 1.0).key}


def test_what_another_monitor_put_there_is_deleted_too(keeper: Keeper) -> None:
    """Nobody here knows of it: it is found by its path."""
    theirs, others = aged(1, 5.0), aged(2, 5.0, room_id="100861")
    for record in (theirs, others):
        for kind in EvidenceKind:
            keeper.store.put(copy_key(record.key, kind), record.jpeg)
    (keeper.folder / "README.jpg").write_bytes(b"not ours")
    asked = keeper.ask(room_id=theirs.room_id, before_s=4e9)  # files are written by the machine's clock
    drained(keeper.deleter())

    assert keeper.keys == {"README.jpg", *(copy_key(others.key, kind) for kind in EvidenceKind)}
    assert set(keeper.queue.finished(asked) or ()) == {copy_key(theirs.key, kind) for kind in EvidenceKind}


def test_what_a_crash_left_stored_but_waiting_is_deleted_as_well(keeper: Keeper) -> None:
    record = aged(1, 5.0)
    keeper.outbox.commit([], evidence=[record])
    for kind in EvidenceKind:
        keeper.store.put(copy_key(record.key, kind), record.jpeg)
    keeper.ask(room_id=record.room_id)
    keeper.deleter().step()

    assert keeper.keys == set()
    assert keeper.outbox.evidence_depth() == 0


def test_a_deletion_that_is_broken_off_is_begun_again_and_tells_each_picture_once(keeper: Keeper) -> None:
    records = [aged(number, 5.0) for number in range(250)]
    keeper.keep(*records)
    asked = keeper.ask(room_id="10086")
    keeper.deleter().step()  # and the process dies
    assert keeper.queue.finished(asked) is None
    assert 0 < len(keeper.keys) < 250
    drained(keeper.deleter())

    assert keeper.keys == set()
    assert len(keeper.queue.finished(asked) or ()) == 250
    assert len({incident for incident, *_ in statuses(keeper.outbox)}) == len(statuses(keeper.outbox)) == 250


def test_a_deletion_waits_for_a_store_that_fails(keeper: Keeper) -> None:
    keeper.keep(aged(1, 5.0))
    asked = keeper.ask(room_id="10086")
    whole, keeper.store = keeper.store, Refusing(keeper.folder)
    with pytest.raises(EvidenceError):
        keeper.deleter().step()
    assert keeper.queue.finished(asked) is None
    keeper.store = whole
    drained(keeper.deleter())
    assert len(keeper.queue.finished(asked) or ()) == 1


def test_whoever_asks_can_do_it_where_no_monitor_runs(keeper: Keeper, tmp_path: Path) -> None:
    keeper.keep(aged(1, 5.0))
    one, two = keeper.ask(room_id="10086"), keeper.ask(tenant="nobody")
    delete_now(keeper.outbox, EvidenceConfig(store=str(keeper.folder)), MONITOR, tmp_path / "deletions")

    assert keeper.queue.finished(one) == [aged(1, 5.0).key]
    assert keeper.queue.finished(two) == []
    assert keeper.queue.finished(two) is None, "an answer is given once"


def test_a_request_that_is_none_is_told(keeper: Keeper, tmp_path: Path) -> None:
    keeper.ask(room_id="r")
    (tmp_path / "deletions" / "x.asked").write_text("{}")

    with pytest.raises(EvidenceError, match="no request"):
        keeper.deleter().step()


def test_nothing_named_is_nothing_deleted(keeper: Keeper) -> None:
    with pytest.raises(ValueError, match="room or a tenant"):
        keeper.outbox.pictures_of(room_id=None, tenant=None, before_s=4e9, limit=1)


def test_a_picture_of_unknown_time_is_as_old_as_can_be(keeper: Keeper) -> None:
    keeper.keep(replace(aged(1, 0.0), taken_s=0.0), aged(2, 0.0))
    drained(keeper.retention(keep="2h"))

    assert keeper.keys == {aged(2, 0.0).key}


def test_evidence_events_have_a_topic_of_their_own(keeper: Keeper) -> None:
    keeper.outbox.commit([], evidence=[aged(1, 0.0)])
    keeper.ledger.gone(keeper.outbox.oldest_pending(1), EvidenceStatus.LOST, "spool_full")
    ((_, envelope),) = keeper.outbox.pending("memory", 9)

    assert isinstance(envelope, Envelope)
    assert (envelope.topic, envelope.type) == ("streammon.evidence", "streammon.evidence.v1")
    assert envelope.key == "10086"
