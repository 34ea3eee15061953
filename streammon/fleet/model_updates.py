"""New versions of models, while the monitor runs: on trial beside the current ones, switched to, rolled back.

Asked by HTTP, on any thread; frames come on the judge's. Models are opened and closed on the workshop's thread.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Lock

from streammon.detect.config import DetectorSchedule
from streammon.detect.detector import Detector
from streammon.detect.parts import Parts
from streammon.detect.registry import models_of
from streammon.detect.scheduling.engine import Engine
from streammon.detect.scheduling.request import Examined
from streammon.detect.shadow.report import DetectorModels, ModelFile, ShadowAsked, ShadowState
from streammon.detect.shadow.runner import ShadowRunner, Surroundings, Terms
from streammon.entities import Observation
from streammon.errors import DetectorUnknown, ModelError, ModelUpdateRefused
from streammon.fleet.model_choices import Chosen, ModelChoices
from streammon.fleet.model_places import Place, Trial, check_asked
from streammon.fleet.model_workshop import Workshop
from streammon.fleet.tallies import export_models
from streammon.metrics import Metrics
from streammon.models.manifest import sha256_of

_log = logging.getLogger(__name__)

# Beyond what a look may take, since the runtime ends it only between a graph's nodes.
_SLACK_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What is told of it all: `record` of each look of a model on trial, with its version; `switched` as soon as frames
    are shown to another model.
    """

    metrics: Metrics
    record: Callable[[Observation, str], None]
    switched: Callable[[], None]


