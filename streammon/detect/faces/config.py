"""What an operator may set about faces."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from streammon.config import Section

LocatorName = Literal["centerface", "yunet"]
EmbedderName = Literal["dlib", "sface"]
EMBEDDER_MODELS: Mapping[EmbedderName, str] = {"dlib": "dlib-face", "sface": "sface"}
_LEAST_SCORES: Mapping[LocatorName, float] = {"centerface": 0.5, "yunet": 0.8}


class FacesConfig(Section):
    """The finder of listed people, and of children."""

    locator: LocatorName = Field(default="centerface", description="what finds faces; yunet is cheaper and optional")
    embedder: EmbedderName = Field(
        default="dlib", description="what tells people apart; lists are made with the same one; sface is optional"
    )
    min_score: float | None = Field(
        default=None, ge=0.2, le=1, description="what looks less like a face is passed over; the locator's own if null"
    )
    max_faces: int = Field(default=8, ge=1, le=64, description="faces looked at per frame, the largest first")
    min_face_px: int = Field(
        default=40, ge=20, le=1000, description="smaller faces, in pixels of the frame, are nobody's of a list"
    )
    age: bool = Field(default=True, description="whether ages are told at all")
    min_age_px: int = Field(default=64, ge=40, le=1000, description="of smaller faces no age is told")
    min_minor_score: float = Field(
        default=0.3, ge=0, le=1, description="lower scores of minors are not reported; keep it under every threshold"
    )

    @property
    def models(self) -> tuple[str, ...]:
        """Those that it runs: the locator, the embedder, and where ages are told what tells them."""
        return (self.locator, EMBEDDER_MODELS[self.embedder], *(("faceres-age",) if self.age else ()))

    @property
    def least_score(self) -> float:
        """What the locator must be sure of."""
        return self.min_score if self.min_score is not None else _LEAST_SCORES[self.locator]
