"""The change measure, on pictures that went through a live encoder: noise is no change, and no new thing is missed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from io import BytesIO

import av
import cv2
import numpy as np
import pytest
import zxingcpp

from streammon.detect.change.picture_print import changed, print_of
from streammon.detect.change.reuse import Reuse
from streammon.detect.change.room_reuse import RoomReuse
from streammon.detect.config import ReuseConfig
from streammon.entities import Frame, Image
from tests.unit.colours import frame as plain_frame

WIDTH, HEIGHT, RATE = 1280, 720, 15
NOISE_LEVELS = 2.0

Change = Callable[[Image, np.random.Generator], None]


def room_picture(seed: int) -> Image:
    """A still room: soft light, and things with edges."""
    rng = np.random.default_rng(seed)
    light = rng.normal(128, 60, (9, 16, 3)).astype(np.float32)
    picture = cv2.resize(light, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    for _ in range(40):
        x, y = int(rng.integers(0, WIDTH)), int(rng.integers(0, HEIGHT))
        w, h = int(rng.integers(10, 300)), int(rng.integers(10, 200))
        cv2.rectangle(picture, (x, y), (x + w, y + h), rng.uniform(30, 220, 3).tolist(), -1)
    for side, levels in ((80, 10), (320, 8)):
        texture = rng.normal(0, levels, (side * HEIGHT // WIDTH, side, 1)).astype(np.float32)
        picture = picture + cv2.resize(texture, (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR)[..., None]
    return np.clip(picture, 0, 255).astype(np.uint8)


def live(pictures: Sequence[Image], seed: int, kbit: int = 1500) -> list[Image]:
    """The pictures, with a camera's noise, as a viewer of a live stream gets them."""
    rng, file = np.random.default_rng(seed), BytesIO()
    with av.open(file, "w", format="mpegts") as out:
        options = {"preset": "veryfast", "g": str(2 * RATE), "b": f"{kbit}k", "maxrate": f"{kbit}k", "bufsize": "1M"}
        stream = out.add_stream("libx264", rate=RATE, options=options)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = WIDTH, HEIGHT, "yuv420p", kbit * 1000
        noise = [rng.normal(0, NOISE_LEVELS, (HEIGHT, WIDTH, 1)).astype(np.float32) for _ in range(4)]
        for number, picture in enumerate(pictures):
            noisy = np.clip(picture + noise[number % 4], 0, 255).astype(np.uint8)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(noisy)))
        out.mux(stream.encode(None))
    file.seek(0)
    with av.open(file, "r") as received:
        return [np.asarray(picture.to_ndarray(format="rgb24"), np.uint8) for picture in received.decode(video=0)]


def code(side_px: int) -> Change:
    def put(picture: Image, rng: np.random.Generator) -> None:
        drawn = np.array(zxingcpp.create_barcode("https://example.org/r", zxingcpp.BarcodeFormat.QRCode).to_image())
        drawn = cv2.resize(drawn, (side_px, side_px), interpolation=cv2.INTER_AREA)
        x, y = int(rng.integers(0, WIDTH - side_px)), int(rng.integers(0, HEIGHT - side_px))
        picture[y : y + side_px, x : x + side_px] = drawn[..., None]

    return put


def line_of_text(picture: Image, rng: np.random.Generator) -> None:
    """About 14 px high, at a contrast of 3 : 1 (WCAG's relative luminance, gamma 2.2) with what lies under it."""
    x, y = int(rng.integers(0, WIDTH - 250)), int(rng.integers(30, HEIGHT - 10))
    under = (float(picture[y - 14 : y, x : x + 200].mean()) / 255) ** 2.2
    lighter, darker = 3 * (under + 0.05) - 0.05, (under + 0.05) / 3 - 0.05
    level = 255 * max(0.0, lighter if lighter <= 1 else darker) ** (1 / 2.2)
    cv2.putText(picture, "add wx 8812 abc", (x, y), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (level,) * 3, lineType=cv2.LINE_AA)


def head(picture: Image, rng: np.random.Generator) -> None:
    x, y = int(rng.integers(80, WIDTH - 80)), int(rng.integers(80, HEIGHT - 80))
    cv2.ellipse(picture, (x, y), (40, 55), 0, 0, 360, (205, 160, 135), -1)
    for eye in (-15, 15):
        cv2.circle(picture, (x + eye, y - 10), 5, (40, 30, 30), -1)
    cv2.ellipse(picture, (x, y + 25), (14, 5), 0, 0, 360, (150, 60, 60), -1)


