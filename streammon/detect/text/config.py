"""What an operator may set about the reader of text. Imports nothing of it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from streammon.config import Section
from streammon.detect.paddle.config import PaddleOcrConfig


class OcrConfig(Section):
    """The reader of text."""

    engine: Literal["rapidocr", "paddleocr"] = Field(
        default="rapidocr", description="rapidocr runs PP-OCR on our own sessions, paddleocr the official package"
    )
    paddleocr: PaddleOcrConfig = PaddleOcrConfig()
    max_lines: int = Field(
        default=64, ge=1, le=256, description="lines read per frame; the others are in the next ones"
    )
    min_score: float = Field(default=0.5, ge=0, le=1, description="lines read less surely are not reported")

    @model_validator(mode="after")
    def _engine_has_its_environment(self) -> OcrConfig:
        if self.engine == "paddleocr":
            self.paddleocr.check()
        return self
