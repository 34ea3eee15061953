"""How many lines of chat a second one core takes: JSON, the shipped policy's lists, the judge, the spool.

`make bench-texts`. The lines are made: ordinary ones of 8 to 40 characters, each different, and one in fifty that hits.
"""

from __future__ import annotations

import json
import os
import random
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from prometheus_client import CollectorRegistry

from streammon.deliver.evidence_config import EvidenceConfig
from streammon.deliver.outbox import Outbox
from streammon.detect.change.room_reuse import RoomReuse
from streammon.detect.config import ReuseConfig
from streammon.entities import Room, RoomState
from streammon.events import Monitor
from streammon.fleet.attention import Attention
from streammon.fleet.commit import Committer
from streammon.fleet.pace import Pace
from streammon.fleet.pace_config import PaceConfig
from streammon.fleet.pipeline import Pipeline
from streammon.fleet.rooms import RoomBook
from streammon.fleet.texts import TextDesk
from streammon.ingest.rooms.mailbox import Mailbox
from streammon.ingest.rooms.wire import RoomChanged
from streammon.judge.policy_load import load_policy
from streammon.judge.room import Now
from streammon.judge.texts import decode_text
from streammon.metrics import Metrics

LINES = 30_000
ROOMS = 100
BATCH = 50
POLICY = Path(__file__).resolve().parents[2] / "configs" / "policies" / "live-default.yaml"
_HAN = "今天主播唱歌真好听我们一起加油打卡签到关注点赞送礼物开心大家晚上好这个游戏太难了哈哈笑死新来的朋友欢迎"
_WORDS = [
    "hello",
    "nice",
    "song",
    "wow",
    "lol",
    "good",
    "game",
    "how",
    "are",
    "you",
    "from",
    "today",
    "stream",
    "is",
    "great",
    "love",
    "this",
    "music",
    "again",
    "please",
]
_HITS = ("加微信 abc12345 领福利", "wechat me now", "澳门赌场上线啦", "best online casino bonus")


def ordinary(draw: random.Random) -> str:
    """A line as people write it, of made-up content."""
    if draw.random() < 0.6:
        return "".join(draw.choices(_HAN, k=draw.randint(8, 24)))
    return " ".join(draw.choices(_WORDS, k=draw.randint(2, 8)))


def messages(draw: random.Random) -> list[bytes]:
    """What the topic would carry."""
    lines = [draw.choice(_HITS) if n % 50 == 0 else ordinary(draw) for n in range(LINES)]
    return [
        json.dumps({"room_id": f"r{n % ROOMS}", "text": line, "author": f"u{n % 999}"}).encode()
        for n, line in enumerate(lines)
    ]


def per_second(coming: Sequence[bytes], folder: Path) -> dict[str, float | int]:
    """All of them through desk, judge and spool."""
    metrics = Metrics(CollectorRegistry())
    policy = load_policy(POLICY)
    outbox = Outbox(folder / "spool.sqlite")
    outbox.register_sinks(["memory"])
    book = RoomBook(Monitor(version="0", worker="bench"), metrics)
    now = Now(monotonic_s=time.monotonic(), utc=datetime.now(UTC))
    for n in range(ROOMS):
        book.open(Room(room_id=f"r{n}", url=""), 1, policy, [], now)
        book.change(RoomChanged(room_id=f"r{n}", session=1, state=RoomState.CONNECTING, at=now.utc), now)
    committer = Committer(outbox, EvidenceConfig(store=str(folder)), lambda _: policy, metrics)
    reuse = RoomReuse(ReuseConfig(enabled=False))
    attention = Attention(reuse, Pace(PaceConfig()), lambda *_: None, lambda: 0.0, metrics)
    pipeline = Pipeline(Mailbox(lambda _: None), book, committer, metrics, attention)
    desk = TextDesk(lambda _: policy, pipeline.read, metrics)
    pipeline.start()
    desk.start()
    began_s = time.monotonic()
    for start in range(0, len(coming), BATCH):
        assert desk.take([decode_text(message) for message in coming[start : start + BATCH]], 60.0)
    assert desk.close()
    assert pipeline.close(60.0)
    took_s = time.monotonic() - began_s
    hits = metrics.registry.get_sample_value("streammon_texts_total", {"outcome": "hit"}) or 0.0
    events = len(outbox.pending("memory", 100_000))
    outbox.close()
    return {"lines": len(coming), "hits": int(hits), "events": events, "lines_per_s": round(len(coming) / took_s)}


def main() -> None:
    """Prints the figures as JSON."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    coming = messages(random.Random(7))  # noqa: S311
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(per_second(coming, Path(folder))))


if __name__ == "__main__":
    main()