class ModelUpdates:
    """All detectors of one engine. `choices` are kept, so that the next start runs what was switched to."""

    def __init__(self, parts: Parts, choices: ModelChoices, engine: Engine, around: Around) -> None:
        self._parts = parts
        self._choices = choices
        self._engine = engine
        self._around = around
        self._lock = Lock()
        self._places: dict[str, Place] = {}
        self._runners: Mapping[str, ShadowRunner] = {}
        self._unmanaged: set[tuple[str, str]] = set()
        self._workshop = Workshop(parts, engine.in_use)

    def start(self) -> None:
        """From now on it can be asked. Reads the files of the models that run, for their sha256."""
        kept = self._choices.read()
        with self._lock:
            for detector in self._engine.detectors:
                chosen = kept.get(detector.name, {})
                self._places[detector.name] = Place(
                    name=detector.name, models=self._configured(detector.name, chosen), chosen=chosen
                )
                for model, one in chosen.items():
                    _log.warning(
                        "detector %s runs %s for %s, by %s", detector.name, one.file, model, self._choices.path
                    )
            open_now = {(one.model, one.sha256) for one in self._parts.runtime.models()}
            self._unmanaged = open_now - self._running()
        self._workshop.start()

    def close(self) -> None:
        """Ends all trials, and lets go of what is open beside the engine's detectors. May be called twice."""
        with self._lock:
            places, self._places = self._places, {}
            runners, self._runners = self._runners, {}
        for runner in runners.values():
            runner.end()
        self._workshop.close()
        for runner in runners.values():
            runner.close(_SLACK_S)
        for detector in (one for place in places.values() for one in place.beside()):
            if not self._engine.in_use(detector):
                detector.close()

    def judged(self, examined: Examined) -> None:
        """A frame has been judged. On the judge's thread; never waits."""
        for runner in self._runners.values():
            runner.offer(examined)

    def report(self) -> Sequence[DetectorModels]:
        """What each detector runs, and what is on trial."""
        with self._lock:
            return [place.told() for place in self._places.values()]

    def shadow(self, name: str, asked: ShadowAsked) -> None:
        """Begins a trial, which the report then tells of; what could be rolled back to at once is let go.

        Raises DetectorUnknown, ModelMissing where the file is not there, ModelUpdateRefused where another is on trial,
        and ModelError for what is asked wrongly.
        """
        with self._lock:
            place = self._place(name)
            model = place.model(asked.model)
            check_asked(asked)
            path = self._choices.place(asked.file)
            place.check_free()
            self._let_go_of_previous(place)
            place.trial = Trial(asked=asked, model=model, path=path)
            self._workshop.do(partial(self._make, place, place.trial))
        _log.info("by http: %s is going to be on trial for %s of detector %s", asked.file, model, name)

    def unshadow(self, name: str) -> None:
        """Ends a trial; after a switch, lets go of the model before.

        Raises DetectorUnknown, and ModelUpdateRefused where there is neither.
        """
        with self._lock:
            place = self._place(name)
            if place.trial is None and place.previous is None:
                raise ModelUpdateRefused(f"nothing is on trial for detector {name}")
            trial, place.trial = place.trial, None
            self._let_go_of_previous(place)
            if trial is not None:
                self._end(trial)
        _log.info("by http: nothing is on trial for detector %s any more", name)

    def switch(self, name: str) -> None:
        """The model on trial becomes the current one, from the next batch on; the one before stays open.

        Raises DetectorUnknown, ModelUpdateRefused where none is on trial or it does not run, ModelError where the
        choice cannot be kept.
        """
        with self._lock:
            place = self._place(name)
            trial, candidate, runner = place.ready()
            chosen, before = place.chosen_with(trial), place.chosen
            try:
                # One thread of its trial must not be in it while others show it the next frames.
                if not runner.close(self._schedule(name).max_seconds + _SLACK_S):
                    raise ModelUpdateRefused(f"{trial.asked.file} cannot be switched to: it hangs in a frame")
                if runner.failure is not None:  # a moment ago, and the workshop has not come to it
                    raise ModelUpdateRefused(f"{trial.asked.file} cannot be switched to: {runner.failure}")
                self._choices.write(name, chosen)
            except ModelError as error:
                self._fail(trial, str(error))
                raise
            trial.release()
            place.trial = None
            place.previous = (self._put(place, candidate, chosen, "switched"), before)

    def rollback(self, name: str) -> None:
        """The model before the last switch is the current one again, at once.

        Raises DetectorUnknown, ModelUpdateRefused where it is not open, ModelError where the choice cannot be kept.
        """
        with self._lock:
            place = self._place(name)
            if place.previous is None:
                raise ModelUpdateRefused(
                    f"nothing to roll back to: no model of detector {name} has been switched since the monitor was "
                    f"started, or the one before was let go. Stop it and run `streammon models rollback {name} "
                    f"--offline {self._choices.path.parent}` for the configured model, or put another on trial"
                )
            detector, chosen = place.previous
            self._choices.write(name, chosen)
            place.previous = None
            self._workshop.let_go(self._put(place, detector, chosen, "rolled back"))

    def _place(self, name: str) -> Place:
        if not self._places:
            raise ModelUpdateRefused("the monitor is starting or stopping; try again")
        if name not in self._places:
            raise DetectorUnknown(f"no detector {name!r} runs here; there are {', '.join(self._places)}")
        return self._places[name]

    def _schedule(self, name: str) -> DetectorSchedule:
        return self._parts.config.schedule.get(name, DetectorSchedule())

    def _configured(self, name: str, chosen: Chosen) -> dict[str, ModelFile]:
        """The detector's models as they run if nothing is chosen; where something is, no file need be there."""
        custom = self._parts.config.custom.get(name)
        files = {}
        for model in models_of(name, self._parts.config):
            if model in chosen:
                file = f"{model}.onnx" if custom is None else custom.file.name
                files[model] = ModelFile(file=file, configured=True)
            else:
                path = self._parts.weights(model) if custom is None else custom.file
                files[model] = ModelFile(file=path.name, sha256=sha256_of(path), configured=True)
        return files

    def _make(self, place: Place, trial: Trial) -> None:
        """A job: has the candidate built, and its trial begun."""
        if place.trial is not trial or not self._places:  # it was ended before its turn
            return
        try:
            trial.sha256 = place.verified_sha256(trial)
            files = {model: self._choices.place(one.file) for model, one in place.chosen.items()}
            candidate = self._workshop.built(place.name, {**files, trial.model: trial.path})
        except Exception as error:  # noqa: BLE001 - whatever a file leads to, the trial has failed and no more
            why = str(error) if isinstance(error, ModelError) else f"{type(error).__name__}: {error}"
            with self._lock:
                self._fail(trial, why)
            return
        with self._lock:
            wanted = place.trial is trial and bool(self._places)
            if wanted:
                self._begin(place.name, trial, candidate)
        if not wanted:
            candidate.close()

    def _begin(self, name: str, trial: Trial, candidate: Detector) -> None:
        schedule, frames, version = self._schedule(name), self._around.metrics.shadow_frames, trial.version
        around = Surroundings(
            runtime=self._parts.runtime,
            saturation=self._engine.saturation,
            seen=lambda observation: self._around.record(observation, version),
            counted=lambda outcome: frames.labels(name, outcome).inc(),
            given_up=lambda why: self._workshop.do(lambda: self._give_up(trial, why)),
        )
        terms = Terms(share=trial.asked.share, gates=schedule.only_if, max_seconds=schedule.max_seconds)
        trial.candidate, trial.runner = candidate, ShadowRunner(candidate, terms, around)
        trial.state = ShadowState.RUNNING
        self._refresh()
        trial.runner.start()
        _log.info("%s (sha256 %s) is on trial for detector %s", trial.asked.file, trial.sha256, name)

    def _give_up(self, trial: Trial, why: str) -> None:
        with self._lock:
            if trial.runner is not None and self._places:
                self._fail(trial, why)

    def _fail(self, trial: Trial, why: str) -> None:
        trial.fail(why)
        self._end(trial)
        _log.error("the trial of %s has failed: %s", trial.asked.file, why)

    def _end(self, trial: Trial) -> None:
        """Lets go of its model."""
        candidate, runner = trial.release()
        self._refresh()
        if runner is not None:
            runner.end()
        if candidate is not None:
            self._workshop.let_go(candidate, runner)

    def _let_go_of_previous(self, place: Place) -> None:
        if place.previous is not None:
            self._workshop.let_go(place.previous[0])
            place.previous = None

    def _put(self, place: Place, detector: Detector, chosen: Chosen, what: str) -> Detector:
        """The detector is the current one from now on. Returns the one before."""
        old, new = place.running(place.chosen), place.running(chosen)
        before = self._engine.replace(place.name, detector)
        self._around.switched()
        place.chosen = chosen
        self._refresh()
        export_models(self._around.metrics, self._parts.runtime, self._running() | self._unmanaged)
        for model, file in new.items():
            if file != old[model]:
                args = (place.name, what, model, old[model].file, old[model].sha256, file.file, file.sha256)
                _log.warning("by http: detector %s is %s: %s from %s (sha256 %s) to %s (sha256 %s)", *args)
        return before

    def _refresh(self) -> None:
        """The judge's thread reads this without the lock, so it is made anew."""
        trials = {name: place.trial for name, place in self._places.items() if place.trial is not None}
        self._runners = {name: trial.runner for name, trial in trials.items() if trial.runner is not None}

    def _running(self) -> set[tuple[str, str]]:
        """The models that observations come from, by name and sha256: others are open as well."""
        files = [one for place in self._places.values() for one in place.running(place.chosen).values()]
        return {(Path(one.file).stem, one.sha256) for one in files if one.sha256 is not None}
