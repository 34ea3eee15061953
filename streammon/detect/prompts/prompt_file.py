"""The file of sentences: per label what a picture of it is like, and what it must be told apart from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from streammon.config import Section, load_yaml
from streammon.detect.fields import TaxonomyLabel

Sentence = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=300)]


class LabelPrompts(Section):
    """One label's sentences."""

    prompts: tuple[Sentence, ...] = Field(min_length=1, description="what a picture of it shows")
    contrast: tuple[Sentence, ...] = Field(default=(), description="what looks alike and is not it")


class PromptFile(Section):
    """All labels, and what ordinary pictures show."""

    version: Literal[1]
    contrast: tuple[Sentence, ...] = Field(min_length=1, description="every label is told apart from these")
    labels: Mapping[TaxonomyLabel, LabelPrompts] = Field(min_length=1)

    def sentences(self) -> list[str]:
        """All that are used, each once."""
        of_labels = [text for one in self.labels.values() for text in (*one.prompts, *one.contrast)]
        return list(dict.fromkeys([*self.contrast, *of_labels]))


def read_prompts(path: Path) -> PromptFile:
    """Raises ConfigError with every fault of the file."""
    return load_yaml(path, PromptFile, [])
