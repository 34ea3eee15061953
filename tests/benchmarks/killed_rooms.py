"""What a `streammon run` that is to be killed watches: clips with a code that comes and goes, and the files it reads.

The run writes a JSONL file beside Kafka: what one sink got, the other must have too.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import msgspec

from streammon.events import StreamEvent, ViolationEvent
from tests.benchmarks.kill_audit import Told
from tests.benchmarks.killed_engine import told

ROOMS = 12
_EVENTS = "events.jsonl"
_TYPES = {"streammon.violation.v1": ViolationEvent, "streammon.stream.v1": StreamEvent}
_CLIP = Path(__file__).resolve().parents[2] / "sample_streams" / "room.mp4"
_QUIET_S, _CODE_S = (0.0, 7.0), (8.0, 15.0)
"""Stretches of the clip: in one nothing is to be seen, in the other a code; see room.json."""
_WIDTH, _HEIGHT, _RATE = 640, 360, 10
_LASTS_S = 60.0
"""Longer than any life."""
_TURNS_S = (0.7, 0.9, 1.1)
"""How long a clip shows the code, and then for as long does not: rooms are not in step."""

_POLICY = """\
version: 1
id: killed
labels:
  advertising.qr_code: {block: 0.5, confirm: 1 in 2s, clear_after: 300ms}
"""
_SETTINGS = """\
version: 1
interval: 200ms
detectors: [qr]
rooms: rooms.yaml
policy: policy.yaml
state: state
events: events.jsonl
kafka: {{bootstrap: "{bootstrap}"}}
http: {{port: {port}}}
ingest: {{max_rooms: 6}}
detect: {{reuse: {{enabled: false}}}}
pace: {{enabled: false}}
supervisor: {{max_restarts: 100, restarts_within: 1s}}
"""
# A budget that is never used up: the engine dies more often here than anybody would put up with.


def lay_out(folder: Path, bootstrap: str, port: int) -> Path:
    """Writes all files of the run. Returns the configuration's path."""
    for number, turn_s in enumerate(_TURNS_S):
        _write_clip(folder / f"clip-{number}.mp4", turn_s)
    rooms = (f"- {{id: room-{number}, url: clip-{number % len(_TURNS_S)}.mp4}}\n" for number in range(ROOMS))
    (folder / "rooms.yaml").write_text(f"version: 1\nrooms:\n{''.join(rooms)}", encoding="utf-8")
    (folder / "policy.yaml").write_text(_POLICY, encoding="utf-8")
    config = folder / "streammon.yaml"
    config.write_text(_SETTINGS.format(bootstrap=bootstrap, port=port), encoding="utf-8")
    return config


def noted(folder: Path) -> list[Told]:
    """What the JSONL file got. A line that a kill cut short is left out: its event comes again."""
    lines = (folder / _EVENTS).read_bytes().splitlines()
    return [one for line in lines if (one := _noted(line)) is not None]


def _noted(line: bytes) -> Told | None:
    try:
        event = msgspec.json.decode(line, type=dict[str, msgspec.Raw])
    except msgspec.DecodeError:
        return None
    kind = _TYPES.get(msgspec.json.decode(event["type"], type=str))
    return None if kind is None else told(msgspec.json.decode(event["data"], type=kind))


def _write_clip(path: Path, turn_s: float) -> None:
    quiet, code = (list(_pictures(*stretch)) for stretch in (_QUIET_S, _CODE_S))
    with av.open(str(path), "w") as out:
        video = out.add_stream("libx264", rate=_RATE, options={"preset": "ultrafast", "g": str(_RATE)})
        video.width, video.height, video.pix_fmt = _WIDTH, _HEIGHT, "yuv420p"
        for index in range(round(_LASTS_S * _RATE)):
            there = code if index / _RATE % (2 * turn_s) < turn_s else quiet
            frame = there[index % len(there)]
            frame.pts, frame.time_base = index, Fraction(1, _RATE)
            out.mux(video.encode(frame))
        out.mux(video.encode(None))


def _pictures(start_s: float, end_s: float) -> Iterator[av.VideoFrame]:
    """The clip's pictures in a stretch, as many a second as are to be shown, without their times and kinds."""
    with av.open(str(_CLIP)) as source:
        step = round((source.streams.video[0].average_rate or Fraction(_RATE)) / _RATE)
        source.seek(round(start_s * av.time_base))
        there = (frame for frame in source.decode(video=0) if start_s <= (frame.time or 0.0))
        for index, frame in enumerate(there):
            if (frame.time or 0.0) >= end_s:
                return
            if index % step == 0:
                small = frame.reformat(_WIDTH, _HEIGHT, "rgb24").to_ndarray()
                yield av.VideoFrame.from_ndarray(small, format="rgb24").reformat(format="yuv420p")
