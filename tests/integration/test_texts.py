"""What viewers write, end to end: a real `streammon run`, its HTTP port and a real broker."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from sample_streams.broker import Broker
from streammon.bus import Message, Producer
from streammon.fleet.texts import TOPIC
from tests.integration.test_run_command import Running, folder
from tests.integration.watching import KAFKA_SOCKETS

__all__ = ["folder"]

CONTACT = "advertising.contact"
POLICY = """\
version: 1
id: chat
defaults: {review: 0.5, clear_after: 2s}
labels: {advertising.contact: {}}
keywords: [{file: words.txt, label: advertising.contact}]
"""

pytestmark = [pytest.mark.timeout(240), *KAFKA_SOCKETS]


def post(run: Running, room: str, *lines: str) -> httpx.Response:
    texts = [{"text": line, "author": "u1", "time": datetime.now(UTC).isoformat()} for line in lines]
    url = f"http://127.0.0.1:{run.port}/v1/rooms/{room}/texts"
    return httpx.post(url, json={"texts": texts}, trust_env=False, timeout=10.0)


def publish(broker: Broker, room: str, *lines: str) -> None:
    messages = [
        Message(topic=TOPIC, key=room.encode(), value=json.dumps({"room_id": room, "text": line}).encode())
        for line in lines
    ]
    with closing(Producer(broker.bootstrap, timeout_s=5.0)) as producer:
        assert producer.publish(messages).count == len(messages)


def rooms(run: Running, phase: str) -> list[str]:
    return [event["room_id"] for event in run.phases(phase) if event["label"] == CONTACT]


def test_what_is_written_is_an_incident_that_ends_when_it_is_not_written_any_more(folder: Path, broker: Broker) -> None:
    (folder / "words.txt").write_text("wechat\n")
    (folder / "chat.yaml").write_text(POLICY)
    kafka = f"kafka: {{bootstrap: '{broker.bootstrap}'}}\n"
    with Running(folder, "run", f"policies: {{files: [chat.yaml], default: chat}}\n{kafka}") as run:
        run.until(run.ready)
        assert post(run, "nowhere", "hi").status_code == 404
        answer = post(run, "a", "hello", "my WeChat: abc", "add wechat")
        assert (answer.status_code, answer.json()) == (202, {"accepted": 3})
        run.until(lambda: rooms(run, "start") == ["a"])
        run.until(lambda: rooms(run, "end") == ["a"])

        publish(broker, "b", "hello", "wechat xyz")
        publish(broker, "elsewhere", "wechat")
        run.until(lambda: rooms(run, "end") == ["a", "b"])
        outcomes = run.metric("streammon_texts_total")
        assert run.terminate() == 0

    (first, second) = [event for event in run.phases("start") if event["label"] == CONTACT]
    assert [hit["chat"]["author"] for hit in first["hits"]] == ["u1"]
    assert (first["hits"][0]["text"], first["hits"][0]["detector"]) == ("my WeChat: abc", "chat")
    assert (second["hits"][0]["text"], second["hits"][0]["chat"]["author"]) == ("wechat xyz", None)
    assert {event["end_reason"] for event in run.phases("end") if event["label"] == CONTACT} == {"cleared"}
    assert [outcomes[name,] for name in ("hit", "nothing", "no_room")] == [3.0, 2.0, 1.0]
    assert "wechat" not in run.said.lower()
