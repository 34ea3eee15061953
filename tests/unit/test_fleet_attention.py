"""What is seen in a room decides how often it is sampled and what is looked at again; what it costs is counted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from streammon.detect.change.room_reuse import RoomReuse
from streammon.detect.config import ReuseConfig
from streammon.detect.scheduling.request import Cost, Examined, Request, examined_by, unexamined_by
from streammon.entities import Frame, Observation, Unexamined
from streammon.fleet.attention import Attention
from streammon.fleet.pace import Pace
from streammon.fleet.pace_config import AfterHitConfig, PaceConfig, QuietConfig
from streammon.fleet.tallies import EngineNews, count_examined
from streammon.judge.feasible import slowest_interval_s
from streammon.judge.policy import Policy
from tests.unit.colours import RED, ColourDetector, frame, metrics, policy, room, value

PACE = PaceConfig(after_hit=AfterHitConfig(interval=0.5, lasts=20), quiet=QuietConfig(after=60, most=3))


class Watch:
    """An attention on a clock of its own, and what it has told the ingest."""

    def __init__(self, rules: Policy) -> None:
        self.told: list[tuple[str, float]] = []
        self.saturation = 0.0
        self.reuse = RoomReuse(ReuseConfig())
        self.attention = Attention(self.reuse, Pace(PACE), self._set, lambda: self.saturation, metrics())
        self.attention.opened(room(), rules, 0.0)

    def _set(self, room_id: str, interval_s: float) -> None:
        self.told.append((room_id, interval_s))

    def judged(self, at_s: float, *, busy: bool, hit: bool | None = None, looked: bool = True) -> Frame:
        shown = frame(RED, at_s)
        self.reuse.unchanged(shown, ["colour"], at_s)
        seen = _seen(shown) if looked else unexamined_by(ColourDetector(), shown, Unexamined.UNCHANGED)
        self.attention.judged(_examined(shown, seen), at_s, busy=busy, hit=busy if hit is None else hit)
        return shown


def _seen(shown: Frame) -> Observation:
    return examined_by(ColourDetector(), shown, ())


def _examined(shown: Frame, *seen: Observation) -> Examined:
    cost = {"colour": Cost(cpu_s=0.25, provider_s=0.5)}
    return Examined(request=Request(frame=shown, owner="r1"), observations=seen, cost=cost)


@pytest.fixture
def rules(tmp_path: Path) -> Policy:
    return policy(tmp_path)


@pytest.fixture
def watch(rules: Policy) -> Watch:
    return Watch(rules)


def test_a_room_in_which_something_goes_on_is_sampled_faster_for_a_while(watch: Watch) -> None:
    watch.judged(1.0, busy=True)
    watch.attention.tick(1.0)
    watch.judged(2.0, busy=False)
    watch.attention.tick(1.5)
    watch.attention.tick(22.0)
    assert watch.told == [("r1", 0.5), ("r1", 2.0)]


def test_what_goes_on_for_long_does_not_keep_its_room_at_the_higher_rate(watch: Watch) -> None:
    watch.judged(1.0, busy=True)
    watch.attention.tick(1.0)
    for at_s in (10.0, 20.0):
        watch.judged(at_s, busy=True, hit=False)
    watch.attention.tick(22.0)
    assert watch.told == [("r1", 0.5), ("r1", 2.0)]


def test_what_was_not_looked_at_is_no_news_of_the_room(watch: Watch) -> None:
    watch.judged(1.0, busy=True, looked=False)
    watch.attention.tick(1.0)
    assert watch.told == []


def test_a_quiet_room_is_slowed_down_no_further_than_its_policy_allows(watch: Watch, rules: Policy) -> None:
    watch.attention.policy_changed("r1", replace(rules, rules={}, blind_after_s=7.0))
    watch.attention.tick(60.0)
    assert watch.told == [("r1", 3.5)]


def test_a_look_is_spared_until_something_goes_on_or_other_rules_hold(watch: Watch, rules: Policy) -> None:
    def spared(at_s: float) -> bool:
        return bool(watch.reuse.unchanged(frame(RED, at_s), ["colour"], at_s))

    watch.judged(1.0, busy=False)
    assert spared(2.0)
    watch.attention.policy_changed("r1", rules)
    assert not spared(3.0)
    watch.judged(4.0, busy=False)
    watch.judged(5.0, busy=True)
    assert not spared(6.0)
    watch.judged(7.0, busy=False)
    watch.attention.closed("r1")
    assert not spared(8.0)


def test_the_slowest_interval_leaves_a_rule_enough_pictures(rules: Policy) -> None:
    slowest_s = slowest_interval_s(rules)
    for rule in rules.rules.values():
        assert slowest_s * (rule.confirm.hits - 1) <= rule.confirm.within_s
        assert slowest_s <= rule.clear_after_s or rule.clear_after_s == 0
    assert slowest_interval_s(replace(rules, rules={}, blind_after_s=8.0)) == 4.0


def test_what_a_frame_cost_is_its_room_s_and_tenant_s() -> None:
    counted = metrics()
    shown = frame(RED, 1.0)
    skipped = unexamined_by(ColourDetector(), shown, Unexamined.CADENCE)
    count_examined(counted, replace(room(), tenant="t"), _examined(shown, _seen(shown), skipped))
    assert value(counted, "streammon_room_cpu_seconds_total", room="r1", tenant="t", part="colour") == 0.25
    assert value(counted, "streammon_room_provider_seconds_total", room="r1", tenant="t") == 0.5
    assert value(counted, "streammon_frames_not_examined_total", detector="colour", reason="cadence") == 1.0
    assert value(counted, "streammon_room_frames_examined_total", room="r1") == 1.0


def test_a_frame_that_a_detector_did_not_get_to_in_time_counts_once_in_its_room() -> None:
    counted = metrics()
    shown = frame(RED, 1.0)
    late, gated = (unexamined_by(ColourDetector(), shown, why) for why in (Unexamined.OVERDUE, Unexamined.GATE))
    for others in ((late, late), (gated, gated), (gated,)):
        count_examined(counted, room(), _examined(shown, _seen(shown), *others))
    assert value(counted, "streammon_frames_dropped_total", room="r1", reason="unfinished") == 1.0


def test_all_detectors_that_are_off_are_told_whenever_they_change() -> None:
    counted, told = metrics(), list[tuple[str, ...]]()
    news = EngineNews(counted, lambda _: None, told.append, lambda _: None)
    news.detector_disabled("b", "it fails")
    news.detector_disabled("a", "it fails")
    news.detector_enabled("b")
    assert told == [("b",), ("a", "b"), ("a",)]
    assert value(counted, "streammon_detector_disabled", detector="a") == 1.0
    assert value(counted, "streammon_detector_disabled", detector="b") == 0.0
