"""What keeps a room's incidents from starting, or makes a start graver: cooldowns, mutes and earlier starts. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TypeVar

from streammon.events import Verdict
from streammon.judge.incident import Key
from streammon.judge.policy import Escalation, above

# More than a policy's labels and the capped subjects make in any sane time; beyond, the next to expire gives way.
_MAX_HELD = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Cooldown:
    """The same does not start again before `until_s`, unless with a graver verdict."""

    key: Key
    until_s: float
    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Mute:
    """Nothing of this starts before `until_s`; a subject of None stands for all of the label."""

    key: Key
    until_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Starts:
    """When a label's latest incidents started, the oldest first: as many as the policy's escalation counts."""

    label: str
    at_s: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RestraintState:
    """All that is held, as data."""

    cooldowns: tuple[Cooldown, ...] = ()
    mutes: tuple[Mute, ...] = ()
    starts: tuple[Starts, ...] = ()

    def shifted(self, by_s: float) -> RestraintState:
        """A copy whose times are by so much later."""
        return RestraintState(
            cooldowns=tuple(replace(held, until_s=held.until_s + by_s) for held in self.cooldowns),
            mutes=tuple(replace(held, until_s=held.until_s + by_s) for held in self.mutes),
            starts=tuple(replace(held, at_s=tuple(at_s + by_s for at_s in held.at_s)) for held in self.starts),
        )


_Held = TypeVar("_Held", Cooldown, Mute)


class Restraints:
    """Those of one room. Times are of one monotonic clock, in seconds."""

    def __init__(self, state: RestraintState | None = None) -> None:
        known = state if state is not None else RestraintState()
        self._cooldowns = {held.key: held for held in known.cooldowns}
        self._mutes = {held.key: held for held in known.mutes}
        self._starts = {held.label: held.at_s for held in known.starts}

    def state(self) -> RestraintState:
        """All that is held."""
        return RestraintState(
            cooldowns=tuple(self._cooldowns.values()),
            mutes=tuple(self._mutes.values()),
            starts=tuple(Starts(label=label, at_s=at_s) for label, at_s in self._starts.items()),
        )

    def cool(self, key: Key, verdict: Verdict, until_s: float) -> None:
        """An incident has ended that had this verdict."""
        _hold(self._cooldowns, Cooldown(key=key, until_s=until_s, verdict=verdict))

    def cooling(self, key: Key, verdict: Verdict, at_s: float) -> bool:
        """Whether what would start now with this verdict has to wait."""
        held = self._cooldowns.get(key)
        return held is not None and at_s < held.until_s and not above(verdict, held.verdict)

    def mute(self, key: Key, until_s: float) -> None:
        """From now on it is muted; a mute that lasts longer stays."""
        held = self._mutes.get(key)
        if held is None or held.until_s < until_s:
            _hold(self._mutes, Mute(key=key, until_s=until_s))

    def muted(self, key: Key, at_s: float) -> bool:
        """Whether it, or all of its label, is muted."""
        held = (self._mutes.get(key), self._mutes.get(Key(label=key.label, subject=None)))
        return any(mute is not None and at_s < mute.until_s for mute in held)

    def escalates(self, label: str, escalation: Escalation, at_s: float) -> bool:
        """Takes note of a start. Returns whether it is one too many."""
        latest = (*self._starts.get(label, ()), at_s)[-escalation.incidents :]
        self._starts[label] = latest
        return len(latest) == escalation.incidents and at_s - latest[0] <= escalation.within_s

    def forget(self, now_s: float) -> None:
        """Lets go of what is over."""
        for held in (self._cooldowns, self._mutes):
            for key in _over(held.values(), now_s):
                del held[key]


def _over(held: Iterable[Cooldown | Mute], now_s: float) -> list[Key]:
    return [entry.key for entry in held if entry.until_s <= now_s]


def _hold(held: dict[Key, _Held], entry: _Held) -> None:
    held[entry.key] = entry
    if len(held) > _MAX_HELD:
        del held[min(held.values(), key=lambda other: other.until_s).key]
