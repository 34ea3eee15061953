"""Keeps the rooms' policies up to date while the monitor runs. A thread looks at the files every few seconds."""

from __future__ import annotations

import logging
from collections.abc import Callable
from threading import Event, Thread

from streammon.config import shipped
from streammon.entities import Room
from streammon.fleet.config import Settings
from streammon.judge.book import PolicyBook
from streammon.judge.feasible import warnings
from streammon.judge.policy import Policy
from streammon.judge.policy_load import load_policy
from streammon.metrics import Metrics

_log = logging.getLogger(__name__)

_LOOK_EVERY_S = 3.0
_STOPS_WITHIN_S = 5.0
_SHIPPED = ("live-default", "live-strict", "shadow")


def policy_book(settings: Settings) -> PolicyBook:
    """The policies that the settings name; those that ship with streammon where they name none.

    `policy` is one file that is the default. Raises ConfigError with all that is wrong with them.
    """
    if settings.policy is None:
        return PolicyBook(settings.policies, fallback=[shipped(f"policies/{name}.yaml") for name in _SHIPPED])
    default = load_policy(settings.policy).id
    files = (*settings.policies.files, settings.policy)
    return PolicyBook(settings.policies.model_copy(update={"files": files, "default": default}))


class LivePolicies:
    """The book, read anew when its files change. `on_change` is called on the thread; it is given `choose`."""

    def __init__(
        self, book: PolicyBook, metrics: Metrics, on_change: Callable[[Callable[[Room], Policy]], None]
    ) -> None:
        self._book = book
        self._metrics = metrics
        self._on_change = on_change
        self._told: tuple[str, ...] = ()
        self._stop = Event()
        self._thread = Thread(target=self._run, name="policies", daemon=True)

    def choose(self, room: Room) -> Policy:
        """The policy that a room is judged by. Raises StreammonError where it names one that is not known."""
        return self._book.choose(room)

    def start(self) -> None:
        """Begins to look."""
        self._thread.start()

    def close(self) -> None:
        """Ends the thread. May be called twice."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(_STOPS_WITHIN_S)

    def _run(self) -> None:
        while not self._stop.wait(_LOOK_EVERY_S):
            try:
                self._look()
            except Exception:  # noqa: BLE001 - the thread's top frame
                _log.exception("the policies cannot be looked at")

    def _look(self) -> None:
        reloaded = self._book.reload()
        problems = tuple(str(problem) for problem in reloaded.problems)
        self._metrics.policy_problems.set(len(problems))
        if problems != self._told:
            self._told = problems
            for problem in problems:
                _log.error("a policy stays as it was: %s", problem)
        if reloaded.changed:
            _log.info("policies read anew: %s", ", ".join(reloaded.changed))
            self._on_change(self._book.choose)


def warn_of_rules(policy: Policy, room: Room) -> None:
    """Logs which rules of a room's policy can never be met at its rate."""
    for warning in warnings(policy, room.interval_s):
        _log.warning("policy %s: %s", policy.id, warning, extra={"room_id": room.room_id})
