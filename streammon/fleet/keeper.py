"""Keeps one engine running: starts it, has it killed when it hangs, starts it again within a budget. One thread."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge

from streammon.backoff import Backoff
from streammon.errors import StreammonError
from streammon.fleet.budget import RestartBudget
from streammon.fleet.config import SupervisorConfig
from streammon.fleet.engine_link import UNUSABLE, how_it_ended
from streammon.serve.upstream import Upstream

_log = logging.getLogger(__name__)

_LOOK_EVERY_S = 2.0
# Between two tries of what used to work and is configured wrongly now.
_MENDED_WITHIN_S = 15.0


class Child(Protocol):
    """One engine process; see EngineLink."""

    @property
    def pid(self) -> int: ...

    @property
    def upstream(self) -> Upstream: ...

    def exit_code(self) -> int | None: ...

    def trouble(self) -> str | None: ...

    def not_ready(self) -> str | None: ...

    def stop(self) -> None: ...

    def close(self) -> None: ...


class SupervisorMetrics:
    """The supervisor's own numbers; the engine's are its own."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self.up = Gauge("streammon_engine_up", "1 where the engine says that it lives.", ["engine"], registry=registry)
        self.restarts = Counter(
            "streammon_engine_restarts",
            "Engines that were started again, by what was wrong: died, hung, unusable.",
            ["engine", "reason"],
            registry=registry,
        )


class EngineKeeper:
    """One engine, by whatever process it runs in. `child` is None while there is none; any thread may look at it."""

    def __init__(
        self,
        name: str,
        start: Callable[[], Child],
        config: SupervisorConfig,
        metrics: SupervisorMetrics,
        *,
        clock: Callable[[], float] = time.monotonic,
        backoff: Backoff | None = None,
    ) -> None:
        self.name = name
        self.child: Child | None = None
        self._start = start
        self._config = config
        self._clock = clock
        self._backoff = backoff if backoff is not None else Backoff(first_s=1.0, cap_s=30.0)
        self._up = metrics.up.labels(name)
        self._restarts = {reason: metrics.restarts.labels(name, reason) for reason in ("died", "hung", "unusable")}
        self._budget = RestartBudget(config.max_restarts, config.restarts_within)
        self._has_worked = False
        self._start_due_s = self._look_due_s = self._bad_by_s = 0.0

    def tick(self) -> None:
        """Does what is to be done now. Raises StreammonError where the engine is given up, or cannot be started."""
        now_s = self._clock()
        if self.child is None:
            if now_s >= self._start_due_s:
                self._begin(now_s)
        elif (code := self.child.exit_code()) is not None:
            self._bury(self.child, code, now_s)
        elif now_s >= self._look_due_s:
            self._look(self.child)

    def not_ready(self) -> list[str]:
        """Why its rooms are not watched now."""
        child = self.child
        trouble = "it does not run" if child is None else child.not_ready()
        return [] if trouble is None else [f"engine {self.name}: {trouble}"]

    def stop(self) -> None:
        """Asks it to end in order."""
        if self.child is not None:
            self.child.stop()

    def ended(self) -> bool:
        """Whether it has ended, asked for or not."""
        return self.child is None or self.child.exit_code() is not None

    def close(self) -> bool:
        """Sees to it that it is gone. Whether it had ended in order by itself, or there was none."""
        child, self.child = self.child, None
        self._up.set(0)
        if child is None:
            return True
        code = child.exit_code()
        child.close()
        if code != 0:
            _log.error(
                "engine %s did not end in order: %s", self.name, "killed" if code is None else how_it_ended(code)
            )
        return code == 0

    def _begin(self, now_s: float) -> None:
        self.child = self._start()
        _log.info("engine %s is process %d", self.name, self.child.pid)
        self._look_due_s = now_s
        self._bad_by_s = now_s + self._config.start_within

    def _look(self, child: Child) -> None:
        trouble = child.trouble()
        now_s = self._clock()
        self._look_due_s = now_s + _LOOK_EVERY_S
        self._up.set(trouble is None)
        if trouble is None:
            self._has_worked = True
            self._bad_by_s = now_s + self._config.hung_after
        elif now_s >= self._bad_by_s:
            self._lose(child, "hung", f"was killed: {trouble}", now_s)

    def _bury(self, child: Child, code: int, now_s: float) -> None:
        if code == UNUSABLE:
            self._mend(now_s)
            return
        self._lose(child, "died", f"died ({how_it_ended(code)})", now_s)

    def _mend(self, now_s: float) -> None:
        """A file that was whole when the engine began, such as a policy or a model, may soon be whole again."""
        self.close()
        if not self._has_worked:
            raise StreammonError(f"engine {self.name} cannot run as it is configured; it said why above")
        self._restarts["unusable"].inc()
        self._start_due_s = now_s + _MENDED_WITHIN_S
        _log.error(
            "engine %s cannot run any more as it is configured, it said why above; it is tried again in %g s",
            *(self.name, _MENDED_WITHIN_S),
        )

    def _lose(self, child: Child, reason: str, what: str, now_s: float) -> None:
        self.child = None
        self._up.set(0)
        child.close()
        config = self._config
        if not self._budget.spend(now_s):
            raise StreammonError(
                f"engine {self.name} {what}, and is given up: {config.max_restarts} restarts in"
                f" {config.restarts_within:g} s are allowed; the log says of what it died"
            )
        self._restarts[reason].inc()
        delay_s = self._backoff.delay_s(len(self._budget))
        self._start_due_s = now_s + delay_s
        _log.error("engine %s %s; it is started again in %.1f s", self.name, what, delay_s)
