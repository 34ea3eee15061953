"""Codes that zxing-cpp finds and does not decode at once: sharpened, larger, and over several looks."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import cv2
import numpy as np
import pytest
import zxingcpp

from streammon.detect.codes import looks as qr_looks
from streammon.detect.codes.config import CodeFormat, QrConfig
from streammon.detect.codes.detector import QrDetector
from streammon.detect.codes.looks import LOOKS, Looks
from streammon.detect.codes.retry import MOST_PX, STEPS, Tile, read_tile, tiles_of
from streammon.entities import Detection, Frame, Image, Moment

PAYLOAD = "https://example.com/promo?from=room"
QR = zxingcpp.BarcodeFormats([zxingcpp.BarcodeFormat.QRCode])
PLACE = Tile(left=100, top=80, right=180, bottom=160)


def seen(image: Image, at_s: float = 0.0, *, room: str = "r", session: int = 1) -> Frame:
    height, width = image.shape[:2]
    moment = Moment(session=session, pts_s=at_s, received_at=datetime(2026, 1, 1, tzinfo=UTC))
    return Frame(
        room_id=room, moment=moment, seq=1, key_frame=True, width=width, height=height, image=image,
        received_s=at_s, deadline_s=at_s + 1,
    )  # fmt: skip


def drawn(
    name: CodeFormat = "qr", *, side_px: int = 76, blur_px: float = 1.0, noise: float = 0.0, seed: int = 1
) -> Image:
    """A code, see-through and blurred, at (300, 200) of a grey picture with its margin."""
    kind = {
        "qr": zxingcpp.BarcodeFormat.QRCode,
        "micro_qr": zxingcpp.BarcodeFormat.MicroQRCode,
        "data_matrix": zxingcpp.BarcodeFormat.DataMatrix,
        "aztec": zxingcpp.BarcodeFormat.Aztec,
        "pdf417": zxingcpp.BarcodeFormat.PDF417,
    }[name]
    made = zxingcpp.create_barcode("MICRO 1" if name == "micro_qr" else PAYLOAD, kind)
    modules = np.array(zxingcpp.write_barcode_to_image(made, scale=8))
    height = round(side_px * modules.shape[0] / modules.shape[1])
    small = cv2.resize(modules, (side_px, height), interpolation=cv2.INTER_AREA)
    if blur_px > 0:
        small = cv2.GaussianBlur(small, (0, 0), blur_px)
    picture = np.full((480, 640), 120.0)
    picture[200 : 200 + height, 300 : 300 + side_px] = 0.25 * 120 + 0.75 * small
    picture += np.random.default_rng(seed).normal(0, noise, picture.shape) if noise else 0
    return np.dstack([picture.clip(0, 255).round().astype(np.uint8)] * 3)


def subjects(found: Sequence[Detection]) -> list[str | None]:
    return [one.subject for one in found]


def read(detector: QrDetector, frame: Frame) -> tuple[Detection, ...]:
    (found,) = detector.detect([frame])
    return found


def test_a_small_blurred_code_is_read_by_the_second_try_alone_and_in_its_place() -> None:
    frame = seen(drawn())
    assert read(QrDetector(QrConfig(second_try=False)), frame) == ()
    (found,) = read(QrDetector(QrConfig()), frame)
    assert found.subject == PAYLOAD
    assert found.box is not None
    assert (found.box.x * 640, found.box.y * 480) == pytest.approx((308, 208), abs=5)
    assert (found.box.w * 640, found.box.h * 480) == pytest.approx((60, 60), abs=5)


def test_nothing_is_tried_again_where_nothing_was_found() -> None:
    noise = np.random.default_rng(1).integers(0, 256, (480, 640, 3), np.uint8)
    for image in (noise, np.zeros_like(noise), drawn(side_px=200, blur_px=0.0)):
        codes = zxingcpp.read_barcodes(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), formats=QR, return_errors=True)
        assert list(tiles_of(codes, image)) == []


def test_a_code_that_fails_is_looked_at_in_one_place() -> None:
    image = drawn()
    codes = zxingcpp.read_barcodes(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), formats=QR, return_errors=True)
    (tile,) = tiles_of(codes, image)
    assert (tile.left < 300, tile.right > 376, tile.top < 200, tile.bottom > 276) == (True,) * 4
    assert max(tile.size) <= MOST_PX
    assert list(tiles_of([*codes, *codes], image)) == [tile]


def test_steps_that_are_too_costly_for_a_tile_are_left_out() -> None:
    at_most = [step.most_px for step in STEPS]
    assert max(at_most) == MOST_PX
    (costly,) = [step for step in STEPS if step.times == 4]
    grey = drawn(side_px=60, blur_px=0.0)[150:350, 250:450, 0]
    assert read_tile(grey, QR, [costly]) is None
    assert read_tile(grey[30:130, 30:130], QR, [costly]) is not None


def crossed(at_px: int) -> Image:
    """A code with a bar over it that reaches down through all of its rows but the outermost."""
    image = drawn(side_px=160, blur_px=0.0)
    image[245:315, 300 + at_px : 300 + at_px + 42] = 255
    return image


def test_looks_laid_over_another_are_read_where_no_single_one_is() -> None:
    looks = [crossed(at_px) for at_px in (22, 66, 110)]
    assert [read(QrDetector(QrConfig()), seen(look)) for look in looks] == [(), (), ()]
    detector = QrDetector(QrConfig())
    found = [subjects(read(detector, seen(look, 2.0 * n))) for n, look in enumerate(looks)]
    assert found == [[], [PAYLOAD], [PAYLOAD]]
    apart = QrDetector(QrConfig())
    assert [read(apart, seen(look, 2.0 * n, room=str(n))) for n, look in enumerate(looks)] == [(), (), ()]


def test_looks_at_a_place_are_laid_over_another_from_the_second_on_and_bounded() -> None:
    looks = Looks()
    given = [
        looks.add(seen(np.full((480, 640, 3), level, np.uint8), 2.0 * n), PLACE)
        for n, level in enumerate((90, 96, 102, 108))
    ]
    medians = [None if one is None else (one[0], int(one[1][0, 0])) for one in given]
    assert medians == [None, (PLACE, 93), (PLACE, 96), (PLACE, 102)]
    assert LOOKS == 3


def test_a_place_that_jitters_is_the_same_place_and_another_size_is_not() -> None:
    looks, image = Looks(), np.full((480, 640, 3), 90, np.uint8)
    assert looks.add(seen(image), PLACE) is None
    near = looks.add(seen(image, 1.0), Tile(left=104, top=77, right=186, bottom=158))
    assert near is not None
    assert near[0] == PLACE
    assert looks.add(seen(image, 2.0), Tile(left=60, top=40, right=240, bottom=220)) is None


@pytest.mark.parametrize(
    ("second", "why"),
    [
        (seen(np.full((480, 640, 3), 90, np.uint8), 1.0, room="other"), "another room"),
        (seen(np.full((480, 640, 3), 90, np.uint8), 1.0, session=2), "another session"),
        (seen(np.full((480, 640, 3), 90, np.uint8), 11.0), "too long ago"),
        (seen(np.full((480, 640, 3), 190, np.uint8), 1.0), "something else is there"),
        (seen(np.full((150, 170, 3), 90, np.uint8), 1.0), "the picture has become smaller"),
    ],
)
def test_looks_are_not_mixed(second: Frame, why: str) -> None:
    looks = Looks()
    assert looks.add(seen(np.full((480, 640, 3), 90, np.uint8)), PLACE) is None
    assert looks.add(second, PLACE) is None, why


def test_memory_is_bounded_in_rooms_and_places() -> None:
    looks, image = Looks(), np.full((480, 640, 3), 90, np.uint8)
    for room in range(100):
        for n in range(12):
            looks.add(seen(image, 0.1 * n, room=str(room)), Tile(left=50 * n, top=0, right=50 * n + 40, bottom=40))
    assert len(looks._rooms) == qr_looks._ROOMS
    assert {len(room.places) for room in looks._rooms.values()} == {qr_looks._PLACES_PER_ROOM}
    assert looks.add(seen(image, 2.0, room="99"), Tile(left=550, top=0, right=590, bottom=40)) is not None
    assert looks.add(seen(image, 2.0, room="0"), Tile(left=550, top=0, right=590, bottom=40)) is None


FORMATS: tuple[CodeFormat, ...] = ("qr", "micro_qr", "data_matrix", "aztec", "pdf417")


@pytest.mark.parametrize("name", FORMATS)
def test_formats_are_read_where_they_are_switched_on_and_nowhere_else(name: CodeFormat) -> None:
    frame = seen(drawn(name, side_px=240, blur_px=0.0))
    others = tuple(other for other in FORMATS if other != name)
    assert subjects(read(QrDetector(QrConfig(formats=(name,))), frame)) == [
        "MICRO 1" if name == "micro_qr" else PAYLOAD
    ]
    assert read(QrDetector(QrConfig(formats=others)), frame) == ()


def test_qr_alone_is_read_unless_said_otherwise_and_none_is_refused() -> None:
    assert QrConfig().formats == ("qr",)
    with pytest.raises(ValueError, match="at least 1"):
        QrConfig(formats=())
