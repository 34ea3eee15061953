"""What holds of a room's events whatever is seen, in whatever order, and whoever dies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from streammon.entities import Detection, Outcome
from streammon.events import EndReason, Phase, Verdict, ViolationEvent
from streammon.judge.room import RoomJudge
from tests.unit.judging import ADULT, CODE, code, judge, look, now, picture, rule

KISSING = "sexy.kissing"
RULES = {
    ADULT: rule(confirm="2 in 6s", clear_after_s=6),
    KISSING: rule(confirm="1 in 3s", clear_after_s=6),
    CODE: rule(review=None, block=0.5, confirm="1 in 3s", clear_after_s=2),
}
MOST_OPEN_PER_LABEL = 33
RANK = {Verdict.REVIEW: 1, Verdict.BLOCK: 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What happens `after_s` seconds after the last step: a look, or the passing of time where `detector` is None."""

    after_s: float
    detector: str | None
    outcome: Outcome
    detections: tuple[Detection, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """A room from its opening to after its close."""

    before: tuple[Step, ...]
    after: tuple[Step, ...]


seconds = st.sampled_from([0.0, 0.5, 2.0, 5.0, 30.0])
outcomes = st.sampled_from([Outcome.EXAMINED, Outcome.EXAMINED, Outcome.NOT_EXAMINED])
pictures = st.builds(picture, st.sampled_from([0.1, 0.6, 0.75, 0.9, 1.0]), st.sampled_from([ADULT, KISSING]))
# Rarely many codes at once: enough of them to go over the cap of subjects.
codes = st.one_of(
    st.lists(st.builds(code, st.integers(0, 40).map(str)), max_size=3),
    st.integers(33, 36).map(lambda count: [code(str(n)) for n in range(count)]),
).map(tuple)


def looks(detector: str, detections: st.SearchStrategy[tuple[Detection, ...]]) -> st.SearchStrategy[Step]:
    return st.builds(Step, after_s=seconds, detector=st.just(detector), outcome=outcomes, detections=detections)


steps = st.one_of(
    looks("nsfw", st.lists(pictures, max_size=2).map(tuple)),
    looks("nsfw", st.builds(lambda one: (one,), pictures)),
    looks("qr", codes),
    st.builds(Step, after_s=seconds, detector=st.none(), outcome=st.just(Outcome.EXAMINED), detections=st.just(())),
)
lives = st.builds(
    Life,
    before=st.lists(steps, min_size=8, max_size=24).map(tuple),
    after=st.lists(steps, min_size=1, max_size=4).map(tuple),
)
quick = settings(max_examples=50, deadline=None)


def walk(subject: RoomJudge, taken: Sequence[Step], at_s: float) -> tuple[list[ViolationEvent], float]:
    """The events of the steps, and the time at which they are over."""
    events: list[ViolationEvent] = []
    for step in taken:
        at_s += step.after_s
        if step.detector is None:
            events += subject.tick(now(at_s))
        else:
            seen = look(at_s, *step.detections, detector=step.detector, outcome=step.outcome)
            events += subject.observe(seen, now(at_s))
        held = Counter(key.label for key in subject._incidents)
        assert max(held.values(), default=0) <= MOST_OPEN_PER_LABEL
    return events, at_s


def live(life: Life) -> list[ViolationEvent]:
    """All events of a life, the ends at its close among them."""
    subject = judge(RULES, blind_after_s=20)
    events, at_s = walk(subject, life.before, 0.0)
    return events + subject.close(EndReason.STOPPED, now(at_s))


def by_incident(events: Sequence[ViolationEvent]) -> list[list[ViolationEvent]]:
    ids = dict.fromkeys(event.incident_id for event in events)
    return [[event for event in events if event.incident_id == incident_id] for incident_id in ids]


@quick
@given(lives)
def test_every_incident_starts_once_and_ends_once(life: Life) -> None:
    for events in by_incident(live(life)):
        phases = Counter(event.phase for event in events)
        assert (phases[Phase.START], phases[Phase.END]) == (1, 1)
        assert (events[0].phase, events[-1].phase) == (Phase.START, Phase.END)


@quick
@given(lives)
def test_seq_rises_by_one(life: Life) -> None:
    events = live(life)
    assert [event.seq for event in events] == list(range(1, len(events) + 1))


@quick
@given(lives)
def test_a_verdict_never_falls_and_an_update_raises_it(life: Life) -> None:
    for events in by_incident(live(life)):
        for earlier, later in pairwise(events):
            assert later.previous_verdict is earlier.verdict
            assert RANK[later.verdict] >= RANK[earlier.verdict] + (later.phase is Phase.UPDATE)


@quick
@given(lives)
def test_moments_and_counts_agree(life: Life) -> None:
    for event in live(life):
        assert event.first.pts_s <= event.peak.pts_s <= event.last.pts_s
        assert event.confidence <= event.peak_confidence
        assert 1 <= event.sampling.hits <= event.sampling.inferences


@quick
@given(lives)
def test_after_closing_there_is_nothing_more(life: Life) -> None:
    subject = judge(RULES)
    _, at_s = walk(subject, life.before, 0.0)
    subject.close(EndReason.ROOM_ENDED, now(at_s))
    assert walk(subject, life.after, at_s)[0] == []
    assert subject.close(EndReason.ROOM_ENDED, now(at_s)) == []


@quick
@given(lives)
def test_what_was_not_examined_changes_nothing(life: Life) -> None:
    kept: list[Step] = []
    waited_s = 0.0
    for step in life.before:
        if step.detector is not None and step.outcome is Outcome.NOT_EXAMINED:
            waited_s += step.after_s
            continue
        kept.append(
            Step(
                after_s=waited_s + step.after_s,
                detector=step.detector,
                outcome=step.outcome,
                detections=step.detections,
            )
        )
        waited_s = 0.0
    full = walk(judge(RULES, blind_after_s=20), life.before, 0.0)[0]
    assert full == walk(judge(RULES, blind_after_s=20), kept, 0.0)[0]


@quick
@given(lives)
def test_the_same_input_gives_the_same_events(life: Life) -> None:
    assert live(life) == live(life)


@quick
@given(lives, lives)
def test_a_successor_ends_what_was_left_open_and_repeats_no_id(first: Life, second: Life) -> None:
    dead = judge(RULES, blind_after_s=20)
    events, at_s = walk(dead, first.before, 0.0)
    last = {event.incident_id: event for event in events}
    left_open = [event for event in last.values() if event.phase is not Phase.END]
    successor = judge(RULES, epoch=2, blind_after_s=20)
    ends = successor.end_lost(left_open, now(at_s))
    assert [end.incident_id for end in ends] == [event.incident_id for event in left_open]
    later, at_s = walk(successor, second.before, at_s)
    everything = events + ends + later + successor.close(EndReason.STOPPED, now(at_s))
    assert len({event.event_id for event in everything}) == len(everything)
    for incident in by_incident(everything):
        assert [event.phase for event in incident].count(Phase.END) == 1
