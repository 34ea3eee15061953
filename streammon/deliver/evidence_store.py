"""Moves the pictures that the outbox holds into their store, and out of it when their time is over. One thread."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path

from streammon.backoff import Backoff
from streammon.deliver.evidence import template
from streammon.deliver.evidence_config import EvidenceConfig
from streammon.deliver.evidence_copies import Copies
from streammon.deliver.evidence_deletion import Deleter, DeletionQueue
from streammon.deliver.evidence_ledger import Count, Ledger, uncounted
from streammon.deliver.evidence_retention import Retention
from streammon.deliver.outbox import Outbox
from streammon.deliver.picture_stores import open_store
from streammon.deliver.pump import Moved, Pump, PumpStatus
from streammon.deliver.records import EvidenceRecord
from streammon.errors import EvidenceError
from streammon.events import EvidenceKind, Monitor

_log = logging.getLogger(__name__)

BATCH = 8
"""Pictures in memory at a time."""


class EvidenceStore:
    """Stores pictures, each whole or not at all, lets them expire, and deletes those that somebody asks to delete.

    What cannot be stored stays in the outbox, as much as `config.spool_max_bytes`; beyond that the oldest are lost.
    That is looked at before each batch, so a store that is slow to fail may take the spool over it for as long.
    `requests` is the folder of the deletion queue. `count` hears of every change of status. `config.store` must
    be set; raises EvidenceError where it, or the font, cannot be had.
    """

    def __init__(
        self,
        outbox: Outbox,
        config: EvidenceConfig,
        monitor: Monitor,
        requests: Path,
        *,
        count: Count = uncounted,
        backoff: Backoff | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._outbox = outbox
        self._store = open_store(config)
        self._copies = Copies(config)
        self._ledger = Ledger(outbox, monitor, count=count, clock=clock)
        self._retention = Retention(outbox, self._store, self._ledger, config)
        self._deleter = Deleter(outbox, self._store, self._ledger, template(config.path), DeletionQueue(requests))
        self._spool_max_bytes = config.spool_max_bytes
        self._pump = Pump("evidence", self._step, outbox.pictures, backoff if backoff is not None else Backoff())

    @property
    def status(self) -> PumpStatus:
        """Whether it is delivering, or waiting and why."""
        return self._pump.status

    def start(self) -> None:
        """Start the thread. Once."""
        self._pump.start()

    def flush(self, timeout_s: float) -> bool:
        """Wait until all pictures committed by now are stored; False where time is up first. Ends a back-off."""
        self._pump.hurry()
        return self._outbox.wait_stored(timeout_s)

    def close(self) -> bool:
        """Stop the thread; False where it did not stop in time. May be called twice."""
        return self._pump.close()

    def _step(self) -> Moved:
        """A little of everything, so that a backlog of one kind does not hold up the others."""
        self._retention.make_room_in_spool(self._spool_max_bytes)
        records = self._outbox.pending_evidence(BATCH)
        for record in records:
            self._keep(record)
        deleted = self._deleter.step()
        expired = self._retention.step()
        return Moved.PART if records or deleted or expired else Moved.NOTHING

    def _keep(self, record: EvidenceRecord) -> None:
        pictures = {EvidenceKind.SNAPSHOT: record.jpeg}
        try:
            pictures |= self._copies.of(record)
        except EvidenceError as error:
            _log.warning("a picture is stored without copies: %s", error)
        kept = [self._ledger.described(record, kind, jpeg) for kind, jpeg in pictures.items()]
        for picture, jpeg in zip(kept, pictures.values(), strict=True):
            self._store.put(picture.key, jpeg)
        self._ledger.stored(record.key, kept)


def delete_now(outbox: Outbox, config: EvidenceConfig, monitor: Monitor, requests: Path) -> None:
    """Do all that is asked for in the folder `requests`, on the caller's thread: where no EvidenceStore runs."""
    store = open_store(config)
    ledger = Ledger(outbox, monitor, count=uncounted, clock=time.time)
    deleter = Deleter(outbox, store, ledger, template(config.path), DeletionQueue(requests))
    while deleter.step():
        pass
