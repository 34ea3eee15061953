"""What an operator says of a model of their own: its file, what it is shown, what its classes mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator, ValidationInfo, model_validator

from streammon.config import FilePath, Section
from streammon.detect.fields import Score, TaxonomyLabel


def _square(value: object) -> object:
    return (value, value) if isinstance(value, int) else value


def _per_channel(value: object) -> object:
    return (value, value, value) if isinstance(value, (int, float)) else value


def _names_no_class_twice(names: tuple[str, ...]) -> tuple[str, ...]:
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"names {twice[0]!r} twice")
    return names


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


class Objects365Config(Section):
    """The detector of Objects365's things, D-FINE-S."""

    map: Mapping[str, TaxonomyLabel] | None = Field(
        default=None,
        min_length=1,
        description="class: label; null is guns, knives, cigarettes, cards, bottles, glasses",
    )
    min_score: Score = Field(default=0.4, description="what is less likely is not reported")
    thresholds: Mapping[str, Score] = Field(default_factory=dict, description="class: its own `min_score`")
    max_boxes: int = Field(default=50, ge=1, le=300, description="reported per frame, the surest first")


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
