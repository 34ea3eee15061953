"""One thing that may be going on in one room: counts hits towards a start, and misses towards an end. Pure data.

It is what a judge's state is made of, so it holds no rule: the policy's comes with the calls.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from streammon.entities import Detection, Moment
from streammon.events import Verdict
from streammon.judge.policy import Rule

MAX_HITS = 32
"""The most detections that one picture's event names: the strongest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """What an incident is about, within its room."""

    label: str
    subject: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """A fresh inference that shows it: the picture's time and moment, how sure (0..1), and by which detections.

    Not `of_frame`: a line of chat, which no picture shows.
    """

    at_s: float
    moment: Moment
    score: float
    hits: tuple[Detection, ...]
    of_frame: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """A picture that shows it. `look` and `hit` number the pictures examined, and those that show it, from 1."""

    at_s: float
    moment: Moment
    score: float
    look: int
    hit: int


@dataclass(slots=True, kw_only=True)
class Incident:
    """The state of one (label, subject) in one room, from the first hit on. `verdict` is pass until it has started.

    `dismissed`: somebody said that it is a false alarm, so it goes on unreported until it is out of the picture.
    `detectors` have shown it: what they do not see any more is gone. `pictured`: a picture has shown it, not chat
    alone. `severity` is the highest that a list gave a word of it. `frame` is the last picture examined, by `looked`;
    `awaited` examined the one before. `recent` holds what may still confirm: at most twice the rule's number of hits.
    """

    key: Key
    incident_id: str = ""
    continues: str | None = None
    verdict: Verdict = Verdict.PASS
    added_actions: tuple[str, ...] = ()
    escalated: bool = False
    severity: int = 0
    dismissed: bool = False
    acknowledged_by: str | None = None
    has_feedback: bool = False
    models: tuple[str, ...] = ()
    recent: list[Sighting] = field(default_factory=list)
    first: Sighting | None = None
    last: Sighting | None = None
    peak: Sighting | None = None
    hits: tuple[Detection, ...] = ()
    looks: int = 0
    sightings: int = 0
    examined_s: float = 0.0
    detectors: set[str] = field(default_factory=set)
    pictured: bool = False
    frame: Moment | None = None
    looked: set[str] = field(default_factory=set)
    awaited: set[str] = field(default_factory=set)

    @property
    def open(self) -> bool:
        """Whether it has started."""
        return self.verdict is not Verdict.PASS

    def start(self, verdict: Verdict) -> None:
        """It has begun with the oldest hit that confirms it: what came before is no part of it."""
        self.verdict = verdict
        self.first = self.recent[0]
        self.peak = max(self.recent, key=lambda sighting: sighting.score)
        self.models = tuple(sorted({hit.model for hit in self.hits}))

    def dismiss(self) -> None:
        """It is a false alarm."""
        self.verdict = Verdict.PASS
        self.dismissed = True

    def hit(self, detector: str, look: Look, rule: Rule) -> None:
        """Takes a hit in. A second one in the same picture makes the first surer, but is no second one."""
        if look.of_frame:
            self._enter(detector, look.at_s, look.moment)
            # A combination's other parts were seen in the same picture.
            seers = {detector, *(hit.detector for hit in look.hits)}
            self.detectors |= seers
            self.looked |= seers
            self.pictured = True
        else:
            self.looks += 1
        self.severity = max(self.severity, *(hit.severity or 0 for hit in look.hits))
        if self.last is not None and self.last.moment == look.moment:
            seen = replace(self.last, score=max(self.last.score, look.score))
            both = dict.fromkeys((*self.hits, *look.hits))
            self.hits = tuple(sorted(both, key=lambda hit: -hit.score))[:MAX_HITS]
            self.recent = [*self.recent[:-1], seen]
        else:
            self.sightings += 1
            seen = Sighting(at_s=look.at_s, moment=look.moment, score=look.score, look=self.looks, hit=self.sightings)
            self.hits = look.hits[:MAX_HITS]
            self.recent.append(seen)
        self.last = seen
        if self.open and self.peak is not None and seen.score > self.peak.score:
            self.peak = seen
        self._prune(look.at_s, rule)

    def miss(self, detector: str, at_s: float, moment: Moment, rule: Rule) -> bool:
        """Takes in that a detector did not see it. Returns whether that ends the incident, started or not.

        One detector's miss ends nothing while another, that looked at the picture before, has yet to look at this one.
        """
        self._enter(detector, at_s, moment)
        self._prune(at_s, rule)
        if not self.open and not self.dismissed:
            return not self.recent
        late = self.last is not None and at_s - self.last.at_s >= rule.clear_after_s
        return late and self.awaited <= self.looked

    def confirmed(self, rule: Rule) -> Verdict:
        """The verdict that enough recent hits agree on: the n-th strongest score's."""
        needed = rule.confirm.hits
        if len(self.recent) < needed:
            return Verdict.PASS
        scores = sorted((sighting.score for sighting in self.recent), reverse=True)
        return rule.verdict(scores[needed - 1])

    def blind(self, now_s: float, blind_after_s: float) -> bool:
        """Whether nobody has looked for so long that nothing more can be said."""
        return self.pictured and now_s - self.examined_s >= blind_after_s

    def quiet(self, now_s: float, rule: Rule) -> bool:
        """Whether it was only written in chat, and is not any more. Started or not."""
        if self.pictured or self.last is None:
            return False
        within_s = rule.clear_after_s if self.open or self.dismissed else rule.confirm.within_s
        return now_s - self.last.at_s >= within_s

    def shifted(self, by_s: float) -> Incident:
        """A copy whose times are by so much later."""
        moved = [replace(sighting, at_s=sighting.at_s + by_s) for sighting in self.recent]
        return replace(
            self,
            recent=moved,
            first=_shifted(self.first, by_s),
            last=_shifted(self.last, by_s),
            peak=_shifted(self.peak, by_s),
            examined_s=self.examined_s + by_s,
            detectors=set(self.detectors),
            looked=set(self.looked),
            awaited=set(self.awaited),
        )

    def _enter(self, detector: str, at_s: float, moment: Moment) -> None:
        """Takes note of who examines which picture."""
        if moment != self.frame:
            self.awaited, self.looked, self.frame = self.looked, set(), moment
            self.looks += 1
        self.looked.add(detector)
        self.examined_s = at_s

    def _prune(self, now_s: float, rule: Rule) -> None:
        """Forgets the hits that are too old, and of those that are too many all that cannot decide any more."""
        needed = rule.confirm.hits
        recent = [sighting for sighting in self.recent if now_s - sighting.at_s <= rule.confirm.within_s]
        if len(recent) > 2 * needed:
            strong = [s for s in recent if rule.verdict(s.score) is Verdict.BLOCK][-needed:]
            kept = {s.look for s in (*strong, *recent[-needed:])}
            recent = [s for s in recent if s.look in kept]
        self.recent = recent


def _shifted(sighting: Sighting | None, by_s: float) -> Sighting | None:
    return None if sighting is None else replace(sighting, at_s=sighting.at_s + by_s)
