"""The runtime: every model of the engine, what each runs on, and how they share it. Used by every thread."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from streammon.detect.config import DetectConfig, ModelPlace
from streammon.detect.runtime.blobs import BlobCache
from streammon.detect.runtime.cores import usable_cores
from streammon.detect.runtime.gate import Gate
from streammon.detect.runtime.limits import RunLimits
from streammon.detect.runtime.opening import open_model
from streammon.detect.runtime.providers import Placement, shares
from streammon.detect.runtime.session import Session

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningModel:
    """What a model really runs on."""

    model: str
    provider: str
    sha256: str


class Runtime:
    """Opens the models by one configuration; those on one provider share its gate.

    Opening and `warmed_up` are for one thread at a time, `utilisation` for one, runs and `limit` for all.
    """

    def __init__(
        self,
        config: DetectConfig,
        blobs: Path | None = None,
        cores: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`blobs` is a folder for compiled models, None to keep none; `cores` are those to use, by default all usable.

        `clock` is monotonic, in seconds.
        """
        self._config = config
        self._blobs = BlobCache(blobs) if blobs is not None and config.runtime.cache else None
        self._cores = cores if cores is not None else usable_cores()
        self._clock = clock
        self._limits = RunLimits(clock)
        self._lock = threading.Lock()
        self._gates: dict[str, Gate] = {}
        self._sessions: list[Session] = []
        self._placed: set[str] = set()
        self._told: dict[str, tuple[float, float]] = {}

    def open(self, path: Path, place: str | None = None) -> Session:
        """The session of the model whose file this is.

        `place` is its name in `detect.models`; None takes the file's without its ending. Raises what `open_model`
        raises.
        """
        name = place if place is not None else path.stem
        own = self._config.models.get(name, ModelPlace())
        asked = own.provider if own.provider is not None else self._config.provider
        opened = open_model(path, asked, lambda provider: self._place(provider, own), self._blobs)
        session = Session(opened, self._gate(opened.provider), self._limits)
        with self._lock:
            self._sessions.append(session)
            self._placed.add(name)
        return session

    def warmed_up(self) -> None:
        """What is open has run in every shape: new shapes are told from here on, and compiled blobs trusted."""
        for session in self._open_sessions():
            session.warmed_up()
        if self._blobs is not None:
            self._blobs.settle()
        if unmatched := sorted(set(self._config.models) - self._placed):
            log.warning("detect.models names what is not running: %s", ", ".join(unmatched))

    def limit(self, seconds: float) -> AbstractContextManager[None]:
        """Within it, this thread's runs end with RunTimedOut once so much time has passed."""
        return self._limits.limit(seconds)

    def left_s(self) -> float | None:
        """What is left to this thread, in seconds, not above 0 where its time is up; None without a limit."""
        return self._limits.left_s()

    def used_s(self) -> float:
        """Seconds for which this thread's runs have held a provider, since the thread began."""
        return self._limits.used_s()

    def models(self) -> tuple[RunningModel, ...]:
        """Those that are open, each once."""
        found = {
            RunningModel(model=session.name, provider=session.provider, sha256=session.sha256): None
            for session in self._open_sessions()
        }
        return tuple(found)

    def busy_s(self) -> Mapping[str, float]:
        """By provider, the seconds for which its permits were held, all added up."""
        return {provider: gate.busy_s() for provider, gate in self._gates_now().items()}

    def utilisation(self) -> Mapping[str, float]:
        """By provider, the share of its permits that were held since this was last asked, 0..1. For one asker."""
        shares_held = {}
        for provider, gate in self._gates_now().items():
            now_s, busy_s = self._clock(), gate.busy_s()
            before_s, before_busy_s = self._told.get(provider, (now_s, busy_s))
            self._told[provider] = (now_s, busy_s)
            able_s = (now_s - before_s) * gate.permits
            shares_held[provider] = min(1.0, (busy_s - before_busy_s) / able_s) if able_s > 0 else 0.0
        return shares_held

    def close(self) -> None:
        """Close every session, end the thread that watches runs. May be called twice."""
        for session in self._open_sessions():
            session.close()
        self._limits.close()

    def _place(self, provider: str, own: ModelPlace) -> Placement:
        given = self._config.runtime
        threads = own.threads if own.threads is not None else self._config.threads
        used, _ = shares(provider, threads=threads, concurrency=given.concurrency, cores=self._cores)
        memory_mb = given.gpu_memory_mb
        return Placement(
            provider=provider,
            threads=used,
            concurrency=self._permits(provider),
            device=given.device,
            gpu_memory_bytes=None if memory_mb is None else memory_mb * 2**20,
        )

    def _permits(self, provider: str) -> int:
        given = self._config
        return shares(provider, threads=given.threads, concurrency=given.runtime.concurrency, cores=self._cores)[1]

    def _gate(self, provider: str) -> Gate:
        with self._lock:
            if provider not in self._gates:
                gate = Gate(self._permits(provider), self._clock)
                self._gates[provider] = gate
                self._told[provider] = (self._clock(), gate.busy_s())
            return self._gates[provider]

    def _gates_now(self) -> dict[str, Gate]:
        with self._lock:
            return dict(self._gates)

    def _open_sessions(self) -> list[Session]:
        with self._lock:
            self._sessions = [session for session in self._sessions if not session.closed]
            return list(self._sessions)
