"""The composition root: builds every part of one engine, starts them in order, stops them in order."""

from __future__ import annotations

import logging
import math
import socket
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from threading import Event as Flag
from time import monotonic

from prometheus_client import CollectorRegistry
from starlette.routing import Route

from streammon import __version__
from streammon.deliver.evidence_config import placed
from streammon.detect.change.room_reuse import RoomReuse
from streammon.detect.parts import Parts
from streammon.detect.registry import build_detectors
from streammon.detect.runtime.runtime import Runtime
from streammon.detect.scheduling.engine import Engine
from streammon.detect.scheduling.request import RequestClass
from streammon.detect.scheduling.shared import Hooks
from streammon.entities import Observation, Room, RoomState
from streammon.errors import StreammonError
from streammon.events import Monitor as MonitorName
from streammon.fleet.attention import Attention
from streammon.fleet.commit import Committer, lost_incidents
from streammon.fleet.config import HttpConfig, Settings
from streammon.fleet.delivery import Delivery, Undelivered
from streammon.fleet.ingest import IngestSupervisor
from streammon.fleet.live import LiveFrames
from streammon.fleet.model_choices import ModelChoices
from streammon.fleet.model_updates import Around, ModelUpdates
from streammon.fleet.pace import Pace
from streammon.fleet.pipeline import Pipeline
from streammon.fleet.policies import LivePolicies, policy_book, warn_of_rules
from streammon.fleet.readers import topic_readers
from streammon.fleet.recording import build_recorder
from streammon.fleet.rooms import RoomBook
from streammon.fleet.sinks import build_outlets
from streammon.fleet.tallies import EngineNews, ProviderWatch, export_engine, export_models
from streammon.fleet.texts import TextDesk
from streammon.ingest.rooms.mailbox import Mailbox
from streammon.ingest.rooms.wire import SamplesLost
from streammon.judge.feedback import Feedback
from streammon.judge.policy import Policy
from streammon.judge.room import Now
from streammon.judge.texts import SentText
from streammon.metrics import Metrics
from streammon.models.catalog import load_catalog
from streammon.models.store import ModelStore
from streammon.serve.app import build_app
from streammon.serve.feedback import feedback_route
from streammon.serve.guard import may_serve
from streammon.serve.models import model_routes
from streammon.serve.server import HttpServer, listen_tcp, listen_unix
from streammon.serve.texts import texts_route

_log = logging.getLogger(__name__)

_FLUSH_S = 10.0
_DRAIN_S = 5.0
_POLL_S = 0.2


