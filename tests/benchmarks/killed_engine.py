"""An engine without video, to be killed: scripted looks through the real judge, committer, outbox and Kafka sink.

`python -m tests.benchmarks.killed_engine STATE NOTES BOOTSTRAP SEED` prints `up`, then `judging` once it owns all
rooms, and judges until SIGTERM; then it ends all incidents, delivers, and says by its exit code whether all was. NOTES
gets a line for each event after its commit has returned, and is on the disk before the next is judged.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from threading import Event as Flag

from prometheus_client import CollectorRegistry

from streammon.config import shipped
from streammon.deliver.config import KafkaConfig
from streammon.deliver.evidence_config import EvidenceConfig, placed
from streammon.entities import Detection, Moment, Observation, Outcome, QrReading, Room, RoomState, Source
from streammon.events import Monitor, StreamEvent, ViolationEvent
from streammon.fleet.commit import Committer, lost_incidents
from streammon.fleet.config import Settings
from streammon.fleet.delivery import Delivery
from streammon.fleet.rooms import Event, RoomBook
from streammon.fleet.sinks import build_outlets
from streammon.ingest.rooms.wire import RoomChanged
from streammon.judge.policy_load import load_policy
from streammon.judge.room import Now
from streammon.metrics import Metrics
from tests.benchmarks.kill_audit import Told

ROOMS = 40
_INTERVAL_S = 4.0
"""Between a room's pictures, on the clock that the judge is shown: an incident clears after three of them."""
_ROUND_S = 0.1
"""Between the same pictures in truth: the judge has something to write all the time."""
_FLUSH_S = 60.0
_BEGINS, _GOES = 0.15, 0.3
"""How likely what is not in the picture comes into it, and what is in it goes."""


class Script:
    """What is in one room's pictures: now and then a picture, now and then a code, one at a time of each."""

    def __init__(self, room_id: str, chance: random.Random) -> None:
        self._room_id = room_id
        self._chance = chance
        self._adult = False
        self._code: str | None = None

    def looks(self, moment: Moment, at_s: float) -> list[Observation]:
        """What two detectors see in the next picture."""
        chance = self._chance
        self._adult = chance.random() > _GOES if self._adult else chance.random() < _BEGINS
        if self._code is None:
            self._code = f"https://example.org/{chance.randrange(1000)}" if chance.random() < _BEGINS else None
        elif chance.random() < _GOES:
            self._code = None
        adult = [_adult(chance.uniform(0.5, 1.0))] if self._adult else []
        code = [_code(self._code)] if self._code is not None else []
        return [
            self._look("nsfw", "pornography.adult", adult, moment, at_s),
            self._look("qr", "advertising.qr_code", code, moment, at_s),
        ]

    def _look(self, detector: str, label: str, found: Sequence[Detection], moment: Moment, at_s: float) -> Observation:
        return Observation(
            room_id=self._room_id,
            detector=detector,
            labels=frozenset({label}),
            outcome=Outcome.EXAMINED,
            moment=moment,
            at_s=at_s,
            detections=tuple(found),
        )


