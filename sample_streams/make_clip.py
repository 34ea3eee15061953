"""Makes room.mp4, a clip with known violations in known stretches, and room.json, which says what is when.

Run it as `python -m sample_streams.make_clip --font FILE`; the font must have Chinese and Latin glyphs.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import zxingcpp
from PIL import Image, ImageDraw, ImageFont

from sample_streams.room_picture import HEIGHT, WIDTH, Picture, background, room_at

FPS, GOP_S, DURATION_S = 25, 2, 48
QUIET = ((0, 8), (15, 22), (29, 35), (42, 48))
_TONE_HZ, _AUDIO_RATE = 220, 48_000
_SAMPLES_PER_PICTURE = _AUDIO_RATE // FPS


Line = tuple[tuple[int, int], tuple[int, int]]
"""Where the left top corner starts and where it arrives, in pixels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlay:
    """Something over the picture from `start_s` to `end_s` that moves in a straight line from `path[0]` to `path[1]`.

    `label` is what must be reported, None where nothing may be. `payload` makes it a QR code, else `text` is written.
    """

    start_s: float
    end_s: float
    path: Line
    label: str | None = None
    text: str | None = None
    payload: str | None = None


def _violation(label: str, start_s: float, path: Line, text: str | None = None, payload: str | None = None) -> Overlay:
    """Something that must be reported, for 7 s."""
    return Overlay(start_s=start_s, end_s=start_s + 7, path=path, label=label, text=text, payload=payload)


def _barrage(text: str, start_s: float, y: int) -> Overlay:
    """A harmless line that flies through the frame from right to left within 5 s."""
    return Overlay(start_s=start_s, end_s=start_s + 5, path=((WIDTH, y), (-360, y)), text=text)


OVERLAYS = (
    _violation("advertising.qr_code", 8, ((60, 60), (60, 60)), payload="https://example.com/promo?from=room"),
    _violation("advertising.contact", 22, ((760, 130), (120, 130)), text="加微信 abc12345 领福利"),
    _violation("advertising.contact", 35, ((90, 90), (90, 90)), text="Telegram: @luckyroom88"),
    _violation("prohibited.gambling", 35, ((990, 650), (830, 650)), text="澳门赌场上线"),
    _violation("prohibited.gambling", 35, ((90, 620), (90, 620)), text="online casino bonus"),
    _barrage("主播好厉害", 1, 60),
    _barrage("nice song!", 2.5, 130),
    _barrage("晚上好", 15.5, 90),
    _barrage("hello from Madrid", 16.5, 160),
    _barrage("今天的灯光真好看", 29.5, 60),
    _barrage("what a cute robot", 42.5, 110),
)


def truth() -> dict[str, object]:
    """What room.json says: the violations with their times in seconds, and the stretches without any."""
    found = [
        {"label": o.label, "start_s": o.start_s, "end_s": o.end_s, "text": o.text, "payload": o.payload}
        for o in OVERLAYS
        if o.label is not None
    ]
    quiet = [{"start_s": start_s, "end_s": end_s} for start_s, end_s in QUIET]
    return {"clip": "room.mp4", "duration_s": DURATION_S, "violations": found, "quiet": quiet}


def _text_sprite(text: str, font: ImageFont.FreeTypeFont) -> Image.Image:
    left, top, right, bottom = font.getbbox(text, stroke_width=3)
    sprite = Image.new("RGBA", (round(right - left), round(bottom - top)))
    draw = ImageDraw.Draw(sprite)
    draw.text((-left, -top), text, font=font, fill="white", stroke_width=3, stroke_fill="black")
    return sprite


def _qr_sprite(payload: str) -> Image.Image:
    code = zxingcpp.create_barcode(payload, zxingcpp.BarcodeFormat.QRCode, ec_level="M")
    modules = np.array(code.to_image(scale=1, add_quiet_zones=True))
    scale = 260 // modules.shape[0]
    return Image.fromarray(modules.repeat(scale, axis=0).repeat(scale, axis=1)).convert("RGBA")


def pictures(font: ImageFont.FreeTypeFont) -> Iterator[Picture]:
    """All frames of the clip in order, 720 x 1280 x 3 RGB."""
    sprites = [_text_sprite(o.text, font) if o.text is not None else _qr_sprite(o.payload or "") for o in OVERLAYS]
    room = background()
    for index in range(DURATION_S * FPS):
        t_s = index / FPS
        frame = Image.fromarray(room_at(room, t_s))
        for overlay, sprite in zip(OVERLAYS, sprites, strict=True):
            if overlay.start_s <= t_s < overlay.end_s:
                done = (t_s - overlay.start_s) / (overlay.end_s - overlay.start_s)
                x, y = (round(a + (b - a) * done) for a, b in zip(*overlay.path, strict=True))
                frame.paste(sprite, (x, y), sprite)
        yield np.asarray(frame)


def _tone(index: int) -> av.AudioFrame:
    """The soft tone that sounds while picture number `index` is shown."""
    first = index * _SAMPLES_PER_PICTURE
    t_s = np.arange(first, first + _SAMPLES_PER_PICTURE) / _AUDIO_RATE
    wave = (0.02 * np.sin(2 * np.pi * _TONE_HZ * t_s)).astype(np.float32)
    frame = av.AudioFrame.from_ndarray(wave[None, :], format="fltp", layout="mono")
    frame.sample_rate, frame.pts, frame.time_base = _AUDIO_RATE, first, Fraction(1, _AUDIO_RATE)
    return frame


def write_clip(path: Path, frames: Iterator[Picture]) -> None:
    """Encodes `frames` as H.264 with two B-frames and a key frame every GOP_S seconds, and a soft tone as AAC."""
    options = {"crf": "25", "preset": "slow", "x264-params": f"keyint={FPS * GOP_S}:scenecut=0:open-gop=0:bframes=2"}
    with av.open(str(path), "w") as out:
        video = out.add_stream("libx264", rate=FPS, options=options)
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        audio = out.add_stream("aac", rate=_AUDIO_RATE, layout="mono")
        audio.bit_rate = 32_000
        for index, picture in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, FPS)
            out.mux(video.encode(frame))
            out.mux(audio.encode(_tone(index)))
        out.mux(video.encode(None))
        out.mux(audio.encode(None))


def main() -> None:
    """Writes room.mp4 and room.json into the folder `--out`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--font", type=Path, required=True, help="font file with Chinese and Latin glyphs")
    parser.add_argument("--font-index", type=int, default=0, help="which face of a font collection")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="folder to write into")
    args = parser.parse_args()
    write_clip(args.out / "room.mp4", pictures(ImageFont.truetype(str(args.font), 44, index=args.font_index)))
    text = json.dumps(truth(), ensure_ascii=False, indent=2)
    (args.out / "room.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
