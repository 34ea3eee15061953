"""Notes what becomes of pictures: in the outbox, as events, and as counts. The store's thread."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

from streammon.deliver.envelope import Envelope
from streammon.deliver.evidence import picture_event
from streammon.deliver.evidence_path import copy_key
from streammon.deliver.outbox import Outbox
from streammon.deliver.records import EvidenceRecord, PictureRecord
from streammon.events import EvidenceKind, EvidenceStatus, Monitor

Count = Callable[[EvidenceKind, EvidenceStatus], None]


def uncounted(kind: EvidenceKind, status: EvidenceStatus) -> None:
    """A Count that does not count."""


class Ledger:
    """A picture's change of status is noted, and its event committed, in one transaction: once each.

    `clock` gives UTC epoch seconds. Every method may raise SpoolError.
    """

    def __init__(self, outbox: Outbox, monitor: Monitor, *, count: Count, clock: Callable[[], float]) -> None:
        self._outbox = outbox
        self._monitor = monitor
        self._count = count
        self._clock = clock

    @property
    def now_s(self) -> float:
        """The present, in UTC epoch seconds."""
        return self._clock()

    def described(self, record: EvidenceRecord, kind: EvidenceKind, jpeg: bytes) -> PictureRecord:
        """What will be remembered of a waiting picture, or of a copy of it, when it is stored."""
        snapshot = kind is EvidenceKind.SNAPSHOT
        return PictureRecord(
            key=copy_key(record.key, kind),
            kind=kind,
            sha256=record.sha256 if snapshot else hashlib.sha256(jpeg).hexdigest(),
            size_bytes=len(jpeg),
            room_id=record.room_id,
            tenant=record.tenant,
            incident_id=record.incident_id,
            url=record.url if snapshot or record.url is None else copy_key(record.url, kind),
            taken_s=record.taken_s,
            passthrough=record.passthrough,
        )

    def stored(self, key: str, pictures: Sequence[PictureRecord]) -> None:
        """The waiting picture of that key, and its copies, are in the store."""
        self._outbox.evidence_stored(key, pictures, self._events(pictures, EvidenceStatus.STORED, None))
        self._counted(pictures, EvidenceStatus.STORED)

    def gone(self, pictures: Sequence[PictureRecord], status: EvidenceStatus, reason: str) -> None:
        """The pictures are no longer, or never got, in the store."""
        self._outbox.evidence_gone([picture.key for picture in pictures], self._events(pictures, status, reason))
        self._counted(pictures, status)

    def _events(self, pictures: Sequence[PictureRecord], status: EvidenceStatus, reason: str | None) -> list[Envelope]:
        now_s = self._clock()
        return [Envelope.of(picture_event(picture, status, reason, now_s, self._monitor)) for picture in pictures]

    def _counted(self, pictures: Sequence[PictureRecord], status: EvidenceStatus) -> None:
        for picture in pictures:
            self._count(picture.kind, status)


def with_copies(picture: PictureRecord) -> list[str]:
    """A picture's path and, of a snapshot, its copies': they may lie there though a crash came before it was noted."""
    if picture.kind is not EvidenceKind.SNAPSHOT:
        return [picture.key]
    return [copy_key(picture.key, kind) for kind in EvidenceKind]