class Engine:
    """The chain behind the detectors, put together as the monitor does it."""

    def __init__(self, state: Path, notes: Path, bootstrap: str, chance: random.Random) -> None:
        monitor, metrics = Monitor(version="0.1.0", worker="killed"), Metrics(CollectorRegistry())
        settings = Settings(kafka=KafkaConfig(bootstrap=bootstrap))
        evidence = placed(EvidenceConfig(), state)
        outlets = build_outlets(settings, state, None)
        self._delivery = Delivery(state, outlets, evidence, monitor, metrics, spool=settings.deliver.spool)
        self._policy = load_policy(shipped("policies/live-strict.yaml"))
        self._committer = Committer(self._delivery.outbox, evidence, lambda _: self._policy, metrics)
        self._book = RoomBook(monitor, metrics)
        self._rooms = [Room(room_id=f"room-{number}", url="", interval_s=_INTERVAL_S) for number in range(ROOMS)]
        self._scripts = [Script(room.room_id, chance) for room in self._rooms]
        self._notes = os.open(notes, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._shown_s = 0.0
        self.stop = Flag()

    def own(self) -> None:
        """Delivers what an earlier life left, ends what it left open, and begins to watch."""
        self._delivery.start()
        lost = lost_incidents(self._delivery.outbox)
        for room in self._rooms:
            epoch = self._delivery.outbox.next_epoch(room.room_id)
            mine = [event for event in lost if event.room_id == room.room_id]
            self._commit(self._book.open(room, epoch, self._policy, mine, self._now()))
            for state in (RoomState.CONNECTING, RoomState.STREAMING):
                change = RoomChanged(room_id=room.room_id, session=1, state=state, at=datetime.now(UTC))
                self._commit(self._book.change(change, self._now()))

    def judge(self) -> None:
        """Judges picture after picture, room after room, until `stop`."""
        due_s = time.monotonic()
        while not self.stop.wait(max(0.0, due_s - time.monotonic())):
            due_s += _ROUND_S
            self._shown_s += _INTERVAL_S
            moment = Moment(session=1, pts_s=self._shown_s, received_at=datetime.now(UTC))
            for script in self._scripts:
                looks = script.looks(moment, self._shown_s)
                self._commit(self._book.observe(looks, self._now()), looks)
            self._commit(self._book.tick(self._now()))

    def close(self) -> bool:
        """Ends every incident; whether all was delivered."""
        self._commit(self._book.stop(self._now()))
        os.close(self._notes)
        return not self._delivery.close(_FLUSH_S)

    def _now(self) -> Now:
        return Now(monotonic_s=self._shown_s, utc=datetime.now(UTC))

    def _commit(self, events: Sequence[Event], looks: Sequence[Observation] = ()) -> None:
        self._committer.commit(events, None, self.stop, looks)
        # Nobody gives feedback here, so there are no audit events.
        known = [event for event in events if isinstance(event, ViolationEvent | StreamEvent)]
        if known:
            os.write(self._notes, b"".join(_note(event) for event in known))
            os.fsync(self._notes)


def noted(notes: Path) -> Iterator[Told]:
    """What one life noted. A line that the kill cut short is left out."""
    for line in notes.read_bytes().splitlines(keepends=True):
        if line.endswith(b"\n"):
            yield Told(**{**json.loads(line), "content": b""})


def told(event: ViolationEvent | StreamEvent, content: bytes = b"") -> Told:
    """The event as the audit knows it."""
    violation = event if isinstance(event, ViolationEvent) else None
    return Told(
        event_id=event.event_id,
        kind="stream" if violation is None else "violation",
        room_id=event.room_id,
        owner_epoch=event.owner_epoch,
        seq=event.seq,
        phase="" if violation is None else violation.phase.value,
        incident_id="" if violation is None else violation.incident_id,
        content=content,
    )


def _note(event: ViolationEvent | StreamEvent) -> bytes:
    fields = {name: value for name, value in asdict(told(event)).items() if name != "content"}
    return json.dumps(fields).encode() + b"\n"


def _adult(score: float) -> Detection:
    return Detection(detector="nsfw", model="model-1", source=Source.VISUAL, score=score, label="pornography.adult")


def _code(payload: str) -> Detection:
    return Detection(
        detector="qr",
        model="zxing",
        source=Source.QR,
        score=1.0,
        label="advertising.qr_code",
        subject=payload,
        qr=QrReading(payload=payload),
    )


def main() -> int:
    """One life."""
    state, notes, bootstrap, seed = sys.argv[1:]
    print("up", flush=True)
    engine = Engine(Path(state), Path(notes), bootstrap, random.Random(seed))  # noqa: S311 - not for secrets
    signal.signal(signal.SIGTERM, lambda *_: engine.stop.set())
    engine.own()
    print("judging", flush=True)
    engine.judge()
    return 0 if engine.close() else 1


if __name__ == "__main__":
    sys.exit(main())
