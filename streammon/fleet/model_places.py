"""What is known of each detector's models, and of the file that is on trial for one of them. Its owner has the lock."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from streammon.detect.detector import Detector
from streammon.detect.shadow.report import Compared, DetectorModels, ModelFile, Shadow, ShadowAsked, ShadowState
from streammon.detect.shadow.runner import ShadowRunner
from streammon.errors import ModelCorrupt, ModelError, ModelUpdateRefused
from streammon.fleet.model_choices import Chosen, ChosenFile
from streammon.models.manifest import sha256_of


@dataclass(slots=True, kw_only=True, eq=False)
class Trial:
    """`sha256` is None until the file was read; `candidate` and `runner` are there while the trial runs."""

    asked: ShadowAsked
    model: str
    path: Path
    state: ShadowState = ShadowState.WARMING_UP
    why: str | None = None
    sha256: str | None = None
    candidate: Detector | None = None
    runner: ShadowRunner | None = None
    last: Compared = field(default_factory=Compared)

    @property
    def version(self) -> str:
        """What recorded looks name it by."""
        return f"{self.asked.file}@{(self.sha256 or '')[:12]}"

    def told(self) -> Shadow:
        """What is told of it."""
        return Shadow(
            model=self.model,
            file=self.asked.file,
            share=self.asked.share,
            state=self.state,
            sha256=self.sha256,
            why=self.why,
            compared=self.last if self.runner is None else self.runner.compared(),
        )

    def fail(self, why: str) -> None:
        """It has come to nothing."""
        self.state, self.why = ShadowState.FAILED, why

    def release(self) -> tuple[Detector | None, ShadowRunner | None]:
        """It ends: what is to be let go. What it came to is kept."""
        self.last = self.told().compared
        released = self.candidate, self.runner
        self.candidate = self.runner = None
        return released


@dataclass(slots=True, kw_only=True, eq=False)
class Place:
    """One detector's: `models` as they are configured, what is `chosen` in place of some, what is on `trial`.

    `previous` is the detector before the last switch, and what was chosen then.
    """

    name: str
    models: Mapping[str, ModelFile]
    chosen: Chosen
    trial: Trial | None = None
    previous: tuple[Detector, Chosen] | None = None

    def running(self, chosen: Chosen) -> dict[str, ModelFile]:
        """The files of its models, were this chosen."""
        picked = {model: ModelFile(file=one.file, sha256=one.sha256) for model, one in chosen.items()}
        return {**self.models, **picked}

    def told(self) -> DetectorModels:
        """What is told of it."""
        return DetectorModels(
            detector=self.name,
            models=self.running(self.chosen),
            shadow=None if self.trial is None else self.trial.told(),
            previous=None if self.previous is None else self.running(self.previous[1]),
        )

    def beside(self) -> list[Detector]:
        """What is open and is not the current one; a candidate whose trial hangs in a frame is in use."""
        detectors = [] if self.previous is None else [self.previous[0]]
        trial = self.trial
        if trial is not None and trial.candidate is not None and trial.runner is not None and trial.runner.close(0.0):
            detectors.append(trial.candidate)
        return detectors

    def model(self, asked: str | None) -> str:
        """The model that a trial is for. Raises ModelUpdateRefused where there is none, ModelError where not this."""
        if not self.models:
            raise ModelUpdateRefused(f"detector {self.name} has no model that another file could stand in for")
        if asked is None and len(self.models) > 1:
            raise ModelError(f"detector {self.name} has several models; say which: {', '.join(self.models)}")
        model = asked if asked is not None else next(iter(self.models))
        if model not in self.models:
            raise ModelError(f"detector {self.name} has no model {model!r}; it has {', '.join(self.models)}")
        return model

    def check_free(self) -> None:
        """Raises ModelUpdateRefused where something is on trial."""
        if self.trial is not None and self.trial.state is not ShadowState.FAILED:
            raise ModelUpdateRefused(
                f"{self.trial.asked.file} is on trial for detector {self.name}; end that first: "
                f"`streammon models unshadow {self.name}`"
            )

    def ready(self) -> tuple[Trial, Detector, ShadowRunner]:
        """The trial that runs, its candidate and its runner. Raises ModelUpdateRefused where there is none."""
        trial = self.trial
        if trial is None:
            raise ModelUpdateRefused(
                f"nothing is on trial for detector {self.name}: `streammon models shadow` begins it"
            )
        if trial.candidate is None or trial.runner is None:
            raise ModelUpdateRefused(f"{trial.asked.file} cannot be switched to: {trial.why or 'it is warming up'}")
        return trial, trial.candidate, trial.runner

    def chosen_with(self, trial: Trial) -> Chosen:
        """What is chosen once it is switched to."""
        return {**self.chosen, trial.model: ChosenFile(file=trial.asked.file, sha256=trial.sha256 or "")}

    def verified_sha256(self, trial: Trial) -> str:
        """The file's; reads it. Raises ModelCorrupt where it is not what was asked for, ModelUpdateRefused where it is
        what runs, OSError where it cannot be read.
        """
        found = sha256_of(trial.path)
        if trial.asked.sha256 not in {None, found}:
            raise ModelCorrupt(f"{trial.asked.file} has the sha256 {found}, not {trial.asked.sha256}")
        if found == self.running(self.chosen)[trial.model].sha256:
            raise ModelUpdateRefused(f"{trial.asked.file} is what {trial.model} runs already")
        return found


def check_asked(asked: ShadowAsked) -> None:
    """Raises ModelError for what no trial can have."""
    if not 0 < asked.share <= 1:
        raise ModelError(f"share should be above 0 and at most 1, not {asked.share:g}")
    if asked.sha256 is not None and re.fullmatch("[0-9a-f]{64}", asked.sha256) is None:
        raise ModelError("sha256 should be 64 hexadecimal digits in lower case")
