"""Trials, switches and rollbacks on a real engine with small real models: what runs when, and what is let go."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from streammon.detect.config import DetectConfig
from streammon.detect.parts import Parts
from streammon.detect.registry import build_detectors
from streammon.detect.runtime.runtime import Runtime
from streammon.detect.scheduling.engine import Engine
from streammon.detect.scheduling.request import Cost, Examined, Request, RequestClass, examined_by
from streammon.detect.shadow.report import DetectorModels, ModelFile, Shadow, ShadowAsked, ShadowState
from streammon.detect.shadow.runner import ShadowRunner, Surroundings, Terms
from streammon.entities import Observation
from streammon.errors import DetectorUnknown, ModelError, ModelMissing, ModelUpdateRefused
from streammon.fleet.model_choices import ModelChoices
from streammon.fleet.model_places import Place
from streammon.fleet.model_updates import Around, ModelUpdates
from streammon.fleet.model_workshop import Workshop
from streammon.fleet.tallies import export_models
from tests.tiny_models import LABEL, SEES_GREEN, SEES_NOTHING, SEES_RED, classifier, section
from tests.unit.colours import RED, metrics, value
from tests.unit.colours import frame as coloured
from tests.unit.scheduling import Box, Ear, Seer, frame, request, wait_for


class House:
    """An engine with the detectors flames (a classifier) and qr, and its updates; the test is judge and recorder."""

    def __init__(self, folder: Path) -> None:
        self.metrics = metrics()
        self.recorded: list[tuple[Observation, str]] = []
        self.switches = 0
        self.choices = ModelChoices(folder / "state", folder / "models")
        config = DetectConfig.model_validate(
            {
                "provider": "cpu",
                "custom": {"flames": section(folder / "models" / "calm.onnx")},
                "schedule": {"flames": {"max_seconds": "2s"}},
            }
        )
        self.runtime = Runtime(config, cores=1)
        parts = Parts(weights=Path, label_maps={}, config=config, runtime=self.runtime)
        names = ["flames", "qr"]
        detectors = build_detectors(names, parts, self.choices.files(names, config))
        self.box, self.ear = Box(), Told()
        self.engine = Engine(detectors, {RequestClass.LIVE: self.box}, self.ear, config)
        self.box.wake = self.engine.wake
        self.updates = ModelUpdates(
            parts, self.choices, self.engine, Around(metrics=self.metrics, record=self._record, switched=self._switched)
        )
        self.ear.updates = self.updates
        self.engine.warm_up()
        export_models(self.metrics, self.runtime)
        self.engine.start()
        self.updates.start()
        self._seq = 0

    def show(self) -> None:
        """A red picture comes, and is judged."""
        self._seq += 1
        self.box.put(Request(frame=coloured(RED, time.monotonic(), seq=self._seq)))
        assert self.engine.drain(5)

    def told(self) -> DetectorModels:
        return next(one for one in self.updates.report() if one.detector == "flames")

    def trial(self) -> Shadow:
        shadow = self.told().shadow
        assert shadow is not None
        return shadow

    def try_out(self, file: str, share: float = 1.0) -> Shadow:
        """Puts a file on trial, and waits until that has begun, or failed."""
        self.updates.shadow("flames", ShadowAsked(file=file, share=share))
        wait_for(lambda: self.trial().state is not ShadowState.WARMING_UP)
        return self.trial()

    def seen_by(self) -> str | None:
        """The model that has seen something in the last frame; None where nothing was seen."""
        last = next(one for one in self.ear.heard[-1].observations if one.detector == "flames")
        return last.detections[0].model if last.detections else None

    def open_models(self) -> list[str]:
        return sorted(one.model for one in self.runtime.models())

    def exported(self, name: str) -> bool:
        samples = [one for family in self.metrics.model_info.collect() for one in family.samples]
        return [one.labels["model"] for one in samples] == [name]

    def close(self) -> None:
        self.updates.close()
        self.engine.close()
        self.runtime.close()

    def _record(self, seen: Observation, version: str) -> None:
        self.recorded.append((seen, version))

    def _switched(self) -> None:
        self.switches += 1


class Told(Ear):
    """Passes on what was examined, as the judge does."""

    updates: ModelUpdates

    def examined(self, examined: Examined) -> None:
        super().examined(examined)
        self.updates.judged(examined)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    models = tmp_path / "models"
    (tmp_path / "state").mkdir()
    classifier(models / "calm.onnx", SEES_NOTHING)
    classifier(models / "fires.onnx", SEES_RED)
    classifier(models / "greens.onnx", SEES_GREEN)
    tripled = tuple(tuple(3 * weight for weight in row) for row in SEES_RED)
    classifier(models / "wild.onnx", tripled, most=9.0)
    return tmp_path


@pytest.fixture
def house(folder: Path) -> Iterator[House]:
    before = set(threading.enumerate())
    one = House(folder)
    yield one
    one.close()
    one.updates.close()
    wait_for(lambda: set(threading.enumerate()) <= before)


def test_a_trial_is_compared_and_recorded_and_nobody_judges_by_it(house: House) -> None:
    assert house.try_out("fires.onnx").state is ShadowState.RUNNING
    house.show()
    wait_for(lambda: house.trial().compared.frames == 1)
    told = house.trial()
    assert told.compared.labels[LABEL].only_candidate == 1
    assert house.seen_by() is None
    ((seen, version),) = house.recorded
    assert (seen.detections[0].model, version) == ("fires", f"fires.onnx@{(told.sha256 or '')[:12]}")
    assert house.exported("calm")
    assert value(house.metrics, "streammon_shadow_frames_total", detector="flames", outcome="compared") == 1


def test_switch_and_rollback_change_what_looks_at_the_next_frame_and_are_kept(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    house.try_out("fires.onnx")
    house.updates.switch("flames")
    told = house.told()
    assert (told.models["flames"].file, told.shadow) == ("fires.onnx", None)
    assert told.previous is not None
    assert told.previous["flames"].file == "calm.onnx"
    assert house.choices.read()["flames"]["flames"].file == "fires.onnx"
    house.show()
    assert (house.seen_by(), house.switches, house.exported("fires")) == ("fires", 1, True)
    house.updates.rollback("flames")
    house.show()
    assert (house.seen_by(), house.switches, house.exported("calm")) == (None, 2, True)
    assert house.choices.read() == {}
    wait_for(lambda: house.open_models() == ["calm"])
    assert [record.message.split(":")[1] for record in caplog.records if "by http" in record.message] == [
        " detector flames is switched",
        " detector flames is rolled back",
    ]
    with pytest.raises(ModelUpdateRefused, match="nothing to roll back to"):
        house.updates.rollback("flames")


def test_the_next_house_runs_what_was_switched_to(house: House, folder: Path) -> None:
    house.try_out("fires.onnx")
    house.updates.switch("flames")
    house.close()
    again = House(folder)
    try:
        again.show()
        assert again.seen_by() == "fires"
        assert again.told().models["flames"].configured is False
        assert again.exported("fires")
        assert again.try_out("calm.onnx").state is ShadowState.RUNNING
    finally:
        again.close()


def test_a_new_trial_lets_go_of_what_could_be_rolled_back_to(house: House) -> None:
    house.try_out("fires.onnx")
    house.updates.switch("flames")
    assert house.open_models() == ["calm", "fires"]
    house.try_out("greens.onnx")
    assert house.told().previous is None
    wait_for(lambda: house.open_models() == ["fires", "greens"])
    house.updates.unshadow("flames")
    wait_for(lambda: house.open_models() == ["fires"])
    assert house.exported("fires")


def test_after_a_switch_unshadow_lets_go_too(house: House) -> None:
    house.try_out("fires.onnx")
    house.updates.switch("flames")
    house.updates.unshadow("flames")
    wait_for(lambda: house.open_models() == ["fires"])
    with pytest.raises(ModelUpdateRefused, match="nothing is on trial"):
        house.updates.unshadow("flames")


def test_a_candidate_that_fails_on_live_frames_ends_its_trial(house: House) -> None:
    assert house.try_out("wild.onnx").state is ShadowState.RUNNING
    for shown in range(5):
        house.show()
        wait_for(lambda: house.trial().compared.failed > shown)  # noqa: B023
    wait_for(lambda: house.trial().state is ShadowState.FAILED)
    told = house.trial()
    assert "it failed on 5 frames in a row: ModelError: detect.custom.flames" in (told.why or "")
    assert told.compared.failed == 5
    wait_for(lambda: house.open_models() == ["calm"])
    with pytest.raises(ModelUpdateRefused, match=r"wild\.onnx cannot be switched to: it failed on 5 frames"):
        house.updates.switch("flames")
    assert house.try_out("fires.onnx").state is ShadowState.RUNNING  # one that failed is not in the way


def test_one_that_has_just_failed_is_not_switched_to(house: House) -> None:
    house.try_out("wild.onnx")
    busy = threading.Event()
    house.updates._workshop.do(lambda: wait_for(busy.is_set))
    for shown in range(5):
        house.show()
        wait_for(lambda: house.trial().compared.failed > shown)  # noqa: B023
    assert house.trial().state is ShadowState.RUNNING
    with pytest.raises(ModelUpdateRefused, match=r"wild\.onnx cannot be switched to: it failed on 5 frames"):
        house.updates.switch("flames")
    busy.set()
    assert house.trial().state is ShadowState.FAILED
    wait_for(lambda: house.open_models() == ["calm"])


def test_a_choice_that_cannot_be_kept_switches_nothing(house: House, folder: Path) -> None:
    house.try_out("fires.onnx")
    (folder / "state" / ".models.json.partial").mkdir()
    with pytest.raises(ModelError, match=r"models\.json cannot be written: .*; nothing was changed"):
        house.updates.switch("flames")
    assert house.trial().state is ShadowState.FAILED
    house.show()
    assert (house.seen_by(), house.told().previous) == (None, None)


def test_what_is_asked_wrongly_is_told(house: House) -> None:
    ask = house.updates.shadow
    with pytest.raises(DetectorUnknown, match="no detector 'faces' runs here; there are flames, qr"):
        ask("faces", ShadowAsked(file="fires.onnx"))
    with pytest.raises(ModelUpdateRefused, match="detector qr has no model"):
        ask("qr", ShadowAsked(file="fires.onnx"))
    with pytest.raises(ModelError, match="has no model 'rec'; it has flames"):
        ask("flames", ShadowAsked(file="fires.onnx", model="rec"))
    with pytest.raises(ModelMissing, match=r"'none\.onnx' is not in"):
        ask("flames", ShadowAsked(file="none.onnx"))
    for share in (0.0, -1.0, 1.01, float("nan")):
        with pytest.raises(ModelError, match="share should be above 0"):
            ask("flames", ShadowAsked(file="fires.onnx", share=share))
    with pytest.raises(ModelError, match="64 hexadecimal digits"):
        ask("flames", ShadowAsked(file="fires.onnx", sha256="F" * 64))
    assert house.told().shadow is None


def test_a_trial_must_be_ended_before_another_and_may_be_while_it_warms_up(house: House) -> None:
    house.updates.shadow("flames", ShadowAsked(file="fires.onnx"))
    with pytest.raises(ModelUpdateRefused, match=r"fires\.onnx is on trial for detector flames; end that first"):
        house.updates.shadow("flames", ShadowAsked(file="greens.onnx"))
    house.updates.unshadow("flames")
    house.updates.shadow("flames", ShadowAsked(file="greens.onnx"))
    wait_for(lambda: house.trial().state is ShadowState.RUNNING)
    assert (house.trial().file, house.open_models()) == ("greens.onnx", ["calm", "greens"])


def test_nothing_is_asked_of_one_that_is_closed(house: House) -> None:
    house.updates.close()
    with pytest.raises(ModelUpdateRefused, match="starting or stopping"):
        house.updates.switch("flames")
    assert house.updates.report() == []


def test_closing_lets_go_of_what_could_be_rolled_back_to(house: House) -> None:
    """They may have more than a model, such as a thread that looks at lists: closing the runtime does not do."""
    house.try_out("fires.onnx")
    house.updates.switch("flames")
    house.updates.close()
    assert house.open_models() == ["fires"]


def test_closing_lets_go_of_what_waits_to_be_let_go_and_builds_nothing_more(house: House) -> None:
    house.try_out("fires.onnx")
    busy = threading.Event()
    house.updates._workshop.do(lambda: wait_for(busy.is_set))
    house.updates.unshadow("flames")
    house.updates.shadow("flames", ShadowAsked(file="greens.onnx"))  # it does not come to be built any more
    closing = threading.Thread(target=house.updates.close)
    closing.start()
    wait_for(lambda: house.updates.report() == [])
    busy.set()
    closing.join(10)
    assert house.open_models() == ["calm"]


def test_closing_lets_go_of_what_is_on_trial(house: House) -> None:
    house.try_out("fires.onnx")
    house.updates.close()
    assert house.open_models() == ["calm"]


def test_a_detector_with_several_models_wants_one_named() -> None:
    models = {name: ModelFile(file=f"{name}.onnx") for name in ("det", "rec")}
    place = Place(name="ocr", models=models, chosen={})
    with pytest.raises(ModelError, match="has several models; say which: det, rec"):
        place.model(None)
    assert place.model("rec") == "rec"


@pytest.mark.parametrize("by", ["the engine", "its trial"])
def test_a_model_is_let_go_only_when_nobody_looks_with_it(house: House, by: str) -> None:
    go, seer = threading.Event(), Seer(finds=lambda _: go.wait(5))
    parts = Parts(weights=Path, label_maps={}, config=DetectConfig(), runtime=house.runtime)
    workshop = Workshop(parts, lambda _: by == "the engine" and not go.is_set())
    around = Surroundings(
        runtime=house.runtime, saturation=float, seen=lambda _: None, counted=lambda _: None, given_up=lambda _: None
    )
    runner = ShadowRunner(seer, Terms(share=1.0), around)
    runner.start()
    if by == "its trial":
        looked = examined_by(seer, frame(), ())
        runner.offer(Examined(request=request(), observations=(looked,), cost={seer.name: Cost()}))
        wait_for(lambda: seer.running == 1)
    later = threading.Event()
    workshop.start()
    workshop.let_go(seer, runner if by == "its trial" else None)
    workshop.do(later.set)
    assert not later.wait(0.2)
    assert [seer.closed] == [False]
    go.set()
    assert later.wait(5)
    assert seer.closed
    assert workshop.close()
    assert runner.close(5)


def test_faults_of_ours_cost_no_other_job(house: House, caplog: pytest.LogCaptureFixture) -> None:
    def faulty() -> None:
        raise ZeroDivisionError

    house.updates._workshop.do(faulty)
    assert house.try_out("fires.onnx").state is ShadowState.RUNNING
    assert [record.levelno for record in caplog.records if "fault of our own" in record.message] == [logging.ERROR]
