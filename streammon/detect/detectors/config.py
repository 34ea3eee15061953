"""What an operator may set about the detectors of this folder. Imports none of them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from streammon.config import Section
from streammon.detect.paddle.config import PaddleOcrConfig

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
