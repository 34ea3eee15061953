"""What an operator may set about the detectors. Imports none of them, so that a file is checked without a runtime."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from importlib.metadata import EntryPoint, entry_points
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainValidator,
    ValidationError,
    ValidationInfo,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from streammon.config import FilePath, Seconds, Section
from streammon.detect.detector import Detector
from streammon.taxonomy import load_taxonomy


class NsfwConfig(Section):
    """The classifier of pornography."""

    min_score: float = Field(
        default=0.05, ge=0, le=1, description="lower probabilities are not reported; keep it under every threshold"
    )


CodeFormat = Literal["qr", "micro_qr", "data_matrix", "aztec", "pdf417"]


class QrConfig(Section):
    """The reader of QR and other two-dimensional codes."""

    formats: tuple[CodeFormat, ...] = Field(
        default=("qr",), min_length=1, description="what is read; each more costs time, docs/accuracy.md has how much"
    )
    second_try: bool = Field(default=True, description="codes that were found and did not decode are looked at again")
    max_codes: int = Field(default=32, ge=1, le=255, description="codes reported per frame")
    max_payload_chars: int = Field(default=512, ge=64, le=4296, description="longer payloads are cut and marked")


class OcrConfig(Section):
    """The reader of text."""

    max_lines: int = Field(default=64, ge=1, le=256, description="lines read per frame, the surest first")
    min_score: float = Field(default=0.5, ge=0, le=1, description="lines read less surely are not reported")


def _known_label(name: str) -> str:
    known = load_taxonomy().labels
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
        nearest = f"; the nearest is {near[0]}" if near else ""
        raise ValueError(f"is no label of the taxonomy{nearest}; `streammon labels` lists them")
    return name


def _square(value: object) -> object:
    return (value, value) if isinstance(value, int) else value


def _per_channel(value: object) -> object:
    return (value, value, value) if isinstance(value, (int, float)) else value


def _names_no_class_twice(names: tuple[str, ...]) -> tuple[str, ...]:
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"names {twice[0]!r} twice")
    return names


TaxonomyLabel = Annotated[str, AfterValidator(_known_label)]
Score = Annotated[float, Field(ge=0, le=1)]
SidePx = Annotated[int, Field(ge=8, le=4096)]
PerChannel = Annotated[tuple[float, float, float], BeforeValidator(_per_channel)]
Deviation = Annotated[
    tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]],
    BeforeValidator(_per_channel),
]
ClassNames = Annotated[tuple[str, ...], Field(min_length=1), AfterValidator(_names_no_class_twice)]


class CustomInput(Section):
    """How a picture (0..255) becomes a model's input: resized, then `(x * scale - mean) / std`.

    The numbers stand in the order of the model's colours. An input of uint8 takes the picture as it is.
    """

    size: Annotated[tuple[SidePx, SidePx], BeforeValidator(_square)] | None = Field(
        default=None, description="height and width in pixels, or one number; null takes the graph's"
    )
    layout: Literal["nchw", "nhwc"] | None = Field(default=None, description="null takes the graph's")
    colour: Literal["rgb", "bgr"] = "rgb"
    resize: Literal["letterbox", "stretch", "centre_crop"] | None = Field(
        default=None, description="null is letterbox for yolo, stretch for the others"
    )
    interpolation: Literal["linear", "area", "cubic"] | None = Field(
        default=None, description="null is linear for yolo, area for the others"
    )
    pad: int = Field(default=114, ge=0, le=255, description="the grey around a letterboxed picture")
    scale: float = Field(default=1 / 255, gt=0)
    mean: PerChannel = (0.0, 0.0, 0.0)
    std: Deviation = (1.0, 1.0, 1.0)


class CustomModel(Section):
    """An operator's own ONNX file: where it is, what it is shown, what its classes are called and mean."""

    file: FilePath
    sha256: str | None = Field(default=None, pattern="^[0-9a-f]{64}$", description="the file must have it, if set")
    input: CustomInput = CustomInput()
    labels: ClassNames | None = Field(default=None, description="the classes in the model's order")
    labels_file: FilePath | None = Field(default=None, description="the same, a class per line")
    map: Mapping[str, TaxonomyLabel] = Field(min_length=1, description="class: label; the other classes raise nothing")
    min_score: Score = Field(default=0.25, description="what is less likely is not reported")
    thresholds: Mapping[str, Score] = Field(default_factory=dict, description="class: its own `min_score`")
    max_batch: int | None = Field(
        default=None, ge=1, le=64, description="frames per run, where the graph does not fix it; what pays if null"
    )

    @model_validator(mode="after")
    def _labels_come_from_one_place(self) -> CustomModel:
        if self.labels is not None and self.labels_file is not None:
            raise ValueError("has both `labels` and `labels_file`; keep one")
        return self


class CustomClassifier(CustomModel):
    """One output, N x classes, about the whole picture."""

    kind: Literal["classifier"]
    activation: Literal["auto", "softmax", "sigmoid", "none"] = Field(
        default="auto", description="auto: none where the graph ends in one, else softmax"
    )


