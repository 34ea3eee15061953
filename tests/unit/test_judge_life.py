"""What holds of a room's events whatever is seen, said and decided: feedback, policies, stream ends, hand-overs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streammon.entities import Detection, Outcome
from streammon.events import AuditEvent, EndReason, Phase, ViolationEvent
from streammon.judge.incident import Key
from streammon.judge.policy import Exemption, Policy, above
from streammon.judge.room import Now, RoomJudge
from streammon.judge.state import JudgeState
from tests.unit.judging import (
    ADULT,
    CODE,
    MONITOR,
    ROOM,
    code,
    combination,
    escalation,
    judge_by,
    look,
    moment,
    now,
    picture,
    policy,
    rule,
    say,
    violations,
)

KISSING, CHILD, MINOR = "sexy.kissing", "pornography.child", "minors.child"
COOLDOWN_S = 30.0
RULES = {
    ADULT: rule(confirm="2 in 8s", clear_after_s=6, cooldown_s=COOLDOWN_S),
    KISSING: rule(confirm="1 in 4s", clear_after_s=6, cooldown_s=COOLDOWN_S, escalation=escalation(2, 60)),
    CODE: rule(None, 0.5, confirm="1 in 4s", clear_after_s=2, cooldown_s=COOLDOWN_S),
    CHILD: rule(0.5, 0.8, confirm="1 in 4s", clear_after_s=6, cooldown_s=COOLDOWN_S, store_evidence=False),
}
WHOLE = policy(
    RULES,
    blind_after_s=20,
    grace_s=10,
    combinations=[combination(CHILD, (f"{ADULT} {KISSING}", 0.6), (MINOR, 0.5))],
)
HALF = replace(WHOLE, id="half", rules={ADULT: replace(RULES[ADULT], review=0.8)}, combinations=())
NEVER = Exemption(rooms=frozenset({ROOM.room_id}), tenants=frozenset(), labels=frozenset({CODE}))
DETECTORS = {"nsfw": [ADULT, KISSING], "ages": [MINOR], "qr": [CODE]}

Events = list[ViolationEvent]


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """What happens `after_s` seconds after the last act: each of `looks` at one picture, or one other thing."""

    after_s: float
    kind: str
    looks: tuple[tuple[str, tuple[Detection, ...], Outcome], ...] = ()
    label: str = ADULT
    seconds: float = 1.0
    which: int = 0


def seen(detector: str, labels: Sequence[str]) -> st.SearchStrategy[tuple[Detection, ...]]:
    scores = st.sampled_from([0.3, 0.65, 0.85, 0.95])
    if detector == "qr":
        return st.lists(st.integers(0, 40).map(lambda n: code(str(n))), max_size=3).map(tuple)
    made = st.builds(picture, scores, st.sampled_from(labels), detector=st.just(detector))
    return st.lists(made, max_size=2).map(tuple)


outcomes = st.sampled_from([Outcome.EXAMINED, Outcome.EXAMINED, Outcome.EXAMINED, Outcome.NOT_EXAMINED])
one_look = st.one_of(*(st.tuples(st.just(name), seen(name, labels), outcomes) for name, labels in DETECTORS.items()))
after = st.sampled_from([0.5, 2.0, 2.0, 4.0, 8.0, 16.0])
frames = st.builds(
    Act, after_s=after, kind=st.just("frame"), looks=st.lists(one_look, min_size=1, max_size=4).map(tuple)
)
others = st.builds(
    Act,
    after_s=after,
    kind=st.sampled_from(["tick", "tick", "over", "acknowledge", "false_alarm", "mute", "half", "whole"]),
    label=st.sampled_from([ADULT, KISSING, "advertising", "pornography"]),
    seconds=st.sampled_from([1.0, 8.0, 64.0]),
    which=st.integers(0, 3),
)
lives = st.lists(st.one_of(frames, frames, frames, others), min_size=5, max_size=30)
pictures = st.lists(frames, min_size=5, max_size=30)
quick = settings(max_examples=30, deadline=None)


class Life:
    """A room from its opening on, and all that was told of it. Its monotonic clock may be ahead of the test's."""

    def __init__(self, judging: Policy = WHOLE) -> None:
        self.judging = judging
        self.judge: RoomJudge = judge_by(judging)
        self.at_s = 0.0
        self.ahead_s = 0.0
        self.events: Events = []
        self.told_at: list[float] = []
        self.audits: list[AuditEvent] = []
        self.muted_until: dict[str, float] = {}

    def live(self, acts: Sequence[Act], between: Callable[[Life], None] = lambda _: None) -> Life:
        for act in acts:
            self.at_s += act.after_s
            self._tell(self._act(act))
            between(self)
        return self

    def close(self) -> Life:
        self._tell(self.judge.close(EndReason.STOPPED, self.now()))
        return self

    def now(self) -> Now:
        return Now(monotonic_s=self.at_s + self.ahead_s, utc=now(self.at_s).utc)

    def _tell(self, events: Sequence[ViolationEvent | AuditEvent]) -> None:
        self.events += violations(events)
        self.told_at += [self.at_s] * len(violations(events))
        self.audits += [event for event in events if isinstance(event, AuditEvent)]

    def _act(self, act: Act) -> Sequence[ViolationEvent | AuditEvent]:
        at = self.now()
        if act.kind == "frame":
            looks = [
                look(self.at_s, *found, detector=detector, outcome=outcome, labels=DETECTORS[detector])
                for detector, found, outcome in act.looks
            ]
            return self.judge.observe_frame([replace(seen, at_s=at.monotonic_s) for seen in looks], at)
        if act.kind == "tick":
            return self.judge.tick(at)
        if act.kind == "over":
            return self.judge.stream_over(at)
        if act.kind in {"half", "whole"}:
            return self.judge.set_policy(HALF if act.kind == "half" else self.judging, at)
        return self._say(act, at)

    def _say(self, act: Act, at: Now) -> Sequence[ViolationEvent | AuditEvent]:
        if act.kind == "mute":
            until_s = self.at_s + act.seconds
            self.muted_until[act.label] = max(until_s, self.muted_until.get(act.label, 0.0))
            return self.judge.apply(say("mute", label=act.label, seconds=act.seconds, at_s=self.at_s), at)
        named = list(dict.fromkeys(event.incident_id for event in self.events))
        incident_id = named[-1 - act.which] if len(named) > act.which else "none"
        return self.judge.apply(say(act.kind, incident_id=incident_id, at_s=self.at_s), at)

    def incidents(self) -> list[list[ViolationEvent]]:
        ids = dict.fromkeys(event.incident_id for event in self.events)
        return [[event for event in self.events if event.incident_id == incident_id] for incident_id in ids]


