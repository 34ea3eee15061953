"""What an operator may set about the detector of objects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from streammon.config import Section
from streammon.detect.fields import Score

ObjectClass = Literal["knife", "bottle", "wine glass"]
# Found on the half of COCO and of ordinary pictures that is tuned on (docs/accuracy.md): above nearly all that is none.
REVIEW_FROM: Mapping[ObjectClass, float] = {"knife": 0.3, "bottle": 0.55, "wine glass": 0.5}

Threshold = Annotated[float, Field(gt=0, lt=1)]


class ObjectsConfig(Section):
    """The detector of knives, bottles and wine glasses."""

    min_score: Score = Field(default=0.35, description="what is less likely is not reported")
    review_from: Mapping[ObjectClass, Threshold] = Field(
        default_factory=dict, description="class: the model's own score that comes out as 0.7; shipped ones if left out"
    )
    max_boxes: int = Field(default=20, ge=1, le=300, description="reported per frame, the surest first")