@pytest.mark.parametrize("seed", range(3))
def test_a_still_room_is_unchanged_under_a_live_encoder_s_noise(seed: int) -> None:
    seen = live([room_picture(seed)] * (4 * RATE), seed)
    later = [print_of(seen[number]) for number in range(2 * RATE, 4 * RATE, 3)]
    same = [not changed(print_of(seen[RATE]), now).any for now in later]
    assert sum(same) >= 0.8 * len(same), "else nothing is spared"


@pytest.mark.parametrize(("levels", "seen"), [(8, False), (9, True), (-9, True)])
def test_a_change_is_what_moves_a_cell_by_more_than_noise_does(levels: int, seen: bool) -> None:
    grey = np.full((HEIGHT, WIDTH, 3), 100, np.uint8)
    other = np.full((HEIGHT, WIDTH, 3), 100 + levels, np.uint8)
    assert changed(print_of(grey), print_of(other)).any is seen


def test_only_the_tile_that_changed_is_named() -> None:
    grey = np.full((HEIGHT, WIDTH, 3), 100, np.uint8)
    other = grey.copy()
    other[330:350, 650:670] = 140
    tiles = changed(print_of(grey), print_of(other)).tiles
    assert [(int(row), int(column)) for row, column in np.argwhere(tiles)] == [(330 // 64, 650 // 64)]


@pytest.mark.parametrize(
    ("top", "left", "around"),
    [(330, 650, (576, 256, 768, 448)), (2, 3, (0, 0, 128, 128)), (700, 1270, (1152, 576, 1280, 720))],
)
def test_a_part_holds_what_changed_and_a_tile_more(top: int, left: int, around: tuple[int, ...]) -> None:
    grey = np.full((HEIGHT, WIDTH, 3), 100, np.uint8)
    other = grey.copy()
    other[top : top + 20, left : left + 20] = 140
    part = changed(print_of(grey), print_of(other)).around
    edges = (part.x * WIDTH, part.y * HEIGHT, (part.x + part.w) * WIDTH, (part.y + part.h) * HEIGHT)
    assert edges == pytest.approx(around)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("change", [code(48), code(90), line_of_text, head], ids=["qr48", "qr90", "text", "head"])
def test_what_comes_into_a_still_room_is_always_seen(change: Change, seed: int) -> None:
    before = room_picture(seed)
    after = before.copy()
    change(after, np.random.default_rng(100 + seed))
    seen = live([before] * RATE + [after] * RATE, seed)
    was = print_of(seen[RATE - 3])
    for number in range(RATE + 5, 2 * RATE, 3):
        assert changed(was, print_of(seen[number])).any, f"missed {number - RATE} pictures after it came"


def frame(image: Image, at_s: float, session: int = 1) -> Frame:
    made = plain_frame((0, 0, 0), at_s)
    moment = type(made.moment)(session=session, pts_s=at_s, received_at=made.moment.received_at)
    return type(made)(
        room_id="r1", moment=moment, seq=round(at_s * 10), key_frame=True, width=WIDTH, height=HEIGHT, image=image,
        received_s=at_s, deadline_s=at_s + 4,
    )  # fmt: skip


@pytest.fixture(scope="module")
def still() -> Image:
    return room_picture(7)


def look(reuse: RoomReuse, shown: Frame, *, hold: bool = False, due: Sequence[str] = ("a", "b")) -> set[str]:
    """Shows a frame as the engine and the judge do. Returns the detectors that were spared."""
    spared = set(reuse.unchanged(shown, due, shown.received_s))
    reuse.judged(shown, [name for name in due if name not in spared], hold=hold)
    return spared


def test_a_detector_is_spared_for_a_bounded_time(still: Image) -> None:
    reuse = RoomReuse(ReuseConfig(max_seconds=10))
    assert [look(reuse, frame(still, at_s)) for at_s in (0.0, 2.0, 9.9, 10.0, 12.0)] == [
        set(), {"a", "b"}, {"a", "b"}, set(), {"a", "b"},
    ]  # fmt: skip


def test_each_detector_is_held_to_what_it_saw_itself(still: Image) -> None:
    reuse, other = RoomReuse(ReuseConfig()), room_picture(8)
    look(reuse, frame(still, 0.0))
    look(reuse, frame(other, 2.0), due=["b"])
    assert look(reuse, frame(still, 4.0)) == {"a"}


def test_what_comes_in_slowly_adds_up(still: Image) -> None:
    reuse = RoomReuse(ReuseConfig(max_seconds=60))
    bright = still.copy()
    cv2.rectangle(bright, (600, 300), (700, 400), (255, 255, 255), -1)
    faded = [
        np.rint(still + share * (bright - still.astype(float))).astype(np.uint8) for share in np.linspace(0, 1, 40)
    ]
    spared = [bool(look(reuse, frame(image, float(at_s)))) for at_s, image in enumerate(faded)]
    assert spared[1], "one step alone is less than noise"
    assert spared.count(False) >= 3, "all of it is not"


def test_nothing_is_spared_while_something_goes_on_nor_across_sessions_or_sizes(still: Image) -> None:
    reuse = RoomReuse(ReuseConfig())
    look(reuse, frame(still, 0.0))
    assert look(reuse, frame(still, 1.0, session=2)) == set()
    assert look(reuse, frame(still[:, :640], 2.0, session=2)) == set()
    assert look(reuse, frame(still[:, :640], 3.0, session=2), hold=True) == {"a", "b"}
    assert look(reuse, frame(still[:, :640], 4.0, session=2), hold=True) == {"a", "b"}
    assert look(reuse, frame(still, 13.0, session=2), hold=True) == set()
    assert look(reuse, frame(still, 14.0, session=2)) == set(), "a look at which something went on is not kept"
    reuse.forget("r1")
    assert look(reuse, frame(still, 15.0, session=2)) == set()


def test_it_can_be_switched_off_or_left_to_some(still: Image) -> None:
    off, some = RoomReuse(ReuseConfig(enabled=False)), RoomReuse(ReuseConfig(detectors=("b",)))
    for reuse in (off, some):
        look(reuse, frame(still, 0.0))
    assert look(off, frame(still, 1.0)) == set()
    assert look(some, frame(still, 1.0)) == {"b"}


def test_memory_is_bounded(still: Image) -> None:
    small = np.ascontiguousarray(still[:64, :64])
    reuse = Reuse(ReuseConfig(max_seconds=10))
    for number in range(1000):
        reuse.examined("a", f"room {number}", 1, print_of(small), number / 10)
    assert len(reuse) <= 101


def with_spot(image: Image, x: int) -> Image:
    spotted = image.copy()
    spotted[300:320, x : x + 20] = 255 - spotted[300:320, x : x + 20]
    return spotted


def asked(reuse: RoomReuse, shown: Frame, detector: str = "a") -> bool:
    """Whether a detector that is not spared outright is told of a part; the frame is then told to be judged."""
    assert reuse.unchanged(shown, [detector], shown.received_s) == set()
    part = reuse.part(shown, detector)
    reuse.judged(shown, [detector] if part is None else [], hold=False)
    return part is not None


def test_a_part_is_of_all_that_changed_since_the_last_look_at_the_whole_for_a_bounded_time(still: Image) -> None:
    reuse = RoomReuse(ReuseConfig(max_seconds=10))
    first, later = frame(with_spot(still, 200), 2.0), frame(with_spot(with_spot(still, 200), 900), 4.0)
    assert not asked(reuse, frame(still, 0.0)), "it has not looked yet"
    assert asked(reuse, first)
    reuse.unchanged(later, ["a"], 4.0)
    part = reuse.part(later, "a")
    assert part is not None
    assert part.x * WIDTH < 200
    assert (part.x + part.w) * WIDTH > 920
    assert not asked(reuse, frame(with_spot(still, 200), 10.0)), "the look is too old"
    assert asked(reuse, frame(still, 12.0)), "and was taken anew, at a picture with the spot"


def test_there_is_no_part_while_something_goes_on_nor_across_sessions_or_sizes_nor_if_switched_off(
    still: Image,
) -> None:
    spotted = with_spot(still, 200)
    held, sessions, sizes = RoomReuse(ReuseConfig()), RoomReuse(ReuseConfig()), RoomReuse(ReuseConfig())
    off, others = RoomReuse(ReuseConfig(parts=False)), RoomReuse(ReuseConfig(detectors=("b",)))
    for reuse in (held, sessions, sizes, off, others):
        assert not asked(reuse, frame(still, 0.0))
    held.judged(frame(still, 1.0), ["a"], hold=True)
    assert not asked(held, frame(spotted, 2.0))
    assert not asked(sessions, frame(spotted, 2.0, session=2))
    assert not asked(sizes, frame(spotted[:, :640], 2.0))
    assert not asked(off, frame(spotted, 2.0))
    assert not asked(others, frame(spotted, 2.0))


def test_where_parts_are_in_vain_they_are_asked_for_less_and_less_often(still: Image) -> None:
    reuse, asked_at = RoomReuse(ReuseConfig()), []
    for number in range(24):
        shown = frame(with_spot(still, 40 * (number % 2) + 200), float(number))
        reuse.unchanged(shown, ["a"], shown.received_s)
        if reuse.part(shown, "a") is not None:
            asked_at.append(number)
        reuse.judged(shown, ["a"], hold=False)  # there is always something in it
    assert asked_at == [1, 3, 6, 11, 20]
    assert asked(reuse, frame(with_spot(still, 600), 24.0)) is False