def handed_over(life: Life) -> None:
    """Puts another judge in the place of the room's, by way of JSON and to a machine with another monotonic clock."""
    state = msgspec.json.decode(msgspec.json.encode(life.judge.state(life.now())), type=JudgeState)
    life.ahead_s = 4096.0 - life.ahead_s
    life.judge, ends = RoomJudge.resume(state, ROOM, 1, life.judge._policy, MONITOR, life.now())
    assert ends == []


@quick
@given(lives)
def test_every_start_has_one_end_and_seq_rises_by_one(acts: list[Act]) -> None:
    life = Life().live(acts).close()
    assert [event.seq for event in life.events] == list(range(1, len(life.events) + 1))
    for events in life.incidents():
        phases = [event.phase for event in events]
        assert (phases[0], phases[-1]) == (Phase.START, Phase.END)
        assert Counter(phases)[Phase.START] == Counter(phases)[Phase.END] == 1


@quick
@given(lives, lives)
def test_a_closed_room_tells_of_no_incident(before: list[Act], after: list[Act]) -> None:
    life = Life().live(before).close()
    told = len(life.events)
    assert len(life.live(after).close().events) == told


@quick
@given(lives)
def test_verdicts_only_rise_and_updates_say_something_new(acts: list[Act]) -> None:
    for events in Life().live(acts).close().incidents():
        for earlier, later in pairwise(events):
            assert later.previous_verdict is earlier.verdict
            assert not above(earlier.verdict, later.verdict)
            news = above(later.verdict, earlier.verdict) or later.acknowledged_by != earlier.acknowledged_by
            assert news == (later.phase is Phase.UPDATE)


