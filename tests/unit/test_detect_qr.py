"""QR codes made with zxing-cpp, put into pictures and read back: payloads, boxes, hostile contents."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
import zxingcpp

from streammon.detect.codes.config import QrConfig
from streammon.detect.codes.detector import QrDetector, readable_payload
from streammon.entities import Detection, Frame, Image, Moment, QrReading, Source

GREY = np.full((720, 1280, 3), 120, np.uint8)


def read(image: Image, config: QrConfig | None = None) -> tuple[Detection, ...]:
    height, width = image.shape[:2]
    image = image.copy()
    image.flags.writeable = False
    moment = Moment(session=1, pts_s=0.0, received_at=datetime(2026, 1, 1, tzinfo=UTC))
    frame = Frame(
        room_id="r", moment=moment, seq=1, key_frame=True, width=width, height=height, image=image,
        received_s=0.0, deadline_s=1.0,
    )  # fmt: skip
    (found,) = QrDetector(config or QrConfig()).detect([frame])
    return found


def code(content: str | bytes, scale: int = 4) -> Image:
    # Without a name for the encoding, zxing may write one that no reader can guess.
    encoding = {"eci": "UTF-8"} if isinstance(content, str) else {}
    barcode = zxingcpp.create_barcode(content, zxingcpp.BarcodeFormat.QRCode, **encoding)
    return np.dstack([np.array(zxingcpp.write_barcode_to_image(barcode, scale=scale))] * 3)


def paste(code_image: Image, x: int, y: int, background: Image = GREY) -> Image:
    image = background.copy()
    height, width = code_image.shape[:2]
    image[y : y + height, x : x + width] = code_image
    return image


def test_a_code_is_read_with_its_place() -> None:
    picture = code("https://example.com/promo?x=1")
    (found,) = read(paste(picture, 800, 200))
    assert found.qr == QrReading(payload="https://example.com/promo?x=1", allowed=False)
    assert (found.label, found.subject) == ("advertising.qr_code", "https://example.com/promo?x=1")
    assert (found.detector, found.source, found.score) == ("qr", Source.QR, 1.0)
    assert found.model.startswith("zxing-cpp 3.")
    assert found.box is not None
    quiet, side = 16, picture.shape[0] - 32  # the writer leaves four modules of four pixels free on each side
    assert (found.box.x * 1280, found.box.y * 720) == pytest.approx((800 + quiet, 200 + quiet), abs=4)
    assert (found.box.w * 1280, found.box.h * 720) == pytest.approx((side, side), abs=8)


def test_several_codes_are_all_read_up_to_the_bound() -> None:
    image = GREY
    for n in range(4):
        image = paste(code(f"code {n}"), 50 + 300 * n, 300, image)
    assert {found.subject for found in read(image)} == {"code 0", "code 1", "code 2", "code 3"}
    assert len(read(image, QrConfig(max_codes=2))) == 2


def test_a_turned_and_an_inverted_code_are_read() -> None:
    assert [f.subject for f in read(np.ascontiguousarray(np.rot90(paste(code("turned"), 90, 90))))] == ["turned"]
    assert [f.subject for f in read(255 - paste(code("light on dark"), 90, 90))] == ["light on dark"]


def test_chinese_is_read_and_lines_stay_lines_but_the_subject_is_one() -> None:
    (found,) = read(paste(code("BEGIN:VCARD\r\nN:微信\tabc"), 100, 100))
    assert found.qr == QrReading(payload="BEGIN:VCARD\r\nN:微信\tabc")
    assert found.subject == "BEGIN:VCARD N:微信 abc"


def test_binary_contents_become_printable() -> None:
    (found,) = read(paste(code(b"\x00\x1b[31m\xff\xfe"), 100, 100))
    assert found.subject is not None
    assert found.subject.isprintable()
    assert "[31m" in found.subject


@pytest.mark.parametrize(("text", "shown"), [("a\x1b[2Jb", "a<U+001B>[2Jb"), ("x\u202ey", "x<U+202E>y"), ("", "")])
def test_what_cannot_be_printed_is_spelt_out(text: str, shown: str) -> None:
    assert readable_payload(text, 64) == shown


def test_a_long_payload_is_cut_and_stays_distinct() -> None:
    one, two = readable_payload("x" * 999 + "1", 64), readable_payload("x" * 999 + "2", 64)
    assert len(one) == len(two) == 64
    assert one != two
    assert readable_payload("x" * 64, 64) == "x" * 64


def test_a_long_code_is_bounded_in_a_detection() -> None:
    (found,) = read(paste(code("y" * 1000), 20, 20))
    assert found.qr is not None
    assert len(found.qr.payload) == 512


@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (20000, 10), (10, 20000), (720, 1280)])
def test_pictures_without_a_code_give_none(shape: tuple[int, int]) -> None:
    assert read(np.zeros((*shape, 3), np.uint8)) == ()
    assert read(np.random.default_rng(1).integers(0, 256, (*shape, 3), np.uint8)) == ()
