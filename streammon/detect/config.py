"""What an operator may set about the detectors. Imports none of them, so that a file is checked without a runtime."""

from __future__ import annotations

from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from streammon.config import FilePath, Seconds, Section
from streammon.detect.codes.config import QrConfig
from streammon.detect.custom.config import CustomName, CustomSection, Objects365Config
from streammon.detect.faces.config import FacesConfig
from streammon.detect.hands.config import GestureConfig
from streammon.detect.nsfw.config import NsfwConfig, NudityConfig
from streammon.detect.objects.config import ObjectsConfig
from streammon.detect.pictures.config import PicturesConfig
from streammon.detect.plugins import read_options
from streammon.detect.prompts.config import PromptsConfig
from streammon.detect.scenes.config import ScenesConfig
from streammon.detect.text.config import OcrConfig


class DetectorSchedule(Section):
    """When one detector looks at a room's frames, and how long it may take."""

    every: Seconds = Field(default=0.0, ge=0, description="seconds of video between looks at one room; 0: every frame")
    only_if: tuple[str, ...] = Field(
        default=(), description="detectors of which one must have found something in the same frame"
    )
    max_seconds: Seconds = Field(default=10.0, gt=0, description="a run that takes longer is ended, and has failed")
    max_batch: int | None = Field(default=None, ge=1, le=256, description="frames per run; the detector's own if null")
    parallel: int | None = Field(default=None, ge=1, le=64, description="runs at once; the detector's own if null")


class EngineConfig(Section):
    """How the engine shares the machine among frames, and what it does about detectors that fail."""

    workers: int | None = Field(default=None, ge=1, le=256, description="threads; usable cores + 1 if null")
    max_in_flight: int | None = Field(
        default=None,
        ge=1,
        le=4096,
        description="frames inside at once; if null two of the largest batches, or one per worker",
    )
    max_wait: Seconds = Field(default=0.05, ge=0, description="after this a batch that is not full goes before others")
    review_share: float = Field(default=0.1, gt=0, lt=1, description="of the work, for reviews while live rooms wait")
    max_failures: int = Field(default=10, ge=1, description="failed frames within the window that disable a detector")
    failure_window: Seconds = Field(default=60.0, gt=0)
    disabled_for: Seconds = Field(default=60.0, gt=0, description="doubles each time, up to the longest")
    disabled_at_most: Seconds = Field(default=600.0, gt=0)
    max_given_up: int = Field(default=4, ge=0, description="hung threads to bear; with one more the engine ends")


def _check_gates(schedule: Mapping[str, DetectorSchedule]) -> Mapping[str, DetectorSchedule]:
    try:
        TopologicalSorter({name: set(one.only_if) for name, one in schedule.items()}).prepare()
    except CycleError as error:
        # From a gate to what waits for it; told the other way round, as `only_if` reads.
        raise ValueError(f"only_if forms a circle: {' → '.join(reversed(error.args[1]))}") from error
    return schedule


class ReuseConfig(Section):
    """Where a picture is as it was when a detector last looked at it, the detector need not look again."""

    enabled: bool = Field(default=True, description="if not, every sample is examined anew")
    max_seconds: Seconds = Field(default=10.0, gt=0, le=60, description="a still picture is examined this often")
    detectors: tuple[str, ...] | None = Field(default=None, description="those that may reuse; all if null")
    parts: bool = Field(default=True, description="where a part has changed, one that sees nothing there need not look")


Provider = Literal["auto", "cpu", "openvino", "cuda", "tensorrt"]


class ModelPlace(Section):
    """What one model runs on."""

    provider: Provider | None = Field(default=None, description="as all models if null")
    threads: int | None = Field(default=None, ge=1, le=256, description="CPU threads of one run; as all models if null")


class RuntimeConfig(Section):
    """How models share what they run on."""

    concurrency: int | None = Field(
        default=None, ge=1, le=256, description="runs at once; if null all cores' worth on cpu, 1 on openvino, 2 on GPU"
    )
    device: int = Field(default=0, ge=0, le=63, description="the number of the GPU")
    gpu_memory_mb: int | None = Field(default=None, ge=64, description="each model may take so much; no limit if null")
    cache: bool = Field(default=True, description="keep on disk what providers compile, for the next start")


class DetectConfig(Section):
    """All detectors, and what their models run on."""

    provider: Provider = Field(
        default="auto", description="auto takes the fastest of cuda, openvino, cpu; one asked for by name must work"
    )
    threads: int | None = Field(
        default=None, ge=1, le=256, description="CPU threads of one run; if null 1 on cpu, all usable cores on openvino"
    )
    models: Mapping[str, ModelPlace] = Field(
        default_factory=dict, description="by model, what it runs on where that differs from the others"
    )
    runtime: RuntimeConfig = RuntimeConfig()
    library: FilePath = Field(default=Path("library"), description="the folder of the lists of faces and pictures")
    nsfw: NsfwConfig = NsfwConfig()
    nudity: NudityConfig = NudityConfig()
    qr: QrConfig = QrConfig()
    ocr: OcrConfig = OcrConfig()
    objects: ObjectsConfig = ObjectsConfig()
    scenes: ScenesConfig = ScenesConfig()
    gesture: GestureConfig = GestureConfig()
    objects365: Objects365Config = Objects365Config()
    prompts: PromptsConfig = PromptsConfig()
    pictures: PicturesConfig = PicturesConfig()
    faces: FacesConfig = FacesConfig()
    reuse: ReuseConfig = ReuseConfig()
    schedule: Annotated[Mapping[str, DetectorSchedule], AfterValidator(_check_gates)] = Field(
        default_factory=dict, description="by detector"
    )
    engine: EngineConfig = EngineConfig()
    options: Annotated[Mapping[str, Any], AfterValidator(read_options)] = Field(
        default_factory=dict, description="by name, the sections of the detectors that other packages bring"
    )
    custom: Mapping[CustomName, CustomSection] = Field(
        default_factory=dict, description="by a name to list under `detectors`, models of your own"
    )
