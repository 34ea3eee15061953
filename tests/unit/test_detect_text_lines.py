"""Lines of text over time: which are read, how often, and what the room says; scripted, without a model."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
import pytest

from streammon.detect.text.placed import Placed, around, beside, corners, located, parts, placed
from streammon.detect.text.room_lines import FINE_S, FORGET_S, MOST_LINES, RoomLines
from streammon.detect.text.voting import Reading
from streammon.entities import TextKind

WIDTH, HEIGHT = 1280, 720
EVERY_S = 2.0


@dataclass(kw_only=True)
class Shown:
    """A line on screen: where its left top corner is, and what is read there where that is not what stands there."""

    text: str
    x: float
    y: float
    misread: str | None = None
    height: int = 30

    @property
    def box(self) -> Placed:
        right = self.x + 18 * len(self.text)
        return placed(max(0.0, self.x), self.y, min(WIDTH, right), self.y + self.height, width_px=WIDTH)

    def read(self) -> str:
        """What the part of the line that is in the picture says."""
        first, last = max(0, round(-self.x / 18)), min(len(self.text), round((WIDTH - self.x) / 18))
        return self.misread if self.misread is not None else self.text[first:last]


@dataclass(kw_only=True)
class Script:
    """Shows pictures one after the other, and counts what had to be read."""

    lines: RoomLines = field(default_factory=lambda: RoomLines(WIDTH))
    at_s: float = 0.0
    reads: int = 0
    score: float = 0.95

    def show(self, *shown: Shown, passed_s: float = EVERY_S, joined: bool = False) -> list[tuple[str, TextKind]]:
        """What the room says `passed_s` after the last picture. `joined`: one box is found around all."""
        self.at_s += passed_s
        boxes = [one.box for one in shown]
        found = [around(boxes, width_px=WIDTH)] if joined else boxes
        spots = self.lines.look(picture(*shown), found, self.at_s)
        readings = []
        for spot in spots:
            if spot.to_read:
                here = [one for one in shown if within(one.box, spot.place)]
                text = "".join(one.read() for one in sorted(here, key=lambda one: one.x))
                readings.append(
                    Reading(text=text, score=self.score, cut_left=spot.place.cut_left, cut_right=spot.place.cut_right)
                )
        self.reads += len(readings)
        self.seen = self.lines.settle(spots, readings, self.at_s, 0.5)
        return [(line.text, line.told(WIDTH).kind) for line in self.seen]


def within(box: Placed, place: Placed) -> bool:
    return place.left <= box.left + 20 and box.right <= place.right + 20 and abs(box.row - place.row) < 15


def picture(*shown: Shown) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """White letters on grey, each 18 px wide."""
    image = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    for one in shown:
        for number, character in enumerate(one.text):
            at = (round(one.x) + 18 * number, round(one.y) + 24)
            cv2.putText(image, character, at, cv2.FONT_HERSHEY_SIMPLEX, 0.9, (255, 255, 255), 2, cv2.LINE_AA)
    return image


def texts(told: list[tuple[str, TextKind]]) -> list[str]:
    return [text for text, _ in told]


def test_a_line_that_stands_is_read_once_and_told_in_every_picture() -> None:
    script = Script()
    for _ in range(9):
        assert texts(script.show(Shown(text="add wechat abc123", x=100, y=80))) == ["add wechat abc123"]
    assert script.reads == 1


def test_a_line_that_stands_is_read_again_after_a_while_and_becomes_an_overlay_after_a_minute() -> None:
    script = Script()
    kinds = [script.show(Shown(text="online casino", x=100, y=80))[0][1] for _ in range(40)]
    assert kinds[0] == kinds[20] == TextKind.SCENE
    assert kinds[-1] == TextKind.OVERLAY
    assert script.reads == 4


def test_one_digit_that_changes_in_a_place_is_read_and_told_at_once() -> None:
    script = Script()
    for _ in range(12):
        script.show(Shown(text="call 735201846", x=100, y=80))
    assert script.reads == 2
    assert texts(script.show(Shown(text="call 735207846", x=100, y=80))) == ["call 735207846"]
    assert script.reads == 3


def test_another_text_in_the_same_place_is_another_line() -> None:
    script = Script()
    script.show(Shown(text="first message", x=100, y=80))
    assert texts(script.show(Shown(text="another words", x=100, y=80))) == ["another words"]
    assert script.seen[0].first_s == script.at_s


@pytest.mark.parametrize("speed", [-380, -90, 150, 390])
def test_a_line_that_flies_is_read_twice_however_fast_and_told_as_barrage(speed: float) -> None:
    script, x = Script(), 1100.0 if speed < 0 else -150.0
    told = []
    while -280 < x < WIDTH - 40:
        told += script.show(Shown(text="hello from Madrid", x=x, y=200))
        x += speed * EVERY_S
    whole = [text for text, kind in told if kind is TextKind.BARRAGE]
    assert whole
    assert whole[-1] == "hello from Madrid"
    assert script.reads <= 4
    assert len(script.lines) == 1


def test_what_is_said_of_a_line_is_the_vote_of_its_readings() -> None:
    script = Script()
    script.show(Shown(text="best stream of the week", x=700, y=300))
    script.show(Shown(text="best stream of the week", x=500, y=300, misread="best strean of the week"))
    told = script.show(Shown(text="best stream of the week", x=300, y=300))
    assert told == [("best stream of the week", TextKind.BARRAGE)]
    line = script.seen[0].told(WIDTH)
    assert (line.first_pts_s, line.last_pts_s, line.reads) == (2.0, 6.0, 3)


def test_a_line_that_leaves_is_told_whole_by_what_was_read_before() -> None:
    script = Script()
    for x in (520, 350, 180, 10):
        script.show(Shown(text="keep going champ", x=x, y=300))
    reads = script.reads
    assert texts(script.show(Shown(text="keep going champ", x=-160, y=300))) == ["keep going champ"]
    assert script.reads <= reads + 1


def test_a_part_of_a_line_that_is_found_alone_does_not_make_it_shorter() -> None:
    script = Script()
    for _ in range(4):
        script.show(Shown(text="the sunset looks amazing", x=500, y=300))
    for part, letters in (("amazing", 17), ("looks", 11), ("looks amazing", 11)):
        told = script.show(Shown(text=part, x=500 + letters * 18, y=300))
        assert texts(told) == ["the sunset looks amazing"]
    assert len(script.lines) == 1
    assert script.seen[0].place.width == 24 * 18


def test_two_equal_lines_in_two_rows_are_two() -> None:
    script = Script()
    for x in (900, 700, 500):
        told = script.show(Shown(text="so true", x=x, y=100), Shown(text="so true", x=x - 100, y=300))
    assert texts(told) == ["so true", "so true"]
    assert len(script.lines) == 2


def test_another_line_where_a_known_one_was_to_be_is_read() -> None:
    script = Script()
    for x in (900, 700, 500):
        script.show(Shown(text="weather is terrible", x=x, y=100))
    told = script.show(Shown(text="who is at work", x=320, y=100))
    assert texts(told) == ["who is at work"]


def test_an_equal_text_in_another_row_is_another_line() -> None:
    script = Script()
    script.show(Shown(text="so true", x=900, y=100))
    script.show(Shown(text="so true", x=700, y=400))
    assert script.seen[0].first_s == script.at_s


def test_a_line_that_follows_another_one_in_its_row_is_not_the_same() -> None:
    script = Script()
    script.show(Shown(text="weather is terrible", x=700, y=100))
    script.show(Shown(text="weather is terrible", x=300, y=100))
    told = script.show(Shown(text="who is at work", x=900, y=100))
    assert texts(told) == ["who is at work"]


def test_a_line_over_a_standing_one_is_told_apart_where_both_are_found_as_one() -> None:
    script = Script()
    standing = Shown(text="no comment", x=400, y=500)
    for x in (1100, 900):
        script.show(standing, Shown(text="flying line", x=x, y=500))
    joined = Shown(text="no comment", x=400, y=500), Shown(text="flying line", x=590, y=500)
    assert sorted(texts(script.show(*joined, joined=True))) == ["flying line", "no comment"]
    assert len(script.lines) == 2


def test_a_place_without_legible_text_is_not_read_again_and_not_told() -> None:
    script = Script(score=0.2)
    for _ in range(5):
        assert script.show(Shown(text="#%&#", x=100, y=80)) == []
    assert script.reads == 1


def test_what_was_not_seen_for_long_is_forgotten_and_no_room_grows_without_end() -> None:
    script = Script()
    script.show(Shown(text="so true", x=500, y=100))
    script.show(passed_s=FORGET_S + 1)
    assert len(script.lines) == 0
    many = [
        Shown(text=f"{number:03d}", x=(number % 16) * 78 + 10, y=number // 16 * 34, height=24) for number in range(300)
    ]
    script.show(*many)
    assert len(script.lines) == MOST_LINES


def test_the_same_script_says_the_same() -> None:
    def run() -> list[list[tuple[str, TextKind]]]:
        script = Script()
        return [
            script.show(
                *(Shown(text=f"line number {row}", x=1200 - (60 + 40 * row) * at, y=60 * row + 10) for row in range(9))
            )
            for at in range(8)
        ]

    assert run() == run()


def test_small_lines_are_looked_for_once_in_a_while_and_where_some_are_in_every_second_picture() -> None:
    lines, quiet = RoomLines(WIDTH), [float(at) for at in range(2, 92, 2)]
    closely = [at for at in quiet if lines.fine(at, 40)]
    assert closely == [2, 2 + FINE_S, 2 + 2 * FINE_S]
    script = Script()
    closely = []
    for _ in range(10):
        closely.append(script.lines.fine(script.at_s + EVERY_S, 40))
        script.show(Shown(text="small print", x=100, y=80, height=30))
    assert closely == [True, False] * 5


def box(left: float, right: float, top: float = 100, bottom: float = 130) -> Placed:
    return placed(left, top, right, bottom, width_px=WIDTH)


@pytest.mark.parametrize(
    ("boxes", "together"),
    [
        ([box(100, 200), box(210, 300)], [[0, 1]]),
        ([box(210, 300), box(100, 200)], [[1, 0]]),
        ([box(100, 200), box(250, 300)], [[0], [1]]),
        ([box(100, 200), box(210, 300, 120, 150)], [[0], [1]]),
        ([box(100, 200), box(210, 300, 92, 140)], [[0], [1]]),
        ([box(100, 200), box(180, 300), box(305, 400)], [[0, 1, 2]]),
        ([], []),
    ],
)
def test_boxes_that_are_one_line(boxes: list[Placed], together: list[list[int]]) -> None:
    assert parts(boxes) == together


def test_a_box_at_a_side_is_cut_off_there() -> None:
    assert (box(2, 100).cut_left, box(2, 100).cut_right) == (True, False)
    assert (box(1000, 1279).cut_left, box(1000, 1279).cut_right) == (False, True)
    assert not box(20, 1200).cut
    assert around([box(2, 50), box(60, 1279)], width_px=WIDTH).cut_left


def test_what_is_left_of_a_box_beside_a_line() -> None:
    assert beside(box(100, 400), box(200, 300), width_px=WIDTH) == [box(100, 200), box(300, 400)]
    assert beside(box(100, 400), box(110, 390), width_px=WIDTH) == []


def test_a_tilted_line_keeps_its_corners_and_a_level_one_becomes_upright() -> None:
    tilted = np.array([(100, 100), (300, 140), (295, 170), (95, 130)], np.float32)
    assert np.array_equal(corners(located(tilted, width_px=WIDTH)), tilted)
    level = np.array([(100, 100), (300, 102), (300, 132), (100, 130)], np.float32)
    assert np.array_equal(corners(located(level, width_px=WIDTH))[0], (100, 100))
    assert np.array_equal(corners(located(level, width_px=WIDTH))[2], (300, 132))