class CustomYolo(CustomModel):
    """Boxes as YOLO's exporters write them; see `streammon.detect.custom.heads` for the heads."""

    kind: Literal["yolo"]
    head: Literal["auto", "v5", "v8", "end_to_end", "flat_nms", "efficient_nms"] = "auto"
    activation: Literal["sigmoid", "none"] = Field(default="none", description="what its scores still need")
    box_units: Literal["pixels", "fractions"] = Field(default="pixels", description="of the input picture")
    nms_iou: float = Field(default=0.45, gt=0, le=1, description="boxes of a class that overlap more are one")
    max_boxes: int = Field(default=100, ge=1, le=1000, description="reported per frame, the surest first")


class CustomDetr(CustomModel):
    """Logits, N x queries x classes, and boxes, N x queries x 4: centre and size as fractions of the input."""

    kind: Literal["detr"]
    activation: Literal["auto", "softmax", "sigmoid"] = Field(
        default="auto", description="auto: softmax where there is one class more than `labels`, else sigmoid"
    )
    background: Literal["first", "last"] | None = Field(
        default=None, description="where the class for nothing stands; null: last with softmax, none with sigmoid"
    )
    max_boxes: int = Field(default=100, ge=1, le=1000, description="reported per frame, the surest first")


class _Kind(Section):
    kind: Literal["classifier", "yolo", "detr"]


CustomConfig = CustomClassifier | CustomYolo | CustomDetr
_CUSTOM: Mapping[object, type[CustomClassifier | CustomYolo | CustomDetr]] = {
    "classifier": CustomClassifier,
    "yolo": CustomYolo,
    "detr": CustomDetr,
}


def _by_kind(value: object, info: ValidationInfo) -> object:
    """A union by `kind` would put the kind into the path of every fault, where the file has no such key."""
    if isinstance(value, CustomModel):
        return value
    kind = value.get("kind") if isinstance(value, dict) else None
    if not isinstance(value, dict):
        return _Kind.model_validate(value)
    if not isinstance(kind, str) or kind not in _CUSTOM:
        return _Kind.model_validate({key: given for key, given in value.items() if key == "kind"})
    return _CUSTOM[kind].model_validate(value, context=info.context)


CustomName = Annotated[str, Field(pattern="^[a-z][a-z0-9_-]{0,39}$")]
CustomSection = Annotated[CustomConfig, PlainValidator(_by_kind)]


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorKind:
    """What an entry point of `streammon.detectors` names: a detector's section, and what builds it.

    `build` is called with the section, as it was configured under `detect.options`, and the registry's `Parts`.
    """

    config: type[Section]
    build: Callable[[Any, Any], Detector]


def installed_detectors() -> Mapping[str, EntryPoint]:
    """The detectors that other packages bring, by name. Raises ValueError where two bring one of the same name."""
    found: dict[str, EntryPoint] = {}
    for point in entry_points(group="streammon.detectors"):
        if point.name in found:
            raise ValueError(f"two packages bring a detector {point.name!r}: {found[point.name].value}, {point.value}")
        found[point.name] = point
    return found


def load_detector(point: EntryPoint) -> DetectorKind:
    """Imports the package. Raises ValueError where that fails, or it names something else."""
    try:
        kind = point.load()
    except (ImportError, AttributeError) as error:
        raise ValueError(f"detector {point.name!r} does not load: {error}") from error
    if not isinstance(kind, DetectorKind):
        raise ValueError(f"detector {point.name!r}: {point.value} is no DetectorKind")  # noqa: TRY004
    return kind


Fault = tuple[tuple[str | int, ...], str, str, object]


def located(faults: Iterable[Fault]) -> ValidationError:
    """An error that a validator may raise for faults deeper down: their keys from there, type, message and value."""
    details = [
        InitErrorDetails(type=PydanticCustomError(kind, "{reason}", {"reason": reason}), loc=keys, input=value)
        for keys, kind, reason, value in faults
    ]
    return ValidationError.from_exception_data("detectors", details)


def _options(sections: Mapping[str, Any], info: ValidationInfo) -> Mapping[str, Any]:
    """Each section as the class of the detector whose name it has. Only these detectors are imported."""
    if not sections:
        return sections
    known, read, faults = installed_detectors(), {}, list[Fault]()
    for name, section in sections.items():
        try:
            read[name] = _section(name, section, known, info)
        except ValidationError as error:
            faults += [((name, *e["loc"]), e["type"], e["msg"], e["input"]) for e in error.errors(include_url=False)]
        except ValueError as error:
            faults.append(((name,), "value_error", str(error), None))
    if faults:
        raise located(faults)
    return read


def _section(name: str, section: object, known: Mapping[str, EntryPoint], info: ValidationInfo) -> Section:
    if name not in known:
        raise ValueError(f"no installed package brings this detector; there are {', '.join(known) or 'none'}")
    kind = load_detector(known[name])
    return section if isinstance(section, kind.config) else kind.config.model_validate(section, context=info.context)


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
    nsfw: NsfwConfig = NsfwConfig()
    qr: QrConfig = QrConfig()
    ocr: OcrConfig = OcrConfig()
    reuse: ReuseConfig = ReuseConfig()
    schedule: Annotated[Mapping[str, DetectorSchedule], AfterValidator(_check_gates)] = Field(
        default_factory=dict, description="by detector"
    )
    engine: EngineConfig = EngineConfig()
    options: Annotated[Mapping[str, Any], AfterValidator(_options)] = Field(
        default_factory=dict, description="by name, the sections of the detectors that other packages bring"
    )
    custom: Mapping[CustomName, CustomSection] = Field(
        default_factory=dict, description="by a name to list under `detectors`, models of your own"
    )
