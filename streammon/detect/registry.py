"""The table of detectors: a name to what builds it. Only what is switched on is imported.

Names come from `factories`, from the entry points of other packages, and from `detect.custom`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from importlib.metadata import EntryPoint
from pathlib import Path

from streammon.detect.config import DetectConfig
from streammon.detect.detector import Detector
from streammon.detect.factories import FACTORIES, Factory, licence_fault, models_of_shipped
from streammon.detect.parts import Parts
from streammon.detect.plugins import Fault, installed_detectors, load_detector, located
from streammon.errors import StreammonError


def detector_names(config: DetectConfig | None = None) -> tuple[str, ...]:
    """All names that `build_detectors` knows: built in, installed, and where there is a `config`, its own models."""
    custom = () if config is None else tuple(config.custom)
    return (*FACTORIES, *installed_detectors(), *custom)


def no_such_detector(known: Iterable[str]) -> str:
    """What to say of a name that is none of these."""
    return f"no such detector; the known ones are {', '.join(dict.fromkeys(known))}"


def check_detectors(names: Sequence[str], config: DetectConfig) -> None:
    """For a configuration's validator: all that is wrong with the names, before anything is opened.

    Raises ValidationError, whose places are `detectors` with an index and `detect.custom` with a name; ValueError where
    two packages bring a detector of one name.
    """
    known = detector_names(config)
    unknown = no_such_detector(known)
    faults: list[Fault] = [
        (("detectors", index), "value_error", unknown, name) for index, name in enumerate(names) if name not in known
    ]
    faults += [
        (("detect", "custom", name), "value_error", "is the name of another detector; choose another", None)
        for name in config.custom
        if known.count(name) > 1
    ]
    faults += [
        (("detect", name, "accept_licence"), "value_error", fault, None)
        for name in names
        if (fault := licence_fault(name, config)) is not None
    ]
    if faults:
        raise located(faults)


def models_of(name: str, config: DetectConfig) -> tuple[str, ...]:
    """The models of a detector whose files others can stand in for; none of one that another package brings or runs."""
    if name in config.custom:
        return (name,)
    if name == "ocr" and config.ocr.engine == "paddleocr":
        return ()
    return models_of_shipped(name, config)


def build_detectors(
    names: Iterable[str], parts: Parts, files: Mapping[str, Mapping[str, Path]] | None = None
) -> list[Detector]:
    """The detectors of these names, in this order, to be warmed up before use.

    `files` has, by detector, what is to stand in for the files of its models; see `Parts.files`.

    Raises StreammonError, before any model is opened, where a name is unknown or stands for two detectors; and what
    `Parts.open` and `build_custom` raise, after closing what was open by then.
    """
    table = _table(parts.config)
    wanted = list(names)
    if unknown := [name for name in wanted if name not in table]:
        raise StreammonError(f"no detector is called {', '.join(unknown)}: the known ones are {', '.join(table)}")
    with ExitStack() as opened:
        chosen = files if files is not None else {}
        built = [_build(table[name], replace(parts, files=chosen.get(name, {})), opened) for name in wanted]
        opened.pop_all()
    return built


def _build(factory: Factory, parts: Parts, opened: ExitStack) -> Detector:
    detector = factory(parts)
    opened.callback(detector.close)
    return detector


def _table(config: DetectConfig) -> Mapping[str, Factory]:
    try:
        installed = installed_detectors()
    except ValueError as error:
        raise StreammonError(str(error)) from error
    names = (*FACTORIES, *installed, *config.custom)
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise StreammonError(f"more than one detector is called {', '.join(twice)}; rename the one that is yours")
    brought = {name: partial(_installed, point) for name, point in installed.items()}
    return {**FACTORIES, **brought, **{name: partial(_custom, name) for name in config.custom}}


def _installed(point: EntryPoint, parts: Parts) -> Detector:
    try:
        kind = load_detector(point)
        section = parts.config.options.get(point.name)
        return kind.build(section if section is not None else kind.config(), parts)
    except ValueError as error:  # of pydantic too, where a section that was left out has a key without a default
        raise StreammonError(f"detect.options.{point.name}: {error}") from error


def _custom(name: str, parts: Parts) -> Detector:
    from streammon.detect.custom.build import build_custom  # noqa: PLC0415

    config, chosen = parts.config.custom[name], parts.files.get(name)
    place = config.file.stem
    if chosen is not None:
        config = config.model_copy(update={"file": chosen, "sha256": None})
    return build_custom(name, config, lambda file: parts.runtime.open(file, place))
