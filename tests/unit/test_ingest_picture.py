"""What a room's picture amounts to: drawn pictures, and the same through real H.264 at the bitrates of live rooms."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import cache
from io import BytesIO
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from streammon.entities import Image, PictureState
from streammon.ingest.sampling.picture import PictureChange, PictureWatch

WIDTH, HEIGHT = 640, 360
AFTER_S, EVERY_S = 10.0, 2.0
RATE = 5  # of the encoded clips; every picture is held for one sampling interval
CLIP = Path(__file__).resolve().parents[2] / "sample_streams" / "room.mp4"
LIVE, BLACK, SOLID, NO_SIGNAL, FROZEN = PictureState
Told = list[tuple[float, PictureState]]


def flat(colour: tuple[int, int, int], width: int = WIDTH, height: int = HEIGHT) -> Image:
    return np.full((height, width, 3), colour, np.uint8)


def lettered(
    image: Image, text: str, at: tuple[int, int], scale: float, colour: tuple[int, int, int] = (255,) * 3
) -> Image:
    image = image.copy()
    cv2.putText(image, text, at, cv2.FONT_HERSHEY_SIMPLEX, scale, colour, 2, cv2.LINE_AA)
    return image


def scene(shift: int = 0) -> Image:
    """Soft shapes of many colours and sizes, some with hard edges; `shift` moves all of it."""
    return np.roll(_scene(), shift, axis=1)


@cache
def _scene() -> Image:
    rng = np.random.default_rng(7)
    image = cv2.resize(rng.integers(40, 200, (6, 10, 3)).astype(np.uint8), (WIDTH, HEIGHT), None, 0, 0, cv2.INTER_CUBIC)
    for _ in range(40):
        centre = (int(rng.integers(WIDTH)), int(rng.integers(HEIGHT)))
        cv2.circle(image, centre, int(rng.integers(5, 60)), rng.integers(20, 230, 3).tolist(), -1, cv2.LINE_AA)
    return np.asarray(image, np.uint8)


def text_page(first_line: int) -> Image:
    image = flat((250, 250, 250))
    rng = np.random.default_rng(5)
    lines = ["".join(rng.choice(list("abcdefghij klmnop "), 90)) for _ in range(60)]
    for number, y in enumerate(range(0, HEIGHT + 16, 16)):
        cv2.putText(image, lines[number + first_line], (0, y), 0, 0.45, (20, 20, 20), 1, cv2.LINE_AA)
    return image


def snow(number: int) -> Image:
    """Noise as a receiver for 360 x 288 shows it, enlarged."""
    grains = np.random.default_rng(number).normal(110, 60, (288, 360)).clip(0, 255).astype(np.uint8)
    return np.repeat(cv2.resize(grains, (WIDTH, HEIGHT))[..., None], 3, axis=2)


def bars(card: str, width: int = WIDTH, height: int = HEIGHT) -> Image:
    """A test card as FFmpeg draws it."""
    graph = av.filter.Graph()
    source, sink = graph.add(card, f"size={width}x{height}"), graph.add("buffersink")
    source.link_to(sink)
    graph.configure()
    return rgb(graph.vpull())


def noisy(number: int) -> Image:
    return np.random.default_rng(number).integers(0, 256, (9, 16, 3), np.uint8)


def stripes(*colours: tuple[int, int, int]) -> Image:
    columns = np.array(colours, np.uint8)[np.arange(WIDTH) * len(colours) // WIDTH]
    return np.repeat(columns[None], HEIGHT, axis=0)


def rgb(picture: av.VideoFrame) -> Image:
    return np.ascontiguousarray(picture.to_ndarray(format="rgb24"), dtype=np.uint8)


def through_h264(images: Sequence[Image], kbps: int = 400) -> list[Image]:
    """Each picture held for EVERY_S and encoded at a constant bitrate, a key frame every 4 s; one of each is given."""
    held, file = round(EVERY_S * RATE), BytesIO()
    rate = {"maxrate": f"{kbps}k", "bufsize": f"{kbps}k"}
    with av.open(file, "w", format="mpegts") as out:
        video = out.add_stream(
            "libx264", rate=RATE, options={"preset": "veryfast", "tune": "zerolatency", "g": "20"} | rate
        )
        video.width, video.height, video.pix_fmt = images[0].shape[1], images[0].shape[0], "yuv420p"
        video.bit_rate = kbps * 1000
        for number in range(len(images) * held):
            frame = av.VideoFrame.from_ndarray(images[number // held])
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
    file.seek(0)
    with av.open(file, "r") as container:
        pictures = list(container.decode(video=0))
    return [rgb(picture) for picture in pictures[held - 3 :: held]]


def told(images: Sequence[Image], watch: PictureWatch | None = None) -> Told:
    """What is told of the pictures, each EVERY_S after the other, and when."""
    watch = watch if watch is not None else PictureWatch(AFTER_S)
    changes = [(n * EVERY_S, watch.look(i, n * EVERY_S, (i.shape[1], i.shape[0]))) for n, i in enumerate(images)]
    return [(at_s, change.picture) for at_s, change in changes if change is not None]


def test_first_picture_is_told_as_live_with_its_size() -> None:
    change = PictureWatch(AFTER_S).look(flat((0, 0, 0)), 0.0, (1920, 1080))
    assert change == PictureChange(picture=LIVE, width=1920, height=1080, resized=False, changed=True)


def test_condition_is_told_after_its_time_and_live_at_once() -> None:
    images = [scene()] + [flat((0, 0, 0))] * 7 + [scene(), scene(40)]
    assert told(images) == [(0, LIVE), (12, BLACK), (16, LIVE)]


def test_fade_that_does_not_last_is_not_told() -> None:
    assert told(([flat((0, 0, 0))] * 5 + [scene()]) * 3) == [(0, LIVE)]


@pytest.mark.parametrize("level", [0, 30])
def test_black_with_a_logo_and_a_running_clock_is_black(level: int) -> None:
    ticking = [lettered(flat((level,) * 3), f"20:15:{n:02}", (520, 30), 0.6) for n in range(12)]
    images = through_h264([lettered(image, "LOGO", (20, 340), 0.6) for image in ticking])
    assert told(images) == [(0, LIVE), (10, BLACK)]


def test_noise_of_a_capped_camera_is_black() -> None:
    images = [np.random.default_rng(n).normal(8, 8, (HEIGHT, WIDTH, 3)).clip(0, 255).astype(np.uint8) for n in range(7)]
    assert told(through_h264(images)) == [(0, LIVE), (10, BLACK)]


def test_dark_scene_is_live_and_not_black() -> None:
    night = [(scene(3 * n) * 0.12).astype(np.uint8) for n in range(12)]
    assert max(int(image.max()) for image in night) < 32
    assert told(through_h264(night, 200)) == [(0, LIVE)]


@pytest.mark.parametrize("colour", [(0, 0, 255), (255, 255, 255), (128, 128, 128), (0, 120, 60)])
def test_one_colour_with_a_small_text_is_solid(colour: tuple[int, int, int]) -> None:
    blue = lettered(flat(colour), "NO INPUT", (240, 190), 0.8, (255, 255, 0))
    assert told(through_h264([blue] * 7)) == [(0, LIVE), (10, SOLID)]


def test_two_colours_are_not_one() -> None:
    # They stand still, and that is all: the share of the smaller is beyond a logo's.
    image = flat((0, 0, 200))
    image[: HEIGHT // 10] = (200, 200, 200)
    assert told([image] * 7) == [(0, LIVE), (10, FROZEN)]


@pytest.mark.parametrize("card", ["smptebars", "smptehdbars", "pal75bars", "pal100bars"])
@pytest.mark.parametrize(
    "shown",
    [
        lambda card: card,
        lambda card: lettered(card, "NO SIGNAL", (200, 190), 1.3),
        lambda card: lettered(card, "12:34:56", (420, 60), 0.9),
        lambda card: np.ascontiguousarray(card[:, ::-1]),
        lambda card: np.pad(card, ((380, 380), (0, 0), (0, 0))),
        lambda card: np.pad(card, ((0, 0), (100, 100), (0, 0))),
        lambda card: (card * (219 / 255) + 16).astype(np.uint8),
    ],
    ids=["plain", "text", "clock", "mirrored", "portrait", "pillars", "washed out"],
)
def test_colour_bars_are_no_signal(card: str, shown: Callable[[Image], Image]) -> None:
    assert told(through_h264([shown(bars(card))], 300) * 7) == [(0, LIVE), (10, NO_SIGNAL)]


@pytest.mark.parametrize(
    "colours",
    [
        [(0, 85, 164), (255, 255, 255), (239, 65, 53)],
        [(0, 146, 70), (255, 255, 255), (206, 43, 55)],
        [(228, 3, 3), (255, 140, 0), (255, 237, 0), (0, 128, 38), (0, 77, 255), (117, 7, 135)],
        [(191, 191, 0), (0, 191, 0), (0, 191, 191), (191, 0, 191), (191, 0, 0), (0, 0, 191)],
        [(200, 30, 30), (240, 240, 240)] * 6,
    ],
    ids=["France", "Italy", "rainbow", "another order", "striped"],
)
def test_flags_and_stripes_are_not_bars(colours: list[tuple[int, int, int]]) -> None:
    assert told([stripes(*colours)] * 7) == [(0, LIVE), (10, FROZEN)]


def test_snow_is_no_signal() -> None:
    # The second picture is the first that can be seen to be another noise than the one before.
    assert told(through_h264([snow(n) for n in range(9)], 300)) == [(0, LIVE), (12, NO_SIGNAL)]


def test_noise_that_stands_still_is_frozen() -> None:
    assert told([snow(0)] * 7) == [(0, LIVE), (10, FROZEN)]


@pytest.mark.parametrize(
    "image",
    [
        text_page,
        lambda n: scene(97 * n),
        lambda n: np.random.default_rng(n).integers(0, 256, (90, 160, 3)).astype(np.uint8),
        lambda n: (
            (np.random.default_rng(n).normal(0, 4, (90, 160, 1)) + np.arange(160)[None, :, None] + 40)
            .repeat(3, 2)
            .astype(np.uint8)
        ),
    ],
    ids=["scrolled text", "moving scene", "coloured noise", "noise over a shade"],
)
def test_what_changes_but_is_no_snow_is_live(image: Callable[[int], Image]) -> None:
    assert told([image(3 * n) for n in range(12)]) == [(0, LIVE)]


@pytest.mark.parametrize("kbps", [120, 1500])
def test_still_picture_is_frozen_through_every_key_frame(kbps: int) -> None:
    # At 120 kbit/s the first seconds' pictures still gain detail.
    events = told(through_h264([scene()] * 20, kbps))
    assert [picture for _, picture in events] == [LIVE, FROZEN]
    assert events[1][0] <= 16


def _cursor(image: Image, number: int) -> Image:
    image = image.copy()
    image[200:212, 300:302] = 240 if number % 2 else 10
    return image


def _mouth(image: Image, number: int) -> Image:
    drawn = image.copy()
    cv2.ellipse(drawn, (320, 200), (10, (2, 7, 4)[number % 3]), 0, 0, 360, (120, 20, 30), -1, cv2.LINE_AA)
    return drawn


def _clock(image: Image, number: int) -> Image:
    return lettered(image, f"20:15:{number * 2:02}", (500, 30), 0.5)


def _chat(image: Image, number: int) -> Image:
    return lettered(image, f"viewer {number}: {'hello' * (number % 4)}", (20, 330), 0.5)


@pytest.mark.parametrize("moves", [_cursor, _mouth, _clock, _chat])
def test_one_small_thing_that_moves_is_live(moves: Callable[[Image, int], Image]) -> None:
    assert told(through_h264([moves(scene(), n) for n in range(12)], 300)) == [(0, LIVE)]


def test_faint_motion_in_a_clean_picture_is_live() -> None:
    def faint(number: int) -> Image:
        image = scene().copy()
        image[200:216, 300:316] += np.uint8(number % 2 * 12)
        return image

    assert told([faint(n) for n in range(12)]) == [(0, LIVE)]


def test_drift_too_slow_to_be_seen_between_two_samples_is_live() -> None:
    assert told([(scene() * (0.5 + 0.015 * n)).astype(np.uint8) for n in range(20)]) == [(0, LIVE)]


def test_frozen_again_after_one_change_is_two_events() -> None:
    images = [scene()] * 8 + [scene(40)] + [scene()] * 8
    assert told(images) == [(0, LIVE), (10, FROZEN), (16, LIVE), (28, FROZEN)]


def test_share_that_wavers_at_the_limit_does_not_flap() -> None:
    def logo(share: float) -> Image:
        image = flat((0, 0, 0))
        image[: round(HEIGHT * 0.25), : round(WIDTH * share * 4)] = 200
        return image

    assert told([logo(0.03)] * 6 + [logo(0.045), logo(0.035)] * 6) == [(0, LIVE), (10, BLACK)]
    assert [picture for _, picture in told([logo(0.045), logo(0.035)] * 9)] == [LIVE]
    assert told([logo(0.03)] * 6 + [logo(0.09)]) == [(0, LIVE), (10, BLACK), (12, LIVE)]


def test_one_condition_turns_into_another_without_live_between() -> None:
    images = [flat((0, 0, 0))] * 7 + [flat((0, 0, 255))] * 7 + [bars("pal75bars")] * 7
    # Blue is of one colour as black was, so it is told as soon as black has ended.
    assert told(images) == [(0, LIVE), (10, BLACK), (14, SOLID), (38, NO_SIGNAL)]


def test_new_session_begins_durations_anew_and_keeps_what_was_told() -> None:
    watch = PictureWatch(AFTER_S)
    assert told([scene(40)] * 3 + [scene()] * 4, watch) == [(0, LIVE)]
    watch.begin_session()
    assert told([scene()] * 6, watch) == [(10, FROZEN)]
    watch.begin_session()
    assert told([scene()] * 6, watch) == []
    watch.begin_session()
    assert told([scene(40)], watch) == [(0, LIVE)]


def test_another_size_is_told_with_what_the_picture_amounts_to() -> None:
    watch = PictureWatch(AFTER_S)
    told([flat((0, 0, 0))] * 6, watch)
    resized = watch.look(flat((0, 0, 0), 360, 640), 12.0, (360, 640))
    assert resized == PictureChange(picture=BLACK, width=360, height=640, resized=True, changed=False)
    both = watch.look(scene(), 14.0, (WIDTH, HEIGHT))
    assert both == PictureChange(picture=LIVE, width=WIDTH, height=HEIGHT, resized=True, changed=True)


def test_sample_room_is_live_throughout() -> None:
    with av.open(str(CLIP)) as container:
        container.streams.video[0].codec_context.skip_frame = "NONKEY"
        images = [rgb(picture) for picture in container.decode(video=0)]
    assert len(images) == 24
    assert told(images) == [(0, LIVE)]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 300), st.integers(1, 300), st.integers(0, 255)), min_size=1, max_size=5))
def test_pictures_of_any_size_are_looked_at(sizes: list[tuple[int, int, int]]) -> None:
    watch = PictureWatch(AFTER_S)
    for number, (height, width, level) in enumerate(sizes):
        change = watch.look(flat((level, 0, 0), width, height), float(number), (width, height))
        assert (change is not None) == (number == 0 or sizes[number][:2] != sizes[number - 1][:2])


@settings(max_examples=60, deadline=None)
@example(np.array([[[0, 19, 0]] + [[0, 0, 0]] * 12], np.uint8))
@given(arrays(np.uint8, st.tuples(st.integers(1, 40), st.integers(1, 40), st.just(3))))
def test_pictures_of_any_content_are_looked_at(image: Image) -> None:
    assert [at_s for at_s, _ in told([image] * 7)] == [0, AFTER_S]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("bsl"), st.integers(1, 9)), min_size=1, max_size=12))
def test_black_is_told_exactly_while_it_has_lasted(stretches: list[tuple[str, int]]) -> None:
    watch, picture = PictureWatch(AFTER_S), LIVE
    now = since = 0.0
    looking_at = ""
    for kind, length in stretches:
        since, looking_at = (since if kind == looking_at else now), kind
        for _ in range(length):
            image = {"b": flat((0, 0, 0), 16, 9), "s": flat((0, 0, 200), 16, 9)}.get(kind, noisy(int(now)))
            change = watch.look(image, now, (16, 9))
            picture = change.picture if change else picture
            assert (picture is BLACK) == (kind == "b" and now - since >= AFTER_S)
            assert kind != "l" or picture is LIVE
            now += EVERY_S