@quick
@given(pictures)
def test_the_same_starts_again_only_after_the_cooldown_or_graver(acts: list[Act]) -> None:
    life = Life().live(acts)
    ended: dict[Key, tuple[float, ViolationEvent]] = {}
    for at_s, event in zip(life.told_at, life.events, strict=True):
        key = Key(label=event.label, subject=event.subject)
        if event.phase is Phase.END:
            ended[key] = (at_s, event)
        elif event.phase is Phase.START and key in ended:
            end_s, end = ended[key]
            assert at_s >= end_s + COOLDOWN_S or above(event.verdict, end.verdict)


@quick
@given(pictures)
def test_what_clears_was_out_of_the_picture_for_long_enough(acts: list[Act]) -> None:
    life = Life().live(acts)
    for at_s, event in zip(life.told_at, life.events, strict=True):
        if event.end_reason is EndReason.CLEARED:
            assert at_s - event.last.pts_s >= RULES[event.label].clear_after_s


@quick
@given(lives)
def test_what_is_muted_does_not_start(acts: list[Act]) -> None:
    life = Life()

    def check(lived: Life) -> None:
        for at_s, event in zip(lived.told_at, lived.events, strict=True):
            if at_s == lived.at_s and event.phase is Phase.START:
                for label, until_s in lived.muted_until.items():
                    assert not (event.label.startswith(label) and at_s < until_s)

    life.live(acts, check)


@quick
@given(lives)
def test_an_exempt_room_is_never_reported(acts: list[Act]) -> None:
    life = Life(replace(WHOLE, exemptions=(NEVER,))).live(acts).close()
    assert CODE not in {event.label for event in life.events}


@quick
@given(lives)
def test_a_judge_that_is_handed_over_tells_the_same(acts: list[Act]) -> None:
    stayed = Life().live(acts).close()
    moved = Life().live(acts, handed_over).close()
    assert moved.events == stayed.events
    assert moved.audits == stayed.audits


def showing(after_s: float, *found: Detection, detector: str = "nsfw") -> Act:
    return Act(after_s=after_s, kind="frame", looks=((detector, found, Outcome.EXAMINED),))


EVENTFUL = [
    showing(2, picture(0.85)),
    showing(2, picture(0.85)),
    showing(8),
    showing(2, picture(0.85)),
    showing(2, picture(0.85)),
    showing(30, picture(0.85), picture(0.65, KISSING)),
    showing(8),
    Act(after_s=2, kind="mute", label="advertising", seconds=64),
    showing(4, code("a"), detector="qr"),
    showing(30, picture(0.65, KISSING)),
    Act(after_s=2, kind="over"),
    Act(after_s=8, kind="tick"),
    Act(after_s=4, kind="tick"),
    showing(32, code("a"), detector="qr"),
    Act(after_s=2, kind="false_alarm"),
    showing(1, code("a"), detector="qr"),
]
"""A cooldown that holds back, hits that add up, an escalation, a mute, a stream that stays away, a dismissal."""


@pytest.mark.parametrize("at", range(1, len(EVENTFUL)))
def test_whenever_a_judge_is_handed_over_it_tells_the_same(at: int) -> None:
    stayed = Life().live(EVENTFUL).close()
    assert {event.end_reason for event in stayed.events} >= {EndReason.ROOM_ENDED, EndReason.FALSE_ALARM}
    assert any(event.escalated for event in stayed.events)
    moved = Life().live(EVENTFUL[:at])
    handed_over(moved)
    assert moved.live(EVENTFUL[at:]).close().events == stayed.events


