"""Detectors that other packages bring, by entry point: finds them, and reads what is configured for each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from pydantic import ValidationError, ValidationInfo
from pydantic_core import InitErrorDetails, PydanticCustomError

from streammon.config import Section
from streammon.detect.detector import Detector


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorKind:
    """What an entry point of `streammon.detectors` names: a detector's section, and what builds it.

    `build` is called with the section, as it was configured under `detect.options`, and the registry's `Parts`.
    """

    config: type[Section]
    build: Callable[[Any, Any], Detector]


def installed_detectors() -> Mapping[str, EntryPoint]:
    """The detectors that other packages bring, by name. Raises ValueError where two bring one of the same name."""
    found: dict[str, EntryPoint] = {}
    for point in entry_points(group="streammon.detectors"):
        if point.name in found:
            raise ValueError(f"two packages bring a detector {point.name!r}: {found[point.name].value}, {point.value}")
        found[point.name] = point
    return found


def load_detector(point: EntryPoint) -> DetectorKind:
    """Imports the package. Raises ValueError where that fails, or it names something else."""
    try:
        kind = point.load()
    except (ImportError, AttributeError) as error:
        raise ValueError(f"detector {point.name!r} does not load: {error}") from error
    if not isinstance(kind, DetectorKind):
        raise ValueError(f"detector {point.name!r}: {point.value} is no DetectorKind")  # noqa: TRY004
    return kind


Fault = tuple[tuple[str | int, ...], str, str, object]


def located(faults: Iterable[Fault]) -> ValidationError:
    """An error that a validator may raise for faults deeper down: their keys from there, type, message and value."""
    details = [
        InitErrorDetails(type=PydanticCustomError(kind, "{reason}", {"reason": reason}), loc=keys, input=value)
        for keys, kind, reason, value in faults
    ]
    return ValidationError.from_exception_data("detectors", details)


def read_options(sections: Mapping[str, Any], info: ValidationInfo) -> Mapping[str, Any]:
    """Each section as the class of the detector whose name it has. Only these detectors are imported."""
    if not sections:
        return sections
    known, read, faults = installed_detectors(), {}, list[Fault]()
    for name, section in sections.items():
        try:
            read[name] = _section(name, section, known, info)
        except ValidationError as error:
            faults += [((name, *e["loc"]), e["type"], e["msg"], e["input"]) for e in error.errors(include_url=False)]
        except ValueError as error:
            faults.append(((name,), "value_error", str(error), None))
    if faults:
        raise located(faults)
    return read


def _section(name: str, section: object, known: Mapping[str, EntryPoint], info: ValidationInfo) -> Section:
    if name not in known:
        raise ValueError(f"no installed package brings this detector; there are {', '.join(known) or 'none'}")
    kind = load_detector(known[name])
    return section if isinstance(section, kind.config) else kind.config.model_validate(section, context=info.context)
