"""Copies show what was seen, or nothing at all."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from streammon.deliver import evidence_font
from streammon.deliver.evidence import snapshot
from streammon.deliver.evidence_drawing import MAX_HITS, annotated, blurred
from streammon.deliver.evidence_font import Lettering
from streammon.entities import Box, QrReading
from streammon.errors import EvidenceError
from streammon.events import Hit
from tests.needs import need
from tests.unit.evidence_making import jpeg

GREY = snapshot(np.full((720, 1280, 3), 128, np.uint8)).jpeg


def hit(**changed: Any) -> Hit:
    return replace(Hit(detector="d", model="m", label="violence.gore", confidence=0.5), **changed)


def decoded(content: bytes) -> NDArray[np.int16]:
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"), np.int16)


def drawn(*hits: Hit, lettering: Lettering | None = None) -> NDArray[np.bool_]:
    """Where the grey picture has changed: 720 x 1280, true or false."""
    content = annotated(GREY, hits, lettering if lettering is not None else Lettering(), quality=95)
    return np.asarray(np.abs(decoded(content) - 128).max(axis=2) > 40)


@pytest.fixture
def no_fonts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The font of a machine that has none."""
    monkeypatch.setattr(evidence_font, "_SYSTEM", ())
    monkeypatch.setattr(evidence_font, "_PACKAGE", "no_such_package")


def test_a_box_is_drawn_where_it_is_with_its_caption_above() -> None:
    changed = drawn(hit(box=Box(x=0.5, y=0.5, w=0.25, h=0.25)))

    assert changed[360:540, 640].all()  # the left edge
    assert changed[538, 650:950].all()  # the bottom
    assert not changed[400:500, 700:900].any()  # what is inside can be seen
    assert changed[330:358, 642:800].mean() > 0.5
    assert not changed[:300].any()


def test_a_hit_of_the_whole_frame_is_listed_at_the_top() -> None:
    one, two = drawn(hit()), drawn(hit(), hit(label="values.smoking"))

    assert one[:20, :100].any()
    assert not one[30:].any()
    assert two[25:45, :100].any()


@pytest.mark.parametrize(
    "box",
    [
        Box(x=-1, y=-1, w=9, h=9),
        Box(x=0.99, y=0.99, w=0, h=0),
        Box(x=1.5, y=2, w=-1, h=-1),
        Box(x=0.5, y=0, w=0.1, h=0.1),
    ],
)
def test_a_box_out_of_the_frame_is_drawn_within(box: Box) -> None:
    assert drawn(hit(box=box, text="x" * 500)).any()


def test_recognised_text_and_payloads_are_in_the_caption() -> None:
    plain = drawn(hit())
    for with_text in (hit(text="加微信"), hit(qr=QrReading(payload="http://x"))):
        assert drawn(with_text).sum() > plain.sum()


def test_many_hits_are_bounded() -> None:
    boxes = [hit(box=Box(x=number / 100, y=0.5, w=0.005, h=0.1)) for number in range(MAX_HITS + 20)]

    assert (drawn(*boxes) == drawn(*boxes[:MAX_HITS])).all()


def test_chinese_is_written_where_a_font_has_it() -> None:
    lettering = Lettering()
    need("a font with Chinese", None if lettering.writes("漢") else "pip install 'streammon[cjk]'")

    assert lettering.shown("加微信 VX12345 한국 カナ é") == "加微信 VX12345 한국 カナ é"
    assert (drawn(hit(text="加")) != drawn(hit(text="微"))).any()


@pytest.mark.usefixtures("no_fonts")
def test_without_such_a_font_it_is_said_and_marked(caplog: pytest.LogCaptureFixture) -> None:
    built_in = Lettering()

    assert built_in.shown("加V信 x") == "?V? x"
    assert "fonts-noto-cjk" in caplog.text
    assert drawn(hit(text="加V"), lettering=built_in).any()


@pytest.mark.parametrize("text", ["a\nb", "a\u202eb", "a\x1bb", "a\U0010ffffb"])
def test_what_would_steer_the_line_is_not_written(text: str) -> None:
    assert Lettering().shown(text) == "a?b"


def test_a_font_that_is_none_is_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "font.ttf"
    path.write_text("no font")

    with pytest.raises(EvidenceError, match="name one that can be read"):
        Lettering(path)


def test_a_blurred_copy_keeps_the_size_and_no_detail() -> None:
    chequered = np.indices((720, 1280)).sum(axis=0) // 16 % 2 * 255
    sharp = snapshot(np.repeat(chequered[:, :, None], 3, axis=2).astype(np.uint8)).jpeg
    copy = decoded(blurred(sharp, quality=85))

    assert copy.shape == (720, 1280, 3)
    assert decoded(sharp).std() > 100
    assert copy.std() < 5


def test_blurred_is_not_black() -> None:
    halves = np.zeros((90, 160, 3), np.uint8)
    halves[:, 80:] = 255
    copy = decoded(blurred(snapshot(halves).jpeg, quality=85))

    assert copy[:, :20].mean() < 30
    assert copy[:, -20:].mean() > 225


@pytest.mark.parametrize("content", [b"", b"\xff\xd8no", jpeg()[:200]])
def test_what_is_no_picture_is_an_error(content: bytes) -> None:
    with pytest.raises(EvidenceError):
        blurred(content, quality=85)
    with pytest.raises(EvidenceError):
        annotated(content, (), Lettering(), quality=85)
