"""Publishers, real servers and the network between: what stops, stalls, dies, is cut, returns and changes."""

from __future__ import annotations

from functools import partial
from typing import Any

from sample_streams.rtmp_server import Kind
from tests.faults.broadcast import Broadcast, broadcast
from tests.faults.clips import OTHER_HEIGHT, OTHER_WIDTH, flv, flv_in_a_row
from tests.faults.fault import (
    BACK,
    CONNECTING,
    FLOWING,
    Expected,
    Fault,
    backing_off,
    goes_on,
    prepared,
    sized,
    stalled,
)

Rows = list[Fault[Any]]
# What a server does with its players when the publisher leaves: nginx-rtmp closes them, node-media-server keeps them
# open with nothing to say, and a playlist stays as it is.
_LEFT: dict[str, tuple[Expected, ...]] = {
    "RTMP, nginx": (backing_off("ended"),),
    "RTMP, node": stalled(),
    "HTTP-FLV, node": stalled(),
    "HLS, nginx": stalled(8.0),
}
_OTHER_SIZE = sized(OTHER_WIDTH, OTHER_HEIGHT)


def _larger(codec: str = "libx264") -> bytes:
    return flv(codec, OTHER_WIDTH, OTHER_HEIGHT)


def _grows_larger() -> bytes:
    return flv_in_a_row(flv(), _larger())


def _row(transport: str, name: str, **parts: Any) -> Fault[Any]:
    server: Kind = "nginx" if transport.endswith("nginx") else "node"
    row: dict[str, Any] = {"stage": broadcast(transport), "first": FLOWING, **parts}
    return Fault(name=name, transport=transport, server=server, **row)


def _publisher_rows(transport: str) -> Rows:
    row = partial(_row, transport)
    left = _LEFT[transport]
    still = stalled(8.0 if transport.startswith("HLS") else 4.0)
    died = backing_off("unreachable" if transport.startswith("HLS") else "ended")
    return [
        row("publisher stops", breaks=Broadcast.leave, broken=left),
        row("publisher stops and returns", breaks=Broadcast.leave, broken=left, mends=Broadcast.publish, mended=BACK),
        row("publisher dies without a word", breaks=Broadcast.die, broken=left),
        row("publisher stalls and goes on", breaks=Broadcast.stall, broken=still, mends=Broadcast.resume, mended=BACK),
        row("publisher stalls, and the room is removed at once", breaks=Broadcast.stall),
        row(
            "publisher returns with another resolution",
            breaks=Broadcast.leave,
            broken=left,
            mends=lambda live: live.publish(_larger()),
            mended=(*BACK, _OTHER_SIZE),
        ),
        row(
            "server dies and returns",
            stage=broadcast(transport, host=None),
            breaks=lambda live: live.server.kill(),
            broken=(died,),
            mends=Broadcast.restart,
            mended=BACK,
        ),
    ]


def _connection_rows(transport: str) -> Rows:
    """Of what is one long connection."""
    row = partial(_row, transport)
    return [
        row("reset in mid-packet", breaks=lambda live: live.proxy.cut(), broken=(backing_off("ended"),), mended=BACK),
        row(
            "network stands still and goes on",
            breaks=lambda live: live.proxy.freeze(),
            broken=stalled(),
            mends=_heal,
            mended=BACK,
        ),
        row(
            "one byte a second",
            breaks=lambda live: live.proxy.throttle(1.0),
            broken=stalled(),
            mends=_heal,
            mended=BACK,
        ),
        row(
            "one byte a second from the beginning",
            stage=prepared(broadcast(transport), lambda live: live.proxy.throttle(1.0)),
            first=(backing_off("unreachable"),),
            mends=_heal,
            mended=BACK,
        ),
        row(
            "reset and then refused",
            breaks=_cut_and_refuse,
            broken=(backing_off("ended"), backing_off("unreachable")),
            mends=_heal,
            mended=BACK,
        ),
        row("no such stream", stage=broadcast(transport, None), first=(backing_off("unreachable"),)),
        row(
            "no such stream, and the room is removed at once",
            stage=broadcast(transport, None),
            first=(CONNECTING,),
        ),
        row(
            "resolution changes in mid-stream",
            stage=broadcast(transport, _grows_larger),
            first=(*FLOWING, _OTHER_SIZE, goes_on()),
        ),
    ]


def _heal(live: Broadcast) -> None:
    live.proxy.heal()


def _cut_and_refuse(live: Broadcast) -> None:
    live.proxy.refuse()
    live.proxy.cut()


_CODEC_ROWS: Rows = [
    _row(
        transport,
        "publisher returns with another codec",
        breaks=Broadcast.leave,
        broken=_LEFT[transport],
        mends=lambda live: live.publish(_larger("libx265")),
        mended=(*BACK, _OTHER_SIZE),
    )
    for transport in ("RTMP, node", "HTTP-FLV, node")  # nginx-rtmp hands on no HEVC
]
_REBOUND = _row(
    "RTMP, nginx",
    "rebinding name: FFmpeg connects to what was checked",
    stage=broadcast("RTMP, nginx", host="b.127-0-0-1.127-0-0-2.rebind.test"),
)
SERVER_ROWS: Rows = [
    *(row for transport in _LEFT for row in _publisher_rows(transport)),
    *(row for transport in _LEFT if not transport.startswith("HLS") for row in _connection_rows(transport)),
    *_CODEC_ROWS,
    _REBOUND,
]
