"""What is told of models and of those on trial: over HTTP, and to people. Pure data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelCompared:
    """Frames by who saw the label with a score of 0.5 or more, and how far the scores (0 where it is not seen) differ.

    The mean is over all frames that were compared.
    """

    both: int = 0
    only_current: int = 0
    only_candidate: int = 0
    mean_difference: float = 0.0
    max_difference: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TextCompared:
    """Lines of text by who read them so, letter by letter but for spaces and case."""

    both: int = 0
    only_current: int = 0
    only_candidate: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """Mean seconds per frame: CPU time of our thread, and time for which a provider was held."""

    cpu_s: float = 0.0
    provider_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """How a model on trial and the current one see the same frames.

    `passed_over` were due and not shown: the engine was busy, or the candidate slower than they came. `failed` are
    those on which the candidate failed.
    """

    frames: int = 0
    passed_over: int = 0
    failed: int = 0
    labels: Mapping[str, LabelCompared] = field(default_factory=dict)
    text: TextCompared = TextCompared()
    current: Spent = Spent()
    candidate: Spent = Spent()


class ShadowState(StrEnum):
    """Where a trial is. A failed one has let go of its model, and is told of until another begins or it is ended."""

    WARMING_UP = "warming_up"
    RUNNING = "running"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFile:
    """A model's file. `configured`: it is the one that configuration or catalogue name.

    `sha256` is in lower-case hexadecimal, None where it has not been needed yet.
    """

    file: str
    sha256: str | None = None
    configured: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Shadow:
    """A trial: this file stands in for `model`. `why` says why it failed; `share` is of the frames, 0..1."""

    model: str
    file: str
    share: float
    state: ShadowState
    sha256: str | None = None
    why: str | None = None
    compared: Compared = Compared()


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorModels:
    """What a detector runs, by its models, what is on trial, and to what it can be rolled back at once."""

    detector: str
    models: Mapping[str, ModelFile]
    shadow: Shadow | None = None
    previous: Mapping[str, ModelFile] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowAsked:
    """What is asked of a trial: `file` lies in the folder of the models, and must have this `sha256` if there is one.

    `model` may be None where the detector has one only.
    """

    file: str
    model: str | None = None
    share: float = 0.1
    sha256: str | None = None
