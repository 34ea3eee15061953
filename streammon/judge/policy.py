"""A platform's moderation policy, ready to judge by: one rule per label, and what holds for the whole room."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from streammon.entities import Box, Detection, Room
from streammon.events import Verdict
from streammon.judge.contacts.finder import ContactFinder
from streammon.judge.keywords import KeywordMatcher

_RANK = {Verdict.PASS: 0, Verdict.REVIEW: 1, Verdict.BLOCK: 2}
NEVER_STORED = frozenset({"pornography.child", "minors.soft_porn"})
"""Pictures of minors in sexual context: never kept unless a policy says so of the label itself, not of its category."""
# A box that lies in an ignored region by this share of its area is a part of what is ignored.
_INSIDE = 0.8


def above(verdict: Verdict, other: Verdict) -> bool:
    """Whether `verdict` is the graver one."""
    return _RANK[verdict] > _RANK[other]


class TextPolicy(StrEnum):
    """How much of what was read goes into events, and anywhere else beyond the judge.

    full: the whole line, and a code's payload. hits: the listed words and the payload, not the line around them. none:
    neither; a code's subject is then a digest of its payload.
    """

    FULL = "full"
    HITS = "hits"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirm:
    """How many pictures with a fresh hit, within how many seconds, make an incident."""

    hits: int
    within_s: float

    def __str__(self) -> str:
        return f"{self.hits} in {self.within_s:g}s"


@dataclass(frozen=True, slots=True, kw_only=True)
class Escalation:
    """What becomes of a label's n-th incident in a room within a time. `to_block`: its verdict is block."""

    incidents: int
    within_s: float
    to_block: bool
    actions: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What holds for one label. A threshold is None where that verdict is never given.

    `cooldown_s`: for so long after an end, only a graver verdict starts the same again.
    """

    review: float | None
    block: float | None
    confirm: Confirm
    clear_after_s: float
    severity: int
    actions: tuple[str, ...]
    store_evidence: bool
    cooldown_s: float = 0.0
    escalation: Escalation | None = None

    def verdict(self, score: float) -> Verdict:
        """The verdict that one score deserves."""
        if self.block is not None and score >= self.block:
            return Verdict.BLOCK
        if self.review is not None and score >= self.review:
            return Verdict.REVIEW
        return Verdict.PASS


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One of the things that a combination is made of: any of these labels, at this score or above."""

    labels: frozenset[str]
    at_least: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Combination:
    """A label that is meant where each of the parts is seen in one picture. No label is in two parts."""

    label: str
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """A part of the picture, in fractions of it, in which `labels` are not looked for; None: nothing is."""

    box: Box
    labels: frozenset[str] | None

    def covers(self, detection: Detection) -> bool:
        """Whether the detection is one of the labels and its box lies here. What has no box is everywhere."""
        if detection.box is None or (self.labels is not None and detection.label not in self.labels):
            return False
        return _share_inside(detection.box, self.box) >= _INSIDE


@dataclass(frozen=True, slots=True, kw_only=True)
class Exemption:
    """Rooms, and all rooms of tenants, that some labels (None: all) are not reported of."""

    rooms: frozenset[str]
    tenants: frozenset[str]
    labels: frozenset[str] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A policy. `version` is a digest of its text and its keyword lists', `files` where they stand.

    `grace_s`: a stream that is over and comes back within it goes on with its incidents.
    """

    id: str
    version: str
    rules: Mapping[str, Rule]
    matcher: KeywordMatcher
    qr_allow_domains: tuple[str, ...]
    blind_after_s: float
    qr_deny_domains: tuple[str, ...] = ()
    contacts: ContactFinder | None = None
    grace_s: float = 0.0
    text: TextPolicy = TextPolicy.FULL
    combinations: tuple[Combination, ...] = ()
    regions: tuple[Region, ...] = ()
    exemptions: tuple[Exemption, ...] = ()
    files: tuple[Path, ...] = ()

    def watches(self, label: str | None) -> bool:
        """Whether a detection of the label can come to anything: by its own rule, or as part of a combination."""
        return label in self.rules or any(label in part.labels for c in self.combinations for part in c.parts)

    def stores(self, label: str) -> bool:
        """Whether pictures may be kept in which a label is seen, be it without a rule."""
        rule = self.rules.get(label)
        return rule.store_evidence if rule is not None else label not in NEVER_STORED

    def judged_in(self, room: Room) -> frozenset[str]:
        """The labels that are reported of a room."""
        judged = frozenset(self.rules)
        for exemption in self.exemptions:
            if room.room_id in exemption.rooms or room.tenant in exemption.tenants:
                judged -= exemption.labels if exemption.labels is not None else judged
        return judged


def _share_inside(box: Box, region: Box) -> float:
    """How much of the box's area lies in the region, 0..1; of a box without area, whether its corner does."""
    across = _overlap(box.x, box.w, region.x, region.w)
    down = _overlap(box.y, box.h, region.y, region.h)
    return across * down


def _overlap(start: float, length: float, from_: float, size: float) -> float:
    """The share of [start, start + length] that lies in [from_, from_ + size]."""
    if length <= 0:
        return float(from_ <= start <= from_ + size)
    return max(0.0, min(start + length, from_ + size) - max(start, from_)) / length
