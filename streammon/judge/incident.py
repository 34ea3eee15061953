"""One thing that may be going on in one room: counts hits towards a start, and misses towards an end. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from streammon.entities import Detection, Moment
from streammon.events import Verdict
from streammon.judge.policy import Rule

_RANK = {Verdict.PASS: 0, Verdict.REVIEW: 1, Verdict.BLOCK: 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """What an incident is about, within its room."""

    label: str
    subject: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One fresh inference that bears on an incident: when, and the detections that are hits (none: a miss)."""

    at_s: float
    moment: Moment
    hits: tuple[Detection, ...]

    @property
    def score(self) -> float:
        """The strongest hit's score, 0..1."""
        return max(hit.score for hit in self.hits)


@dataclass(slots=True, kw_only=True)
class Incident:
    """The state of one (label, subject) in one room, from the first hit on. `verdict` is pass until it has started.

    `detector` is the one whose looks count as misses: what text reading does not see says nothing about nudity.
    """

    key: Key
    rule: Rule
    detector: str
    incident_id: str = ""
    continues: str | None = None
    verdict: Verdict = Verdict.PASS
    recent: deque[Look] = field(default_factory=deque)
    early_misses_s: deque[float] = field(default_factory=deque)
    inferences: int = 0
    hit_count: int = 0
    first: Look | None = None
    last: Look | None = None
    peak: Look | None = None
    examined_s: float = 0.0

    @property
    def open(self) -> bool:
        """Whether it has started."""
        return self.verdict is not Verdict.PASS

    def hit(self, look: Look) -> Verdict | None:
        """Takes a hit in. Returns the new verdict where it started or rose, else None."""
        self.inferences += 1
        self.hit_count += 1
        self.examined_s = look.at_s
        self.recent.append(look)
        self._prune(look.at_s)
        self.last = look
        if self.peak is None or look.score > self.peak.score:
            self.peak = look
        confirmed = self._confirmed()
        if _RANK[confirmed] <= _RANK[self.verdict]:
            return None
        self.verdict = confirmed
        return confirmed

    def miss(self, at_s: float) -> bool:
        """Takes a miss in. Returns whether that ends the incident, started or not."""
        self.inferences += 1
        self.examined_s = at_s
        self._prune(at_s)
        if not self.open:
            self.early_misses_s.append(at_s)
            return not self.recent
        return self.last is not None and at_s - self.last.at_s >= self.rule.clear_after_s

    def blind(self, now_s: float, blind_after_s: float) -> bool:
        """Whether nobody has looked for so long that nothing more can be said."""
        return now_s - self.examined_s >= blind_after_s

    def _prune(self, now_s: float) -> None:
        while self.recent and now_s - self.recent[0].at_s > self.rule.confirm.within:
            self.recent.popleft()
        if not self.open and self.recent:
            self._begin_with(self.recent[0])

    def _begin_with(self, first: Look) -> None:
        """Counts anew from the oldest hit that may still lead to a start: what came before is no part of it."""
        while self.early_misses_s and self.early_misses_s[0] < first.at_s:
            self.early_misses_s.popleft()
        self.first = first
        self.hit_count = len(self.recent)
        self.inferences = self.hit_count + len(self.early_misses_s)
        self.peak = max(self.recent, key=lambda look: look.score)

    def _confirmed(self) -> Verdict:
        """The verdict that enough recent hits agree on: the n-th strongest score's."""
        needed = self.rule.confirm.hits
        if len(self.recent) < needed:
            return Verdict.PASS
        scores = sorted((look.score for look in self.recent), reverse=True)
        return self.rule.verdict(scores[needed - 1])