class Monitor:
    """Watches rooms with one ingest process and one engine.

    Raises StreammonError where it cannot start: missing weights, no runtime, a spool in use. `write` gets one line
    per event, None prints none; `settings.state` and `settings.models` must be set. With `socket_path` HTTP is served
    on that UNIX socket in place of the port.
    """

    def __init__(
        self, settings: Settings, write: Callable[[str], None] | None, socket_path: Path | None = None
    ) -> None:
        if settings.state is None or settings.models is None:
            raise ValueError("settings.state and settings.models must be set")
        self._fatal: StreammonError | None = None
        self._socket = socket_path
        self._warm = self._started = self._closed = False
        self.metrics = Metrics(CollectorRegistry())
        book = policy_book(settings)
        name = MonitorName(version=__version__, worker=settings.worker or socket.gethostname())
        evidence = placed(settings.evidence, settings.state)
        outlets = build_outlets(settings, settings.state, write)
        self._delivery = Delivery(settings.state, outlets, evidence, name, self.metrics, spool=settings.deliver.spool)
        with ExitStack() as undoing:
            undoing.callback(self._delivery.close, 0.0)
            self._mailbox = Mailbox(self._overdue)
            self._book = RoomBook(name, self.metrics)
            committer = Committer(self._delivery.outbox, evidence, self._book.policy, self.metrics)
            self._recorder = build_recorder(settings.records, settings.kafka, self.metrics)
            reuse = RoomReuse(settings.detect.reuse)
            self._attention = Attention(reuse, Pace(settings.pace), self._set_interval, self._saturation, self.metrics)
            self._pipeline = Pipeline(
                self._mailbox, self._book, committer, self.metrics, self._attention, self._recorder
            )
            self.metrics.mailbox_frames.set_function(self._mailbox.waiting)
            self._runtime = Runtime(settings.detect, settings.state / "compiled")
            self._provider_watch = ProviderWatch(self.metrics, self._runtime)
            parts = _parts(settings, ModelStore(settings.models, load_catalog()), self._runtime)
            choices = ModelChoices(settings.state, settings.models)
            self._engine = self._build_engine(settings, parts, choices, reuse)
            around = Around(metrics=self.metrics, record=self._record_shadow, switched=reuse.forget_all)
            self._updates = ModelUpdates(parts, choices, self._engine, around)
            self._pipeline.on_judged(self._updates.judged)
            self._texts = TextDesk(self._policy_of, self._pipeline.read, self.metrics)
            self._readers = topic_readers(settings, self._pipeline, self._texts, self.metrics)
            self._ingest = IngestSupervisor(
                settings.ingest, self._mailbox, self.metrics, self._pipeline.post, self._give_up
            )
            self._committer = committer
            self._policies = LivePolicies(book, self.metrics, self._pipeline.set_policies)
            self._http = None if settings.http is None else self._http_server(settings.http)
            undoing.pop_all()

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
        self._runtime.warmed_up()
        export_models(self.metrics, self._runtime)
        self._warm = True

    def start(self, rooms: Sequence[Room]) -> None:
        """Begins to watch the rooms. Called once, after `warm_up`."""
        self._own(rooms)
        self._policies.start()
        if self._recorder is not None:
            self._recorder.start()
        self._pipeline.start()
        self._engine.start()
        self._updates.start()
        self._started = True
        self._texts.start()
        for reader in self._readers:
            reader.start()
        self._ingest.start()
        for room in rooms:
            self._ingest.add(room)

    def wait(self, stop: Flag, timeout_s: float = math.inf) -> None:
        """Returns when `stop` is set, time is up, or all rooms ended. Raises StreammonError where it cannot go on."""
        until_s = monotonic() + timeout_s
        while not stop.wait(_POLL_S) and monotonic() < until_s and not self._pipeline.drained:
            self._provider_watch.tick(monotonic())
            failure = self._fatal or self._engine.failure or self._pipeline.failure
            if failure is not None:
                raise failure

    def close(self) -> list[Undelivered]:
        """Stops workers, engine, outbox, in this order. Returns what sinks still have to get.

        May be called twice; the second call does nothing.
        """
        if self._closed:
            return []
        self._closed = True
        self._policies.close()
        for reader in self._readers:
            reader.close()
        self._texts.close()
        self._updates.close()
        self._ingest.close()
        if not self._engine.drain(_DRAIN_S):
            _log.warning("frames that were waiting at the end are not examined")
        self._pipeline.close()
        if self._recorder is not None:
            self._recorder.close()
        left = self._delivery.close(_FLUSH_S)
        self._engine.close()
        self._runtime.close()
        if self._http is not None:
            self._http.close()
        return left

    def failed_rooms(self) -> list[str]:
        """The rooms that could not be watched and are not tried again."""
        return [room_id for room_id, state in self._book.states().items() if state is RoomState.FAILED]

    def not_alive(self) -> list[str]:
        """See Health."""
        if not self._started:
            return []
        parts = (("the engine", self._engine.alive), ("the judge", self._pipeline.alive))
        return [f"{name} is stuck" for name, alive in parts if not alive]

    def not_ready(self) -> list[str]:
        """See Health. A broker that is down does not make a monitor unready: it watches on and keeps its events."""
        reasons = [] if self._warm else ["models are warming up"]
        if self._warm and not self._ingest.alive:
            reasons.append("nobody looks after the ingest processes")
        if self._committer.blocked_by is not None:
            reasons.append(self._committer.blocked_by)
        return reasons + self.not_alive()

    def knows(self, room_id: str) -> bool:
        """See Listener."""
        return self._book.room(room_id) is not None

    def hear(self, feedback: Feedback) -> bool:
        """See Listener."""
        return self._pipeline.hear(feedback, 0.0)

    def read(self, texts: Sequence[SentText]) -> bool:
        """See Writers."""
        return self._texts.take(texts, 0.0)

    def refused(self) -> None:
        """See Listener."""
        self.metrics.feedback_refused.labels("http").inc()

    def _http_server(self, config: HttpConfig) -> HttpServer:
        token = None if config.token is None else config.token.read("http.token")
        routes: list[Route] = []
        if may_serve(config.host, token):
            routes = [feedback_route(self, token), texts_route(self, token), *model_routes(self._updates, token)]
        listening = listen_tcp(config.host, config.port) if self._socket is None else listen_unix(self._socket)
        return HttpServer(build_app(self, self.metrics.registry, routes), listening)

    def _own(self, rooms: Sequence[Room]) -> None:
        outbox = self._delivery.outbox
        lost = lost_incidents(outbox)
        now = Now(monotonic_s=monotonic(), utc=datetime.now(UTC))
        chosen = {room.room_id: self._policies.choose(room) for room in rooms}  # all that is wrong before any is owned
        for room in rooms:
            policy = chosen[room.room_id]
            warn_of_rules(policy, room)
            epoch = outbox.next_epoch(room.room_id)
            mine = [event for event in lost if event.room_id == room.room_id]
            self._committer.commit(self._book.open(room, epoch, policy, mine, now), None, Flag())
            self._mailbox.set_standing(room.room_id, priority=room.priority, interval_s=room.interval_s)
            self._attention.opened(room, policy, now.monotonic_s)

    def _set_interval(self, room_id: str, interval_s: float) -> None:
        room = self._book.room(room_id)
        if room is not None:
            self._book.set_interval(room_id, interval_s)
            self._mailbox.set_standing(room_id, priority=room.priority, interval_s=interval_s)
            self._ingest.set_interval(room_id, interval_s)

    def _overdue(self, room_id: str) -> None:
        self.metrics.dropped.labels(room_id, "overdue").inc()
        self._pipeline.post(SamplesLost(room_id=room_id, samples=1))

    def _policy_of(self, room_id: str) -> Policy | None:
        return self._book.policy(room_id) if self.knows(room_id) else None

    def _saturation(self) -> float:
        return self._engine.saturation()

    def _record_shadow(self, seen: Observation, version: str) -> None:
        room = self._book.room(seen.room_id)
        if self._recorder is not None and room is not None:
            self._recorder.take(room, [seen], version)

    def _build_engine(self, settings: Settings, parts: Parts, choices: ModelChoices, reuse: RoomReuse) -> Engine:
        pipeline = self._pipeline
        frames = LiveFrames(self._mailbox, self._book.room, lambda: pipeline.full)
        news = EngineNews(self.metrics, pipeline.examined, pipeline.set_disabled, self._give_up)
        engine = Engine(
            build_detectors(settings.detectors, parts, choices.files(settings.detectors, settings.detect)),
            {RequestClass.LIVE: frames},
            news,
            settings.detect,
            Hooks(runtime=self._runtime, reuse=reuse),
        )
        self._mailbox.on_put(engine.wake)
        pipeline.on_relief(engine.wake)
        export_engine(self.metrics, engine)
        return engine

    def _give_up(self, error: StreammonError) -> None:
        self._fatal = error


def _parts(settings: Settings, store: ModelStore, runtime: Runtime) -> Parts:
    models = load_catalog().models
    return Parts(
        weights=store.path,
        label_maps={name: model.label_map for name, model in models.items()},
        classes={name: model.raw_labels for name, model in models.items()},
        config=settings.detect,
        runtime=runtime,
    )
