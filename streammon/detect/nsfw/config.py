"""What an operator may set about the detectors of this folder. Imports none of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from streammon.config import Section
from streammon.detect.fields import Score

NUDITY_LICENCE = "AGPL-3.0"
NUDITY_MODEL = "nudenet-320n"
_FIRST = {"fast": "nsfwjs-mobilenet-v2", "quality": "nsfwjs-inception-v3"}
_SECOND = "open-nsfw"


class NsfwConfig(Section):
    """The classifier of pornography: one voice or two, which must agree."""

    model: Literal["fast", "quality"] = Field(
        default="fast", description="nsfwjs MobileNetV2, or InceptionV3 at several times the cost"
    )
    second: Literal["open_nsfw", "off"] = Field(
        default="open_nsfw", description="the voice that must agree on photographs; off: one voice, believed less"
    )
    min_score: Score = Field(default=0.05, description="lower scores are not reported; keep it under every threshold")

    @property
    def models(self) -> tuple[str, ...]:
        """The names, in the catalogue, of the first voice and of the second where there is one."""
        first = _FIRST[self.model]
        return (first,) if self.second == "off" else (first, _SECOND)


Part = Literal["breast", "genitals_female", "genitals_male", "buttocks", "anus"]


class NudityConfig(Section):
    """The detector of naked parts. Its weights are under a copyleft licence, to be accepted here and in the pull."""

    accept_licence: Literal["AGPL-3.0"] | None = Field(
        default=None, description="AGPL-3.0, once you have read it: without it the detector does not start"
    )
    min_score: Mapping[Part, Score] = Field(
        default_factory=dict, description="by part, below which it is not reported; 0.25 for those left out"
    )
    max_boxes: int = Field(default=20, ge=1, le=100, description="reported per frame, the surest first")
