"""Picture files of all kinds, sound and damaged."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pictures

from streammon.errors import PictureUnreadable
from streammon.library.read_picture import read_picture

RED = (200, 10, 10)


def saved(picture: Pictures.Image, kind: str = "PNG", **how: object) -> bytes:
    out = BytesIO()
    picture.save(out, kind, **how)
    return out.getvalue()


def half_red() -> Pictures.Image:
    """40 x 20 pixels: the left half red, the right one white."""
    picture = Pictures.new("RGB", (40, 20), "white")
    picture.paste(RED, (0, 0, 20, 20))
    return picture


def see_through() -> Pictures.Image:
    """The same, but black and wholly transparent where that is white."""
    picture = Pictures.new("RGBA", (40, 20), (0, 0, 0, 0))
    picture.paste((*RED, 255), (0, 0, 20, 20))
    return picture


def animated() -> bytes:
    frames = [half_red(), Pictures.new("RGB", (40, 20), "blue")]
    return saved(frames[0], "GIF", save_all=True, append_images=frames[1:])


def palette_see_through() -> bytes:
    picture = Pictures.new("P", (40, 20), 1)
    picture.putpalette([*RED, 0, 0, 0])
    picture.paste(0, (0, 0, 20, 20))
    return saved(picture, transparency=1)


@pytest.mark.parametrize(
    "made",
    [
        pytest.param(lambda: saved(half_red()), id="rgb"),
        pytest.param(lambda: saved(half_red().convert("P")), id="palette"),
        pytest.param(lambda: saved(half_red().convert("CMYK"), "TIFF"), id="cmyk-tiff"),
        pytest.param(lambda: saved(half_red().convert("CMYK"), "JPEG", quality=95), id="cmyk-jpeg"),
        pytest.param(lambda: saved(half_red(), "WEBP", lossless=True), id="webp"),
        pytest.param(lambda: saved(see_through()), id="rgba"),
        pytest.param(palette_see_through, id="palette-transparency"),
        pytest.param(animated, id="animated"),
    ],
)
def test_every_kind_comes_out_in_rgb(made: Callable[[], bytes]) -> None:
    picture = read_picture(made())
    assert (picture.shape, picture.dtype.name, picture.flags.c_contiguous) == ((20, 40, 3), "uint8", True)
    assert np.abs(picture[10, 5].astype(int) - RED).max() < 12
    assert picture[10, 35].min() > 243


@pytest.mark.parametrize("depth", [8, 16])
def test_grey_of_any_depth_keeps_its_brightness(depth: int) -> None:
    grey = np.array([[0, 128, 255]], np.uint8)
    pixels = grey if depth == 8 else grey.astype(np.uint16) * 257
    assert read_picture(saved(Pictures.fromarray(pixels))).tolist() == [[[0] * 3, [128] * 3, [255] * 3]]


def test_grey_with_transparency() -> None:
    picture = Pictures.new("LA", (2, 1), (0, 0))
    picture.putpixel((0, 0), (7, 255))
    assert read_picture(saved(picture))[0].tolist() == [[7] * 3, [255] * 3]


@pytest.mark.parametrize("value", range(1, 9))
def test_a_picture_is_turned_upright(value: int) -> None:
    upright = Pictures.fromarray(np.arange(6, dtype=np.uint8).reshape(2, 3) * 40).convert("RGB")
    undo = {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}[value]  # the reverse of what a reader has to do
    stored = upright if undo is None else upright.transpose(Pictures.Transpose(undo))
    exif = Pictures.Exif()
    exif[0x0112] = value
    assert np.array_equal(read_picture(saved(stored, exif=exif)), np.asarray(upright))


@pytest.mark.parametrize("size", [(1, 1), (20_000, 10), (10, 20_000)])
def test_odd_sizes_are_sizes(size: tuple[int, int]) -> None:
    assert read_picture(saved(Pictures.new("L", size))).shape == (size[1], size[0], 3)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "no picture"),
        (b"not a picture", "no picture"),
        (saved(half_red(), "PPM"), "no picture"),
        (saved(half_red())[:60], "damaged"),
        (saved(Pictures.effect_noise((80, 80), 50).convert("RGB"), "JPEG")[:-800], "damaged"),
        (saved(Pictures.new("F", (4, 4)), "TIFF"), "32 bits"),
        (saved(Pictures.new("L", (300, 300))), "300 x 300 pixels"),
    ],
)
def test_what_is_no_picture_is_named(tmp_path: Path, content: bytes, says: str) -> None:
    file = tmp_path / "odd.png"
    file.write_bytes(content)
    with pytest.raises(PictureUnreadable, match=f"odd.png: .*{says}"):
        read_picture(file, max_pixels=80_000)


@pytest.mark.filterwarnings("default::PIL.Image.DecompressionBombWarning")  # as where an operator runs it
@pytest.mark.parametrize("side", [10_000, 14_000])
def test_what_pillow_takes_for_a_bomb_is_too_large_and_not_damaged(
    tmp_path: Path, recwarn: pytest.WarningsRecorder, side: int
) -> None:
    file = tmp_path / "bomb.png"
    header = struct.pack(">II5B", side, side, 1, 0, 0, 0, 0)
    chunks = [struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
              for kind, body in ((b"IHDR", header), (b"IDAT", b""))]  # fmt: skip
    file.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))
    with pytest.raises(PictureUnreadable, match=r"bomb.png: has more than 50,000,000 pixels; scale it down"):
        read_picture(file)
    assert not recwarn


def test_what_is_no_file_is_named(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "gone.jpg", tmp_path / "pipe"):
        with pytest.raises(PictureUnreadable, match=f"{path.name}: there is no such file"):
            read_picture(path)


_SOUND = [
    saved(half_red(), "JPEG"), saved(half_red()), animated(), saved(half_red(), "WEBP"), saved(half_red(), "TIFF"),
    saved(half_red(), "BMP"), palette_see_through(),
]  # fmt: skip


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow, of what TIFF says of itself
@settings(max_examples=150, deadline=None)
@given(st.sampled_from(_SOUND), st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 255)), max_size=8))
def test_damage_gives_a_picture_or_the_error(sound: bytes, changes: list[tuple[int, int]]) -> None:
    damaged = bytearray(sound)
    for at, value in changes:
        damaged[at % len(damaged)] = value
    try:
        picture = read_picture(bytes(damaged), max_pixels=1_000_000)
    except PictureUnreadable:
        return
    assert picture.ndim == 3
    assert picture.shape[2] == 3
