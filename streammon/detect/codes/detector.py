"""The reader of QR and other two-dimensional codes: zxing-cpp on the frame as it came. Several threads at once.

What is found and does not decode is looked at again, larger and sharper, and then over several looks at the room.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from itertools import islice

import zxingcpp

from streammon.detect.codes.config import CodeFormat, QrConfig
from streammon.detect.codes.looks import Looks
from streammon.detect.codes.retry import Tile, read_tile, tiles_of
from streammon.entities import Box, Detection, Frame, QrReading, Source

_LABEL = "advertising.qr_code"
# Their `QRCode` stands for the whole family, micro QR included.
_FORMATS: Mapping[CodeFormat, tuple[zxingcpp.BarcodeFormat, ...]] = {
    "qr": (zxingcpp.BarcodeFormat.QRCodeModel1, zxingcpp.BarcodeFormat.QRCodeModel2),
    "micro_qr": (zxingcpp.BarcodeFormat.MicroQRCode,),
    "data_matrix": (zxingcpp.BarcodeFormat.DataMatrix,),
    "aztec": (zxingcpp.BarcodeFormat.Aztec,),
    "pdf417": (zxingcpp.BarcodeFormat.PDF417,),
}
_MOST_TRIES = 4
"""Places looked at again per frame: a wall of codes that do not decode must not make the frame late."""

Corner = tuple[float, float]
"""A point of a picture in pixels from its left top corner."""


class QrDetector:
    """One detection per code that decodes without an error: there is no doubtful reading, so the score is 1."""

    name = "qr"
    parallel = 2
    max_batch = 1  # one code after the other: a batch gains nothing, and frames that wait for it grow old
    labels = frozenset({_LABEL})

    def __init__(self, config: QrConfig) -> None:
        self.model = f"zxing-cpp {version('zxing-cpp')}"
        self._config = config
        self._formats = zxingcpp.BarcodeFormats([one for name in config.formats for one in _FORMATS[name]])
        self._looks = Looks()

    def warm_up(self) -> None:
        """Nothing to compile."""

    def detect(self, frames: Sequence[Frame]) -> list[tuple[Detection, ...]]:
        """The codes in each frame, at most `max_codes` of them. `subject` is the payload on one line."""
        return [tuple(islice(self._codes(frame), self._config.max_codes)) for frame in frames]

    def close(self) -> None:
        """Nothing to let go of."""

    def _codes(self, frame: Frame) -> Iterator[Detection]:
        height, width = frame.image.shape[:2]
        view = zxingcpp.ImageView(frame.image, width, height, zxingcpp.ImageFormat.RGB)
        read = zxingcpp.read_barcodes(view, formats=self._formats, return_errors=self._config.second_try)
        decoded = [code for code in read if code.valid]
        for code in decoded:
            yield self._detection(code, frame, _corners(code))
        known = {code.text for code in decoded}
        for tile in islice(tiles_of(read, frame.image), _MOST_TRIES):
            for code, corners in self._second_try(frame, tile):
                if code.text not in known:
                    known.add(code.text)
                    yield self._detection(code, frame, corners)

    def _second_try(self, frame: Frame, tile: Tile) -> Iterator[tuple[zxingcpp.Barcode, list[Corner]]]:
        """The codes in the tile, or in several looks at it, with their corners in the frame."""
        place, reading = tile, read_tile(tile.cut(frame.image), self._formats)
        if reading is None and (laid_over := self._looks.add(frame, tile)) is not None:
            place, median = laid_over
            reading = read_tile(median, self._formats)
        if reading is not None:
            for code in reading.codes:
                inside = [(x / reading.times, y / reading.times) for x, y in _corners(code)]
                yield code, [(place.left + x, place.top + y) for x, y in inside]

    def _detection(self, code: zxingcpp.Barcode, frame: Frame, corners: Sequence[Corner]) -> Detection:
        payload = readable_payload(code.text, self._config.max_payload_chars)
        return Detection(
            detector=self.name,
            model=self.model,
            source=Source.QR,
            label=_LABEL,
            score=1.0,
            box=_box(corners, width_px=frame.image.shape[1], height_px=frame.image.shape[0]),
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


def _corners(code: zxingcpp.Barcode) -> list[Corner]:
    """A code's four corners, which may lie outside of the picture."""
    where = code.position
    return [(corner.x, corner.y) for corner in (where.top_left, where.top_right, where.bottom_right, where.bottom_left)]


def _box(corners: Sequence[Corner], *, width_px: int, height_px: int) -> Box:
    """The upright rectangle around the corners, as far as it lies in the frame."""
    xs = [min(max(x / width_px, 0.0), 1.0) for x, _ in corners]
    ys = [min(max(y / height_px, 0.0), 1.0) for _, y in corners]
    return Box(x=min(xs), y=min(ys), w=max(xs) - min(xs), h=max(ys) - min(ys))
