"""A model on trial beside the engine: which frames it is shown, that nobody waits for it, and how it ends by itself."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from streammon.detect.config import DetectConfig
from streammon.detect.detector import Detector, Found
from streammon.detect.parts import Parts
from streammon.detect.registry import build_detectors
from streammon.detect.runtime.runtime import Runtime
from streammon.detect.scheduling.request import Cost, Examined, Request, RequestClass, examined_by, unexamined_by
from streammon.detect.shadow.runner import ShadowRunner, Surroundings, Terms
from streammon.entities import Detection, Frame, Observation, Unexamined
from streammon.errors import ModelError
from tests.tiny_models import LABEL, SEES_NOTHING, SEES_RED, classifier, section
from tests.unit.colours import GREEN, RED, Colour
from tests.unit.colours import frame as coloured
from tests.unit.scheduling import Seer, frame, wait_for


@dataclass
class Heard:
    """What a trial works with, and all that it tells."""

    saturation: float = 0.0
    seen: list[Observation] = field(default_factory=list)
    counted: list[str] = field(default_factory=list)
    given_up: list[str] = field(default_factory=list)

    def around(self, runtime: Runtime) -> Surroundings:
        return Surroundings(
            runtime=runtime,
            saturation=lambda: self.saturation,
            seen=self.seen.append,
            counted=self.counted.append,
            given_up=self.given_up.append,
        )

    def until_counted(self, frames: int) -> None:
        """Waits until something has come of so many frames."""
        wait_for(lambda: len(self.counted) >= frames)


@pytest.fixture
def runtime() -> Iterator[Runtime]:
    one = Runtime(DetectConfig(provider="cpu"), cores=1)
    yield one
    one.close()


@contextmanager
def trial(
    candidate: Detector, runtime: Runtime, heard: Heard, terms: Terms, *, start: bool = True
) -> Iterator[ShadowRunner]:
    runner = ShadowRunner(candidate, terms, heard.around(runtime))
    if start:
        runner.start()
    try:
        yield runner
    finally:
        assert runner.close(5.0)
    assert not any(thread.name.startswith("shadow-") for thread in threading.enumerate())


def examined(current: Detector, one: Frame, *, others: Sequence[Observation] = (), cost: bool = True) -> Examined:
    """What came of a frame that the current detector has seen."""
    (found,) = current.detect([one])
    spent = {current.name: Cost(cpu_s=0.01, provider_s=0.02)} if cost else {}
    return Examined(request=Request(frame=one), observations=(*others, examined_by(current, one, found)), cost=spent)


ALL = Terms(share=1.0)


def test_a_real_candidate_is_held_against_the_current_one(tmp_path: Path, runtime: Runtime) -> None:
    calm = classifier(tmp_path / "calm.onnx", SEES_NOTHING)
    config = DetectConfig.model_validate({"custom": {"flames": section(calm)}})
    parts = Parts(weights=Path, label_maps={}, config=config, runtime=runtime)
    (current,) = build_detectors(["flames"], parts)
    instead = {"flames": {"flames": classifier(tmp_path / "fires.onnx", SEES_RED)}}
    (candidate,) = build_detectors(["flames"], parts, instead)
    assert (current.model, candidate.model) == ("calm", "fires")
    heard = Heard()
    shown: list[Colour] = [RED, GREEN, RED]
    with trial(candidate, runtime, heard, ALL) as runner:
        for at_s, colour in enumerate(shown):
            runner.offer(examined(current, coloured(colour, float(at_s))))
        wait_for(lambda: len(heard.seen) == 3)
        told = runner.compared()
    assert (told.frames, told.passed_over, told.failed) == (3, 0, 0)
    assert (told.labels[LABEL].only_candidate, told.labels[LABEL].both) == (2, 0)
    assert told.labels[LABEL].max_difference == pytest.approx(240 / 255, abs=0.01)
    assert told.current.provider_s == pytest.approx(0.02)
    assert 0 < told.candidate.provider_s < 1
    assert [len(one.detections) for one in heard.seen] == [1, 0, 1]
    assert [one.at_s for one in heard.seen] == [0.0, 1.0, 2.0]
    assert heard.counted == ["compared"] * 3


@pytest.mark.parametrize(("share", "shown"), [(1.0, 30), (0.5, 15), (0.1, 3), (0.25, 7)])
def test_a_share_of_the_frames_is_shown_evenly(runtime: Runtime, share: float, shown: int) -> None:
    seer, heard = Seer(), Heard()
    with trial(seer, runtime, heard, Terms(share=share)) as runner:
        for seq in range(30):
            runner.offer(examined(Seer(), frame(seq)))
            heard.until_counted(int((seq + 1) * share))
    assert [seq for (seq,) in seer.batches] == [round((number + 1) / share) - 1 for number in range(shown)]


def test_only_live_frames_that_the_current_one_ran_on_are_shown(runtime: Runtime) -> None:
    heard, current = Heard(), Seer()
    one = examined(current, frame(0))
    unseen = replace(one, observations=(unexamined_by(current, frame(0), Unexamined.CADENCE),))
    review = replace(one, request=Request(frame=frame(1), request_class=RequestClass.REVIEW))
    gated = examined(current, frame(2), cost=False)
    with trial(Seer(), runtime, heard, ALL) as runner:
        for other in (unseen, review, gated, examined(Seer("another"), frame(3))):
            runner.offer(other)
        runner.offer(one)
        wait_for(lambda: len(heard.counted) == 1)
    assert [seen.moment for seen in heard.seen] == [one.request.frame.moment]


def test_while_the_engine_is_busy_nothing_is_shown(runtime: Runtime) -> None:
    heard = Heard(saturation=0.91)
    with trial(Seer(), runtime, heard, ALL) as runner:
        runner.offer(examined(Seer(), frame(0)))
        assert heard.counted == ["passed_over"]
        heard.saturation = 0.9
        runner.offer(examined(Seer(), frame(1)))
        wait_for(lambda: len(heard.seen) == 1)
        assert runner.compared().passed_over == 1


def test_what_comes_faster_than_it_looks_is_passed_over_and_nobody_waits(runtime: Runtime) -> None:
    go, heard = threading.Event(), Heard()
    slow = Seer(finds=lambda _: go.wait(5))
    with trial(slow, runtime, heard, ALL) as runner:
        runner.offer(examined(Seer(), frame(0)))
        wait_for(lambda: slow.running == 1)
        for seq in range(1, 13):
            runner.offer(examined(Seer(), frame(seq)))
        assert heard.counted == ["passed_over"] * 4
        assert not runner.close(0.01)
        go.set()
        assert runner.close(5.0)
    assert [seen.moment.pts_s for seen in heard.seen] == [0.0]


class Flaky(Seer):
    """Fails on the frames whose numbers it is given."""

    def __init__(self, bad: Callable[[int], bool]) -> None:
        super().__init__()
        self.bad = bad

    def detect(self, frames: Sequence[Frame]) -> list[tuple[Detection, ...]]:
        if self.bad(frames[0].seq):
            raise ModelError("no such output")
        return super().detect(frames)


def test_five_failures_in_a_row_end_the_trial_with_their_reason(runtime: Runtime) -> None:
    heard = Heard()
    with trial(Flaky(lambda seq: seq >= 5), runtime, heard, ALL) as runner:
        for seq in range(12):
            runner.offer(examined(Seer(), frame(seq)))
            heard.until_counted(min(seq + 1, 10))
        wait_for(lambda: bool(heard.given_up))
        assert heard.given_up == ["it failed on 5 frames in a row: ModelError: no such output"]
        told = runner.compared()
    assert (told.frames, told.failed) == (5, 5)
    assert heard.counted == ["compared"] * 5 + ["failed"] * 5


def test_failures_between_successes_do_not(runtime: Runtime) -> None:
    heard = Heard()
    with trial(Flaky(lambda seq: seq % 5 != 4), runtime, heard, ALL) as runner:
        for seq in range(20):
            runner.offer(examined(Seer(), frame(seq)))
            heard.until_counted(seq + 1)
    assert heard.given_up == []


def test_the_wrong_number_of_answers_is_a_failure(runtime: Runtime) -> None:
    class Mute(Seer):
        def detect(self, frames: Sequence[Frame]) -> list[tuple[Detection, ...]]:
            return super().detect(frames)[1:]

    heard = Heard()
    with trial(Mute(), runtime, heard, ALL) as runner:
        runner.offer(examined(Seer(), frame(0)))
        wait_for(lambda: heard.counted == ["failed"])


def test_one_that_is_told_what_its_gates_found_is_told_that_of_this_frame(runtime: Runtime) -> None:
    class Informed(Seer):
        told: tuple[Found, ...] = ()

        def detect_in(self, frames: Sequence[Frame], found: Sequence[Found]) -> list[tuple[Detection, ...]]:
            self.told += tuple(found)
            return [() for _ in frames]

    informed, heard, face, nothing = Informed(), Heard(), Seer("face"), Seer("body", lambda _: False)
    one = frame(0)
    others = [examined_by(face, one, (face.hit(),)), examined_by(nothing, one, ())]
    others.append(examined_by(Seer("other"), one, (Seer("other").hit(),)))
    with trial(informed, runtime, heard, Terms(share=1.0, gates=("face", "body"))) as runner:
        runner.offer(examined(Seer(), one, others=others))
        wait_for(lambda: len(heard.seen) == 1)
    assert informed.told == ({"face": (face.hit(),)},)


def test_nothing_is_taken_after_the_end(runtime: Runtime) -> None:
    heard = Heard()
    with trial(Seer(), runtime, heard, ALL, start=False) as runner:
        runner.end()
        runner.offer(examined(Seer(), frame(0)))
    assert heard.counted == []
