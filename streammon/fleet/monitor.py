"""The composition root: builds every part of one engine, starts them in order, stops them in order."""

from __future__ import annotations

import logging
import math
import socket
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from threading import Event as Flag
from time import monotonic

from prometheus_client import CollectorRegistry

from streammon import __version__
from streammon.deliver.config import EvidenceConfig
from streammon.detect.engine import Engine
from streammon.detect.registry import Parts, build_detectors
from streammon.entities import Room, RoomState
from streammon.errors import IngestCrashed, StreammonError
from streammon.events import Monitor as MonitorName
from streammon.fleet.commit import Committer, lost_incidents
from streammon.fleet.config import Settings, shipped
from streammon.fleet.delivery import Delivery, Undelivered, build_sinks
from streammon.fleet.ingest import IngestSupervisor
from streammon.fleet.pipeline import Pipeline
from streammon.fleet.rooms import RoomBook
from streammon.ingest.rooms.mailbox import Mailbox
from streammon.judge.policy import Policy, load_policy
from streammon.judge.room import Now
from streammon.metrics import Metrics
from streammon.models.catalog import load_catalog
from streammon.models.store import ModelStore
from streammon.serve.app import build_app
from streammon.serve.server import HttpServer

_log = logging.getLogger(__name__)

_FLUSH_S = 10.0
_POLL_S = 0.2


class Monitor:
    """Watches rooms with one ingest process and one engine.

    Raises StreammonError where it cannot start: missing weights, no runtime, a spool in use. `write` gets one line
    per event, None prints none; `settings.state` and `settings.models` must be set.
    """

    def __init__(self, settings: Settings, write: Callable[[str], None] | None) -> None:
        if settings.state is None or settings.models is None:
            raise ValueError("settings.state and settings.models must be set")
        self._fatal: StreammonError | None = None
        self._warm = False
        self._closed = False
        self.metrics = Metrics(CollectorRegistry())
        policy = load_policy(settings.policy if settings.policy is not None else shipped("policies/live-default.yaml"))
        self._engine = _build_engine(settings, ModelStore(settings.models, load_catalog()), self.metrics)
        evidence = _evidence_config(settings)
        self._delivery = Delivery(settings.state, build_sinks(settings, write), evidence, self.metrics)
        self._mailbox = Mailbox(lambda room_id: self.metrics.dropped.labels(room_id, "overdue").inc())
        name = MonitorName(version=__version__, worker=settings.worker or socket.gethostname())
        self._book = RoomBook(name, self.metrics)
        committer = Committer(self._delivery.outbox, evidence, lambda _: policy, self.metrics)
        self._pipeline = Pipeline(self._mailbox, self._engine, self._book, committer, self.metrics)
        self._ingest = IngestSupervisor(
            settings.ingest, self._mailbox, self.metrics, self._pipeline.post, self._give_up
        )
        self._committer = committer
        self._policy: Policy = policy
        self._http = None
        if settings.http is not None:
            app = build_app(self, self.metrics.registry)
            self._http = HttpServer(app, settings.http.host, settings.http.port)

    @property
    def http_port(self) -> int | None:
        """The port that is listened on, None where none is."""
        return None if self._http is None else self._http.port

    def warm_up(self) -> None:
        """Serves HTTP, delivers what an earlier run left, and makes the models ready; takes seconds."""
        if self._http is not None:
            self._http.start()
        self._delivery.start()
        self._engine.warm_up()
        self._warm = True

    def start(self, rooms: Sequence[Room]) -> None:
        """Begins to watch the rooms. Called once, after `warm_up`."""
        self._own(rooms)
        self._pipeline.start()
        self._ingest.start()
        for room in rooms:
            self._ingest.add(room)

    def wait(self, stop: Flag, timeout_s: float = math.inf) -> None:
        """Returns when `stop` is set, time is up, or all rooms ended. Raises StreammonError where it cannot go on."""
        until_s = monotonic() + timeout_s
        while not stop.wait(_POLL_S) and monotonic() < until_s and not self._pipeline.drained:
            failure = self._fatal or self._pipeline.failure
            if failure is not None:
                raise failure

    def close(self) -> list[Undelivered]:
        """Stops workers, engine, outbox, in this order. Returns what sinks still have to get.

        May be called twice; the second call does nothing.
        """
        if self._closed:
            return []
        self._closed = True
        self._ingest.close()
        self._pipeline.close()
        left = self._delivery.close(_FLUSH_S)
        self._engine.close()
        if self._http is not None:
            self._http.close()
        return left

    def failed_rooms(self) -> list[str]:
        """The rooms that could not be watched and are not tried again."""
        return [room_id for room_id, state in self._book.states().items() if state is RoomState.FAILED]

    def not_alive(self) -> list[str]:
        """See Health."""
        return ["the engine's thread is stuck"] if self._warm and not self._pipeline.alive else []

    def not_ready(self) -> list[str]:
        """See Health. A broker that is down does not make a monitor unready: it watches on and keeps its events."""
        reasons = [] if self._warm else ["models are warming up"]
        if self._warm and not self._ingest.alive:
            reasons.append("nobody looks after the ingest processes")
        if self._committer.blocked_by is not None:
            reasons.append(self._committer.blocked_by)
        return reasons + self.not_alive()

    def _own(self, rooms: Sequence[Room]) -> None:
        outbox = self._delivery.outbox
        lost = lost_incidents(outbox)
        now = Now(monotonic_s=monotonic(), utc=datetime.now(UTC))
        for room in rooms:
            epoch = outbox.next_epoch(room.room_id)
            mine = [event for event in lost if event.room_id == room.room_id]
            self._committer.commit(self._book.open(room, epoch, self._policy, mine, now), None, Flag())

    def _give_up(self, error: IngestCrashed) -> None:
        self._fatal = error


def _build_engine(settings: Settings, store: ModelStore, metrics: Metrics) -> Engine:
    catalog = load_catalog()
    parts = Parts(
        weights=store.path,
        label_maps={name: model.label_map for name, model in catalog.models.items()},
        config=settings.detect,
    )

    def on_run(detector: str, seconds: float, _frames: int) -> None:
        metrics.detector_seconds.labels(detector).observe(seconds)

    return Engine(build_detectors(settings.detectors, parts), on_run=on_run)


def _evidence_config(settings: Settings) -> EvidenceConfig:
    """Evidence lies in the state folder unless the settings say where."""
    if "folder" in settings.evidence.model_fields_set or settings.state is None:
        return settings.evidence
    return settings.evidence.model_copy(update={"folder": settings.state / "evidence"})
