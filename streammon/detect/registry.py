"""The table of detectors: a name to what builds it. Only what is switched on is imported.

Names come from here, from the entry points of other packages, and from `detect.custom`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.metadata import EntryPoint
from pathlib import Path

from streammon.detect.config import DetectConfig
from streammon.detect.detector import Detector
from streammon.detect.nsfw.config import NUDITY_LICENCE, NUDITY_MODEL
from streammon.detect.plugins import Fault, installed_detectors, load_detector, located
from streammon.detect.runtime.runtime import Runtime
from streammon.detect.runtime.session import Session
from streammon.errors import StreammonError
from streammon.models.catalog import load_catalog
from streammon.models.manifest import sha256_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What detectors are built from.

    `weights` gives the file of a model by its name in the catalogue and raises ModelMissing; `label_maps` holds, per
    model, the taxonomy's label of each of its classes that has one, `classes` what all of them are called, in order.
    `runtime` opens the models and shares the machine among them; closing it is its owner's. `files` stand in for those
    of the models (an operator's own is called by its detector's name), and run where these would.
    """

    weights: Callable[[str], Path]
    label_maps: Mapping[str, Mapping[str, str]]
    config: DetectConfig
    runtime: Runtime
    classes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    files: Mapping[str, Path] = field(default_factory=dict)

    def open(self, model: str) -> Session:
        """The session of a model. Raises what `weights` and `Runtime.open` raise."""
        chosen = self.files.get(model)
        return self.runtime.open(self.weights(model)) if chosen is None else self.runtime.open(chosen, model)


def detector_names(config: DetectConfig | None = None) -> tuple[str, ...]:
    """All names that `build_detectors` knows: built in, installed, and where there is a `config`, its own models."""
    custom = () if config is None else tuple(config.custom)
    return (*_FACTORIES, *installed_detectors(), *custom)


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
        if (fault := _licence_fault(name, config)) is not None
    ]
    if faults:
        raise located(faults)


def models_of(name: str, config: DetectConfig) -> tuple[str, ...]:
    """The models of a detector whose files others can stand in for; none of one that another package brings or runs."""
    if name in config.custom:
        return (name,)
    if name == "ocr" and config.ocr.engine == "paddleocr":
        return ()
    return config.nsfw.models if name == "nsfw" else _MODELS.get(name, ())


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


Factory = Callable[[Parts], Detector]


def _build(factory: Factory, parts: Parts, opened: ExitStack) -> Detector:
    detector = factory(parts)
    opened.callback(detector.close)
    return detector


def _table(config: DetectConfig) -> Mapping[str, Factory]:
    try:
        installed = installed_detectors()
    except ValueError as error:
        raise StreammonError(str(error)) from error
    names = (*_FACTORIES, *installed, *config.custom)
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise StreammonError(f"more than one detector is called {', '.join(twice)}; rename the one that is yours")
    brought = {name: partial(_installed, point) for name, point in installed.items()}
    return {**_FACTORIES, **brought, **{name: partial(_custom, name) for name in config.custom}}


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


def _nsfw(parts: Parts) -> Detector:
    from streammon.detect.nsfw.detector import NsfwDetector  # noqa: PLC0415

    config = parts.config.nsfw
    return _made_of(parts, config.models, lambda first, second=None: NsfwDetector(first, second, config))


def _nudity(parts: Parts) -> Detector:
    from streammon.detect.nsfw.nudity import NudityDetector  # noqa: PLC0415

    if fault := _licence_fault("nudity", parts.config):
        raise StreammonError(f"detect.nudity.accept_licence: {fault}")
    label_map, config = parts.label_maps[NUDITY_MODEL], parts.config.nudity
    return _made_of(parts, (NUDITY_MODEL,), lambda session: NudityDetector(session, label_map, config))


def _licence_fault(name: str, config: DetectConfig) -> str | None:
    """Why a detector may not run as long as its licence is not accepted; None where it may."""
    if name != "nudity" or config.nudity.accept_licence is not None:
        return None
    return f"the weights of `nudity` are under {NUDITY_LICENCE}: set it to that where you accept the licence"


def _made_of(parts: Parts, models: Sequence[str], make: Callable[..., Detector]) -> Detector:
    """What `make` makes of the models' sessions, which are closed where it fails, or one of them does not open."""
    with ExitStack() as opened:
        sessions = []
        for model in models:
            sessions.append(parts.open(model))
            opened.callback(sessions[-1].close)
        detector = make(*sessions)
        opened.pop_all()
    return detector


