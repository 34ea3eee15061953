"""Encodes the small clips that the tests of `ingest` play."""

from __future__ import annotations

from fractions import Fraction
from io import BytesIO

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.video.stream import VideoStream

RATE = 25
AUDIO_RATE = 16_000
WIDTH, HEIGHT = 160, 90


def clip(video_s: float, audio_s: float = 0.0, *, container: str = "mpegts", leap_s: float = 0.0) -> bytes:
    """H.264 with a key frame a second, and AAC silence; none of what is to last 0 s.

    Picture number n is grey of brightness 16 + n (235 at most), so that its mean colour tells its time. From the
    second half of the pictures on, the clock is `leap_s` ahead.
    """
    file = BytesIO()
    with av.open(file, "w", format=container) as out:
        if video_s > 0:
            video = out.add_stream("libx264", rate=RATE, options={"preset": "ultrafast", "g": str(RATE), "bf": "0"})
            video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        if audio_s > 0:
            audio = out.add_stream("aac", rate=AUDIO_RATE, layout="mono")
        if video_s > 0:
            _write_video(out, video, round(video_s * RATE), leap_s)
        if audio_s > 0:
            _write_audio(out, audio, round(audio_s * AUDIO_RATE / 1024))
    return file.getvalue()


def _write_video(out: OutputContainer, stream: VideoStream, pictures: int, leap_s: float) -> None:
    for number in range(pictures):
        frame = av.VideoFrame.from_ndarray(np.full((HEIGHT, WIDTH, 3), min(16 + number, 235), np.uint8))
        leap = round(leap_s * RATE) if number >= pictures / 2 else 0
        frame.pts, frame.time_base = number + leap, Fraction(1, RATE)
        out.mux(stream.encode(frame))
    out.mux(stream.encode(None))


def _write_audio(out: OutputContainer, stream: AudioStream, blocks: int) -> None:
    for number in range(blocks):
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = AUDIO_RATE, number * 1024, Fraction(1, AUDIO_RATE)
        out.mux(stream.encode(frame))
    out.mux(stream.encode(None))
