"""What an operator may set about the detector of this folder. Imports nothing of it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from streammon.config import FilePath, Section


class PromptsConfig(Section):
    """The detector that holds pictures against sentences."""

    file: FilePath | None = Field(
        default=None, description="sentences per label; null takes the file that ships, configs/prompts/default.yaml"
    )
    pairs: tuple[Literal["clip-violence-prompts"], ...] = Field(
        default=(), description="ready vectors of the catalogue that are held against pictures as well"
    )
    min_score: float = Field(default=0.3, ge=0, le=1, description="what is less likely is not reported")