def _qr(parts: Parts) -> Detector:
    from streammon.detect.detectors.qr import QrDetector  # noqa: PLC0415

    return QrDetector(parts.config.qr)


def _ocr(parts: Parts) -> Detector:
    from streammon.detect.detectors.ocr import OcrDetector  # noqa: PLC0415
    from streammon.detect.detectors.paddle_engine import PaddleModel, open_paddle  # noqa: PLC0415
    from streammon.detect.detectors.text_engine import SessionEngine  # noqa: PLC0415

    config = parts.config.ocr
    if config.engine == "paddleocr":
        detection, recognition = (PaddleModel.checked(name, parts.weights(name)) for name in _MODELS["ocr"])
        return OcrDetector(open_paddle(config.paddleocr, detection, recognition, parts.runtime.left_s), config)
    return _made_of(parts, _MODELS["ocr"], lambda *sessions: OcrDetector(SessionEngine(*sessions), config))


def _objects(parts: Parts) -> Detector:
    from streammon.detect.objects.detector import ObjectsDetector  # noqa: PLC0415

    (model,) = _MODELS["objects"]
    return ObjectsDetector(parts.open(model), parts.label_maps[model], parts.config.objects)


def _scenes(parts: Parts) -> Detector:
    from streammon.detect.scenes.detector import ScenesDetector  # noqa: PLC0415

    (model,) = _MODELS["scenes"]
    return ScenesDetector(parts.open(model), parts.config.scenes)


def _gesture(parts: Parts) -> Detector:
    from streammon.detect.hands.gesture import GestureDetector  # noqa: PLC0415

    hands, gestures = _MODELS["gesture"]
    names, labels = parts.classes[gestures], parts.label_maps[gestures]
    return GestureDetector(parts.open(hands), parts.open(gestures), names, labels, parts.config.gesture)


def _objects365(parts: Parts) -> Detector:
    from streammon.detect.custom.objects365 import build_objects365  # noqa: PLC0415

    (model,) = _MODELS["objects365"]
    file = parts.files.get(model)
    return build_objects365(
        file if file is not None else parts.weights(model),
        parts.classes[model],
        parts.label_maps[model],
        parts.config.objects365,
        lambda path: parts.runtime.open(path, model),
    )


def _prompts(parts: Parts) -> Detector:
    from streammon.detect.prompts.build import ReadyVectors, TextTower, build_prompts  # noqa: PLC0415

    vision, text, words = _MODELS["prompts"]
    config, file = parts.config.prompts, parts.files.get(text)
    tower = TextTower(
        open=lambda: parts.open(text),
        words=lambda: parts.weights(words),
        made_by=(sha256_of(file) if file is not None else _sha256(text), _sha256(words)),
        folder=parts.weights(vision).parent / ".prompts",
    )
    ready = [
        ReadyVectors(file=parts.weights(pair), classes=parts.classes[pair], label_map=parts.label_maps[pair])
        for pair in config.pairs
    ]
    return build_prompts(parts.open(vision), tower, ready, config)


def _sha256(model: str) -> str:
    """What the catalogue says of a model that is stored as it is."""
    return load_catalog().get(model).source.files[0].sha256


def _pictures(parts: Parts) -> Detector:
    from streammon.detect.pictures.detector import PicturesDetector  # noqa: PLC0415

    return PicturesDetector(parts.config.library, parts.config.pictures)


_MODELS: Mapping[str, tuple[str, ...]] = {
    "nudity": (NUDITY_MODEL,),
    "ocr": ("ppocrv6-det-small", "ppocrv6-rec-small"),
    "objects": ("nanodet-coco",),
    "scenes": ("efficientnet-lite0",),
    "gesture": ("dynamic-gestures-hands", "dynamic-gestures-crops"),
    "objects365": ("dfine-s-objects365",),
    "prompts": ("clip-vit-b32-vision", "clip-vit-b32-text", "clip-vit-b32-words"),
}
_FACTORIES: Mapping[str, Factory] = {
    "nsfw": _nsfw,
    "nudity": _nudity,
    "qr": _qr,
    "ocr": _ocr,
    "objects": _objects,
    "scenes": _scenes,
    "pictures": _pictures,
    "gesture": _gesture,
    "objects365": _objects365,
    "prompts": _prompts,
}
