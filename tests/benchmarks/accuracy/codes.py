"""How many codes are read: photographs of EVAL_DIR/qr beside two other readers, and small ones in generated streams.

Everything is parted in two: one half was tuned on, the other one (`held_out`) is the figure.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import zxingcpp
from PIL import Image as Pictures

from streammon.detect.codes.config import QrConfig
from streammon.detect.codes.detector import QrDetector
from streammon.detect.codes.retry import STEPS, read_tile, tiles_of
from streammon.entities import Frame, Image, Moment
from tests.benchmarks.accuracy.peers import peer_payloads
from tests.benchmarks.accuracy.streamed_codes import Clip, clips, quiet_frames

Figures = dict[str, float | int | None]

_CACHE = Path(".cache") / "accuracy"
_LONGEST = 4296
_FORMATS = zxingcpp.BarcodeFormats([zxingcpp.BarcodeFormat.QRCodeModel2])
_CLIPS = 12
_DEVELOP_SEED, _HELD_OUT_SEED = 2, 7
_BELOW_PX = (1.5, 2.0, 3.0, 100.0)
"""Bounds of the groups by pixels per module."""
_KEYS = ("qr_rate", "qr_rate_develop", "qr_rate_first_try", "qr_rate_opencv", "qr_rate_pyzbar", "qr_rate_best_other",
         "qr_false")  # fmt: skip


def measure(eval_dir: Path | None) -> Figures:
    """All figures; those of photographs are None, and `qr_n` 0, without `eval_dir`."""
    photographs = {**dict.fromkeys(_KEYS), "qr_n": 0} if eval_dir is None else _photographs(eval_dir / "qr")
    return {**photographs, **_streams(), **_cost()}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Photograph:
    path: Path
    truth: frozenset[str]
    held_out: bool


def _photographs(folder: Path) -> Figures:
    items: list[dict[str, Any]] = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["items"]
    every = [
        _Photograph(
            path=folder / item["file"],
            truth=frozenset(_plain(text) for text in item["truth"]),
            held_out=hashlib.sha256(item["file"].encode()).digest()[0] % 2 == 1,
        )
        for item in items
        if item["fold"] == "main"
    ]
    codes, empty = [one for one in every if one.truth], [one for one in every if not one.truth]
    held_out = [one for one in codes if one.held_out]
    develop = [one for one in codes if not one.held_out]
    peers = {name: _peer(name, held_out) for name in ("opencv", "pyzbar")}
    return {
        "qr_rate": _rate([_read(one.path) for one in held_out], held_out),
        "qr_rate_develop": _rate([_read(one.path) for one in develop], develop),
        "qr_rate_first_try": _rate([_read(one.path, second_try=False) for one in held_out], held_out),
        **{f"qr_rate_{name}": rate for name, rate in peers.items()},
        "qr_rate_best_other": max((rate for rate in peers.values() if rate is not None), default=None),
        "qr_false": sum(_read(one.path) != frozenset() for one in empty),
        "qr_n": len(held_out),
    }


def _peer(name: str, photographs: Sequence[_Photograph]) -> float | None:
    found = peer_payloads(name, [one.path for one in photographs], _CACHE.resolve())
    if isinstance(found, str):
        print(f"{name} is not measured: {found}")
        return None
    return _rate([frozenset(_plain(text) for text in texts) for texts in found], photographs)


def _read(path: Path, *, second_try: bool = True) -> frozenset[str]:
    # By way of RGBA: pictures with a palette and transparency have no colours of their own below it.
    picture = np.asarray(Pictures.open(path).convert("RGBA").convert("RGB"))
    detector = QrDetector(QrConfig(second_try=second_try, max_payload_chars=_LONGEST))
    return _payloads(detector, _frame(picture, str(path), 0.0))


def _rate(found: Sequence[frozenset[str]], photographs: Sequence[_Photograph]) -> float:
    read = sum(one.truth <= payloads for one, payloads in zip(photographs, found, strict=True))
    return round(read / len(photographs), 4)


def _streams() -> Figures:
    """Of each look at each code: how many the first try reads, the second one, and with what earlier looks gave."""
    develop, held_out = (_Tally(clips(_CLIPS, seed)) for seed in (_DEVELOP_SEED, _HELD_OUT_SEED))
    return {
        "qr_stream_rate": held_out.rate("looks"),
        "qr_stream_rate_second_try": held_out.rate("second"),
        "qr_stream_rate_first_try": held_out.rate("first"),
        "qr_stream_rate_develop": develop.rate("looks"),
        "qr_stream_wrong": held_out.wrong,
        "qr_stream_n": len(held_out.read),
        **{f"qr_stream_by_{step}": count for step, count in held_out.by_step.items()},
        **held_out.by_module_size(),
    }


class _Tally:
    """What of the clips was read: a row per look at a code."""

    def __init__(self, made: Iterable[Clip]) -> None:
        self.read: list[tuple[float, dict[str, bool]]] = []
        self.wrong = 0
        self.by_step = dict.fromkeys((step.name for step in STEPS), 0)
        for number, clip in enumerate(made):
            self._add(clip, f"clip-{number}")

    def rate(self, how: str, below_px: float = 1e9, from_px: float = 0.0) -> float | None:
        """Of looks at codes whose modules are of this many pixels; None where there are none."""
        rows = [ways[how] for module_px, ways in self.read if from_px <= module_px < below_px]
        return round(sum(rows) / len(rows), 4) if rows else None

    def by_module_size(self) -> Figures:
        figures: Figures = {}
        for from_px, below_px in zip((0.0, *_BELOW_PX), _BELOW_PX, strict=False):
            name = f"qr_stream_{from_px:g}_to_{below_px:g}_px"
            figures[f"{name}_first_try"] = self.rate("first", below_px, from_px)
            figures[name] = self.rate("looks", below_px, from_px)
            figures[f"{name}_n"] = sum(from_px <= module_px < below_px for module_px, _ in self.read)
        return figures

    def _add(self, clip: Clip, room: str) -> None:
        first, with_looks = QrDetector(QrConfig(second_try=False)), QrDetector(QrConfig())
        for number, look in enumerate(clip.looks):
            frame = _frame(look, room, 2.0 * number)
            found = {
                "first": _payloads(first, frame),
                "second": _payloads(QrDetector(QrConfig()), frame),
                "looks": _payloads(with_looks, frame),
            }
            self._count_steps(look, found["first"])
            self.wrong += len(found["looks"] - {code.payload for code in clip.codes})
            for code in clip.codes:
                self.read.append((code.module_px, {how: code.payload in texts for how, texts in found.items()}))

    def _count_steps(self, look: Image, known: frozenset[str]) -> None:
        """Which step read what the first try did not."""
        view = zxingcpp.ImageView(look, look.shape[1], look.shape[0], zxingcpp.ImageFormat.RGB)
        codes = zxingcpp.read_barcodes(view, formats=_FORMATS, return_errors=True)
        for tile in tiles_of(codes, look):
            reading = read_tile(tile.cut(look), _FORMATS)
            if reading is not None:
                self.by_step[reading.step] += sum(_plain(code.text) not in known for code in reading.codes)


def _cost() -> Figures:
    """Core-milliseconds per 720p frame without a code; the second figure is without the second try."""
    frames = [_frame(picture, "quiet", 2.0 * number) for number, picture in enumerate(quiet_frames())] * 10
    figures: Figures = {}
    for name, second_try in (("qr_core_ms_quiet", True), ("qr_core_ms_quiet_first_try", False)):
        detector = QrDetector(QrConfig(second_try=second_try))
        detector.detect(frames[:3])
        start_s = time.process_time()
        detector.detect(frames)
        figures[name] = round((time.process_time() - start_s) * 1000 / len(frames), 3)
    return figures


def _frame(picture: Image, room: str, at_s: float) -> Frame:
    height, width = picture.shape[:2]
    moment = Moment(session=1, pts_s=at_s, received_at=datetime(2026, 1, 1, tzinfo=UTC))
    return Frame(
        room_id=room, moment=moment, seq=1, key_frame=True, width=width, height=height,
        image=np.ascontiguousarray(picture), received_s=at_s, deadline_s=at_s + 2,
    )  # fmt: skip


def _payloads(detector: QrDetector, frame: Frame) -> frozenset[str]:
    (found,) = detector.detect([frame])
    return frozenset(_plain(one.qr.payload) for one in found if one.qr is not None)


def _plain(text: str) -> str:
    return " ".join(text.split())
