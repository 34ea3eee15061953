"""The reader of QR codes: zxing-cpp on the frame as it came. Several of the engine's threads at once."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from importlib.metadata import version

import zxingcpp

from streammon.detect.config import QrConfig
from streammon.entities import Box, Detection, Frame, Image, QrReading, Source

_LABEL = "advertising.qr_code"
_FORMATS = zxingcpp.barcode_formats_from_str("QRCode")


class QrDetector:
    """One detection per code that decodes without an error: there is no doubtful reading, so the score is 1."""

    name = "qr"
    parallel = 2
    max_batch = 1  # one code after the other: a batch gains nothing, and frames that wait for it grow old
    labels = frozenset({_LABEL})

    def __init__(self, config: QrConfig) -> None:
        self.model = f"zxing-cpp {version('zxing-cpp')}"
        self._config = config

    def warm_up(self) -> None:
        """Nothing to compile."""

    def detect(self, frames: Sequence[Frame]) -> list[tuple[Detection, ...]]:
        """The codes in each frame, at most `max_codes` of them. `subject` is the payload on one line."""
        return [tuple(self._detection(code, frame.image) for code in self._read(frame.image)) for frame in frames]

    def close(self) -> None:
        """Nothing to let go of."""

    def _read(self, image: Image) -> list[zxingcpp.Barcode]:
        height, width = image.shape[:2]
        view = zxingcpp.ImageView(image, width, height, zxingcpp.ImageFormat.RGB)
        return zxingcpp.read_barcodes(view, formats=_FORMATS)[: self._config.max_codes]

    def _detection(self, code: zxingcpp.Barcode, image: Image) -> Detection:
        payload = readable_payload(code.text, self._config.max_payload_chars)
        return Detection(
            detector=self.name,
            model=self.model,
            source=Source.QR,
            label=_LABEL,
            score=1.0,
            box=_box(code.position, width_px=image.shape[1], height_px=image.shape[0]),
            subject=" ".join(payload.split()),
            qr=QrReading(payload=payload),
        )


def readable_payload(text: str, max_chars: int) -> str:
    """`text` made safe to publish and show, at most `max_chars` long.

    What cannot be printed, such as an escape or a change of writing direction, becomes `<U+202E>`; tabs and line breaks
    stay, since contact cards are made of lines. What is too long is cut and ends in a digest of the whole, so that two
    long payloads stay two.
    """
    printable = "".join(c if c.isprintable() or c in "\t\r\n" else f"<U+{ord(c):04X}>" for c in text)
    if len(printable) <= max_chars:
        return printable
    mark = f"…#{hashlib.sha256(text.encode(errors='surrogatepass')).hexdigest()[:16]}"
    return printable[: max_chars - len(mark)] + mark


def _box(position: zxingcpp.Position, *, width_px: int, height_px: int) -> Box:
    """The upright rectangle around a code's four corners, which may lie outside of the frame."""
    corners = (position.top_left, position.top_right, position.bottom_right, position.bottom_left)
    xs = [min(max(corner.x / width_px, 0.0), 1.0) for corner in corners]
    ys = [min(max(corner.y / height_px, 0.0), 1.0) for corner in corners]
    return Box(x=min(xs), y=min(ys), w=max(xs) - min(xs), h=max(ys) - min(ys))
