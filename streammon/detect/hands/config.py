"""What an operator may set about the detectors of this folder. Imports none of them."""

from __future__ import annotations

from pydantic import Field

from streammon.config import Section


class GestureConfig(Section):
    """The detector of gestures."""

    min_score: float = Field(default=0.3, ge=0, le=1, description="what is less likely is not reported")
    min_hand_px: int = Field(
        default=96, ge=16, le=2000, description="smaller hands are not looked at: what they show is guessed"
    )
    min_hand_score: float = Field(default=0.7, ge=0, le=1, description="what is less surely a hand is not looked at")
    max_hands: int = Field(default=4, ge=1, le=16, description="looked at per frame, the largest first")
