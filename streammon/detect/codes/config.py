"""What an operator may set about the reader of codes. Imports nothing of it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from streammon.config import Section

CodeFormat = Literal["qr", "micro_qr", "data_matrix", "aztec", "pdf417"]


class QrConfig(Section):
    """The reader of QR and other two-dimensional codes."""

    formats: tuple[CodeFormat, ...] = Field(
        default=("qr",), min_length=1, description="what is read; each more costs time, docs/accuracy.md has how much"
    )
    second_try: bool = Field(default=True, description="codes that were found and did not decode are looked at again")
    max_codes: int = Field(default=32, ge=1, le=255, description="codes reported per frame")
    max_payload_chars: int = Field(default=512, ge=64, le=4296, description="longer payloads are cut and marked")
