"""What an operator may set about the detectors. Imports none of them, so that a file is checked without a runtime."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from streammon.config import Section


class NsfwConfig(Section):
    """The classifier of pornography."""

    min_score: float = Field(
        default=0.05, ge=0, le=1, description="lower probabilities are not reported; keep it under every threshold"
    )


class QrConfig(Section):
    """The reader of QR codes."""

    max_codes: int = Field(default=32, ge=1, le=255, description="codes reported per frame")
    max_payload_chars: int = Field(default=512, ge=64, le=4296, description="longer payloads are cut and marked")


class OcrConfig(Section):
    """The reader of text."""

    max_lines: int = Field(default=64, ge=1, le=256, description="lines read per frame, the surest first")
    min_score: float = Field(default=0.5, ge=0, le=1, description="lines read less surely are not reported")


class DetectConfig(Section):
    """All detectors, and what their models run on."""

    provider: Literal["auto", "cpu", "openvino", "cuda"] = Field(
        default="auto", description="auto takes the fastest that works; one asked for by name must work"
    )
    threads: int | None = Field(
        default=None, ge=1, le=256, description="CPU threads per model; all usable cores if null"
    )
    nsfw: NsfwConfig = NsfwConfig()
    qr: QrConfig = QrConfig()
    ocr: OcrConfig = OcrConfig()
