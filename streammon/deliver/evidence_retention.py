"""Lets pictures expire, by age and by size, a few at a time. The store's thread."""

from __future__ import annotations

import logging
import math

from streammon.deliver.evidence_config import EvidenceConfig
from streammon.deliver.evidence_ledger import Ledger
from streammon.deliver.outbox import Outbox
from streammon.deliver.picture_store import PictureStore
from streammon.deliver.records import PictureRecord
from streammon.events import EvidenceStatus

_log = logging.getLogger(__name__)

SLICE = 100
"""Pictures that are deleted at a time."""
SWEEP_S = 60.0


class Retention:
    """Deletes the oldest stored pictures, and lets the oldest waiting ones go, where there are too many."""

    def __init__(self, outbox: Outbox, store: PictureStore, ledger: Ledger, config: EvidenceConfig) -> None:
        self._outbox = outbox
        self._store = store
        self._ledger = ledger
        self._keep_s = config.keep
        self._max_bytes = config.max_bytes
        self._swept_s = 0.0

    def step(self) -> bool:
        """Delete a slice of what has expired; False where there was nothing, and then not again for `SWEEP_S`.

        Raises EvidenceError where the store does not delete them; they are then tried again.
        """
        now_s = self._ledger.now_s
        if abs(now_s - self._swept_s) < SWEEP_S:  # also due again where the clock was set far back
            return False
        expired, reason = self._too_old(now_s), "age"
        if not expired:
            expired, reason = self._too_many(), "size"
        if not expired:
            self._swept_s = now_s
            return False
        self._store.delete([picture.key for picture in expired])
        self._ledger.gone(expired, EvidenceStatus.EXPIRED, reason)
        return True

    def make_room_in_spool(self, max_bytes: int) -> None:
        """Let the pictures go that have waited longest, until what waits is no more than so many bytes."""
        excess = self._outbox.pending_bytes() - max_bytes
        while excess > 0:
            lost = _first(self._outbox.oldest_pending(SLICE), excess)
            if not lost:
                return
            self._ledger.gone(lost, EvidenceStatus.LOST, "spool_full")
            _log.warning("%d pictures are lost: the store took none of them before the spool was full", len(lost))
            excess -= sum(picture.size_bytes for picture in lost)

    def _too_old(self, now_s: float) -> list[PictureRecord]:
        return [] if self._keep_s is None else self._outbox.oldest_stored(now_s - self._keep_s, SLICE)

    def _too_many(self) -> list[PictureRecord]:
        if self._max_bytes is None:
            return []
        return _first(self._outbox.oldest_stored(math.inf, SLICE), self._outbox.stored_bytes() - self._max_bytes)


def _first(pictures: list[PictureRecord], excess_bytes: int) -> list[PictureRecord]:
    """As many of the pictures, from the first, as make up the bytes that there are too many."""
    chosen: list[PictureRecord] = []
    for picture in pictures:
        if excess_bytes <= 0:
            break
        chosen.append(picture)
        excess_bytes -= picture.size_bytes
    return chosen