@quick
@given(lives)
def test_a_state_is_a_copy(acts: list[Act]) -> None:
    life = Life().live(acts[: len(acts) // 2])
    state = life.judge.state(now(life.at_s))
    as_it_was = msgspec.json.encode(state)
    life.live(acts[len(acts) // 2 :])
    assert msgspec.json.encode(state) == as_it_was
    RoomJudge.resume(state, ROOM, 1, HALF, MONITOR, now(life.at_s))
    assert msgspec.json.encode(state) == as_it_was


@quick
@given(pictures, st.data())
def test_however_a_frames_looks_are_cut_the_events_are_the_same(acts: list[Act], data: st.DataObject) -> None:
    def cut(act: Act) -> list[Act]:
        at = data.draw(st.integers(0, len(act.looks)))
        parts = [looks for looks in (act.looks[:at], act.looks[at:]) if looks]
        times = [act.after_s, *[0.0] * (len(parts) - 1)]
        return [replace(act, looks=looks, after_s=after_s) for looks, after_s in zip(parts, times, strict=True)]

    pieces = [piece for act in acts for piece in cut(act)]
    assert Life().live(pieces).close().events == Life().live(acts).close().events


@quick
@given(pictures)
def test_a_picture_that_comes_twice_counts_once(acts: list[Act]) -> None:
    def twice(act: Act) -> Act:
        return replace(act, looks=(*act.looks, *act.looks))

    # When it ends may differ by a picture: who has looked twice is known better.
    lasting = {label: replace(rule, clear_after_s=1e6) for label, rule in RULES.items()}
    judging = replace(WHOLE, rules=lasting, blind_after_s=1e6)
    once, again = Life(judging).live(acts), Life(judging).live(list(map(twice, acts)))
    assert counts(again) == counts(once)


@quick
@given(lives)
def test_what_was_not_examined_changes_nothing(acts: list[Act]) -> None:
    def fresh(act: Act) -> Act:
        return replace(act, looks=tuple(one for one in act.looks if one[2] is Outcome.EXAMINED))

    assert Life().live(list(map(fresh, acts))).close().events == Life().live(acts).close().events


def counts(life: Life) -> list[tuple[str, int, int]]:
    starts = [event for event in life.close().events if event.phase is Phase.START]
    return [(event.incident_id, event.sampling.hits, event.sampling.inferences) for event in starts]


def test_memory_is_bounded_whatever_comes() -> None:
    """A stranger shows a new code in every picture, and a tool mutes them all, for hours."""
    subject = judge_by(replace(WHOLE, rules={**RULES, CODE: replace(RULES[CODE], cooldown_s=86400)}))
    sizes = []
    for number in range(3000):
        at_s = number * 4.0
        seen_now = [code(f"{number}-{n}") for n in range(3)] + [picture(0.95), picture(0.95, KISSING)]
        subject.observe(look(at_s, *seen_now, detector="qr", labels=[CODE]), now(at_s))
        if number % 5 == 0:
            subject.apply(say("mute", label=CODE, subject=f"{number}-0", seconds=86400, at_s=at_s), now(at_s))
        subject.tick(now(at_s))
        if number in {2750, 2999}:
            sizes.append(len(msgspec.json.encode(subject.state(now(at_s)))))
    assert sizes[1] < 1.1 * sizes[0]
    state = subject.state(now(12000))
    assert (len(state.restraints.cooldowns), len(state.restraints.mutes), len(state.past)) == (512, 512, 64)


def test_a_judge_that_resumes_under_a_policy_that_knows_a_label_no_more_ends_it() -> None:
    first = judge_by(WHOLE)
    first.observe(look(0, picture(0.95, KISSING)), now(0))
    judge, (end,) = RoomJudge.resume(first.state(now(1)), ROOM, 2, HALF, MONITOR, now(3))
    assert (end.label, end.end_reason, end.owner_epoch) == (KISSING, EndReason.POLICY_CHANGED, 2)
    assert (end.seq, end.severity, end.ended_at) == (2, 4, now(3).utc)
    assert judge.idle


def test_time_passes_for_a_state_that_waits() -> None:
    first = judge_by(WHOLE)
    first.observe(look(0, picture(0.95, KISSING)), now(0))
    state = first.state(now(4))
    later = Now(monotonic_s=5.0, utc=now(20).utc)
    judge, _ = RoomJudge.resume(state, ROOM, 1, WHOLE, MONITOR, later)
    (end,) = judge.tick(later)
    assert (end.end_reason, end.last) == (EndReason.BLIND, moment(0))
