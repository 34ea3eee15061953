"""The table of detectors: a name to what builds it. Only what is switched on is imported."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from streammon.detect.config import DetectConfig
from streammon.detect.detector import Detector
from streammon.detect.session import Session, open_session
from streammon.errors import StreammonError


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What detectors are built from.

    `weights` gives the file of a model by its name in the catalogue and raises ModelMissing; `label_maps` holds, per
    model, the taxonomy's label of each of its classes that has one.
    """

    weights: Callable[[str], Path]
    label_maps: Mapping[str, Mapping[str, str]]
    config: DetectConfig

    def open(self, model: str) -> Session:
        """The session of a model. Raises what `weights` and `open_session` raise."""
        return open_session(self.weights(model), self.config.provider, self.config.threads)


def detector_names() -> tuple[str, ...]:
    """All names that `build_detectors` knows."""
    return tuple(_FACTORIES)


def build_detectors(names: Iterable[str], parts: Parts) -> list[Detector]:
    """The detectors of these names, in this order, to be warmed up before use.

    Raises StreammonError, before any model is opened, where a name is unknown; and what `Parts.open` raises, after
    closing what was open by then.
    """
    wanted = list(names)
    if unknown := [name for name in wanted if name not in _FACTORIES]:
        raise StreammonError(f"no detector is called {', '.join(unknown)}: the known ones are {', '.join(_FACTORIES)}")
    with ExitStack() as opened:
        built = [_build(name, parts, opened) for name in wanted]
        opened.pop_all()
    return built


def _build(name: str, parts: Parts, opened: ExitStack) -> Detector:
    detector = _FACTORIES[name](parts)
    opened.callback(detector.close)
    return detector


def _nsfw(parts: Parts) -> Detector:
    from streammon.detect.nsfw import NsfwDetector  # noqa: PLC0415

    model = "nsfwjs-inception-v3"
    return NsfwDetector(parts.open(model), parts.label_maps[model], parts.config.nsfw)


def _qr(parts: Parts) -> Detector:
    from streammon.detect.qr import QrDetector  # noqa: PLC0415

    return QrDetector(parts.config.qr)


def _ocr(parts: Parts) -> Detector:
    from streammon.detect.ocr import OcrDetector  # noqa: PLC0415

    return OcrDetector(parts.open("ppocrv6-det-small"), parts.open("ppocrv6-rec-small"), parts.config.ocr)


_FACTORIES: Mapping[str, Callable[[Parts], Detector]] = {"nsfw": _nsfw, "qr": _qr, "ocr": _ocr}
