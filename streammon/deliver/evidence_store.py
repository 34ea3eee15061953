"""Writes the pictures that the outbox holds into the evidence folder. One thread."""

from __future__ import annotations

import os
from pathlib import Path

from streammon.backoff import Backoff
from streammon.deliver.disk import sync_folder
from streammon.deliver.outbox import Outbox
from streammon.deliver.pump import Pump, PumpStatus
from streammon.deliver.records import EvidenceRecord
from streammon.errors import EvidenceError

BATCH = 8
"""Pictures in memory at a time."""


class EvidenceStore:
    """Moves pictures from the outbox to `folder`, each whole or not at all. What cannot be written stays in the outbox.

    The folder is created when the first picture is written. If it is gone later it is not made again, for it may be a
    volume that is not mounted: the store waits until it is back.
    """

    def __init__(self, outbox: Outbox, folder: Path, *, backoff: Backoff | None = None) -> None:
        self._outbox = outbox
        self._folder = folder
        self._created = False
        self._pump = Pump("evidence", self._store_batch, outbox, backoff if backoff is not None else Backoff())

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

    def _store_batch(self) -> bool:
        records = self._outbox.pending_evidence(BATCH)
        for record in records:
            try:
                self._store(record)
            except OSError as error:
                cure = "make it a writable folder with free space"
                raise EvidenceError(f"evidence folder {self._folder}: {error.strerror}: {cure}") from error
            self._outbox.evidence_done(record.key)
        return bool(records)

    def _store(self, record: EvidenceRecord) -> None:
        if not self._created:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._created = True
        elif not self._folder.is_dir():
            raise NotADirectoryError(0, "is gone")
        path = self._folder / record.key
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.partial")
        with partial.open("wb") as file:
            file.write(record.jpeg)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        sync_folder(path.parent)  # the outbox forgets the picture next
