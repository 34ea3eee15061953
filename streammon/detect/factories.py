"""What builds each detector that ships, by its name, and of which models. Only what is switched on is imported."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack

from streammon.detect.config import DetectConfig
from streammon.detect.detector import Detector
from streammon.detect.nsfw.config import NUDITY_LICENCE, NUDITY_MODEL
from streammon.detect.parts import Parts
from streammon.errors import StreammonError
from streammon.models.catalog import load_catalog
from streammon.models.manifest import sha256_of

Factory = Callable[[Parts], Detector]


def models_of_shipped(name: str, config: DetectConfig) -> tuple[str, ...]:
    """The models that a detector of these runs as it is configured; none of one without, or that is none of these."""
    chosen: Mapping[str, tuple[str, ...]] = {"nsfw": config.nsfw.models, "faces": config.faces.models}
    return chosen[name] if name in chosen else MODELS.get(name, ())


def licence_fault(name: str, config: DetectConfig) -> str | None:
    """Why a detector may not run as long as its licence is not accepted; None where it may."""
    if name != "nudity" or config.nudity.accept_licence is not None:
        return None
    return f"the weights of `nudity` are under {NUDITY_LICENCE}: set it to that where you accept the licence"


def _nsfw(parts: Parts) -> Detector:
    from streammon.detect.nsfw.detector import NsfwDetector  # noqa: PLC0415

    config = parts.config.nsfw
    return _made_of(parts, config.models, lambda first, second=None: NsfwDetector(first, second, config))


def _nudity(parts: Parts) -> Detector:
    from streammon.detect.nsfw.nudity import NudityDetector  # noqa: PLC0415

    if fault := licence_fault("nudity", parts.config):
        raise StreammonError(f"detect.nudity.accept_licence: {fault}")
    label_map, config = parts.label_maps[NUDITY_MODEL], parts.config.nudity
    return _made_of(parts, (NUDITY_MODEL,), lambda session: NudityDetector(session, label_map, config))


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
    from streammon.detect.codes.detector import QrDetector  # noqa: PLC0415

    return QrDetector(parts.config.qr)


def _ocr(parts: Parts) -> Detector:
    from streammon.detect.text.detector import OcrDetector  # noqa: PLC0415
    from streammon.detect.text.engine import SessionEngine  # noqa: PLC0415
    from streammon.detect.text.paddle_engine import PaddleModel, open_paddle  # noqa: PLC0415

    config = parts.config.ocr
    if config.engine == "paddleocr":
        detection, recognition = (PaddleModel.checked(name, parts.weights(name)) for name in MODELS["ocr"])
        return OcrDetector(open_paddle(config.paddleocr, detection, recognition, parts.runtime.left_s), config)
    return _made_of(parts, MODELS["ocr"], lambda *sessions: OcrDetector(SessionEngine(*sessions), config))


def _objects(parts: Parts) -> Detector:
    from streammon.detect.objects.detector import ObjectsDetector  # noqa: PLC0415

    models, config = MODELS["objects"], parts.config.objects
    return _made_of(parts, models, lambda session: ObjectsDetector(session, parts.label_maps[models[0]], config))


def _scenes(parts: Parts) -> Detector:
    from streammon.detect.scenes.detector import ScenesDetector  # noqa: PLC0415

    return _made_of(parts, MODELS["scenes"], lambda session: ScenesDetector(session, parts.config.scenes))


def _gesture(parts: Parts) -> Detector:
    from streammon.detect.hands.gesture import GestureDetector  # noqa: PLC0415

    models, config = MODELS["gesture"], parts.config.gesture
    names, labels = parts.classes[models[1]], parts.label_maps[models[1]]
    return _made_of(parts, models, lambda hands, crops: GestureDetector(hands, crops, names, labels, config))


def _objects365(parts: Parts) -> Detector:
    from streammon.detect.custom.objects365 import build_objects365  # noqa: PLC0415

    (model,) = MODELS["objects365"]
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

    vision, text, words = MODELS["prompts"]
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


def _faces(parts: Parts) -> Detector:
    from streammon.detect.faces.build import build_faces  # noqa: PLC0415

    config = parts.config
    return _made_of(
        parts,
        config.faces.models,
        lambda locator, embedder, ages=None: build_faces(locator, embedder, ages, config.faces, config.library),
    )


MODELS: Mapping[str, tuple[str, ...]] = {
    "nudity": (NUDITY_MODEL,),
    "ocr": ("ppocrv6-det-small", "ppocrv6-rec-small"),
    "objects": ("nanodet-coco",),
    "scenes": ("efficientnet-lite0",),
    "gesture": ("dynamic-gestures-hands", "dynamic-gestures-crops"),
    "objects365": ("dfine-s-objects365",),
    "prompts": ("clip-vit-b32-vision", "clip-vit-b32-text", "clip-vit-b32-words"),
}
FACTORIES: Mapping[str, Factory] = {
    "nsfw": _nsfw,
    "nudity": _nudity,
    "qr": _qr,
    "ocr": _ocr,
    "faces": _faces,
    "objects": _objects,
    "scenes": _scenes,
    "pictures": _pictures,
    "gesture": _gesture,
    "objects365": _objects365,
    "prompts": _prompts,
}
