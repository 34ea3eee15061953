"""What an operator may set about the detector of scenes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from streammon.config import FilePath, Section
from streammon.detect.fields import Score, TaxonomyLabel

Threshold = Annotated[float, Field(gt=0, lt=1)]


class ScenesConfig(Section):
    """The classifier of whole pictures, and the heads that were trained on its embedding."""

    min_score: Score = Field(default=0.35, description="what is less likely is not reported")
    review_from: Mapping[TaxonomyLabel, Threshold] = Field(
        default_factory=dict, description="label: the probability that comes out as 0.7; shipped ones if left out"
    )
    off: tuple[TaxonomyLabel, ...] = Field(default=(), description="labels of the shipped classes not to report")
    heads: tuple[FilePath, ...] = Field(
        default=(), description="what `streammon train` made: files, or folders of which every .json is one"
    )
