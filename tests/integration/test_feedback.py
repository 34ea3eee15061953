"""Feedback and records, end to end: `streammon watch`, a real broker, and what people say while it runs."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from sample_streams.broker import Broker
from sample_streams.child import free_port
from streammon.backoff import Backoff
from streammon.bus import Consumer, Message, Producer, Security
from streammon.deliver.schemas import FOLDER
from streammon.events import FeedbackAction
from streammon.fleet.feedback import TOPIC, FeedbackReader
from streammon.fleet.topic_reader import topic_connector
from streammon.judge.feedback import Feedback, encode_feedback
from streammon.metrics import Metrics
from tests.integration.watching import CLIP, KAFKA_SOCKETS, ROOT, Watching, need_weights

QR = "advertising.qr_code"
ROOM = "10086"
VIOLATIONS, AUDIT = "streammon.violations", "streammon.audit"

# kafka-python leaves the sockets of refused connections to the garbage collector.
pytestmark = [pytest.mark.timeout(180), *KAFKA_SOCKETS]


def said(action: FeedbackAction, incident_id: str) -> Feedback:
    return Feedback(action=action, room_id=ROOM, by="ann", at=datetime.now(UTC), incident_id=incident_id)


def publish(broker: Broker, *values: bytes) -> None:
    with closing(Producer(broker.bootstrap, timeout_s=5.0)) as producer:
        producer.ensure_topics({TOPIC})
        published = producer.publish([Message(topic=TOPIC, key=ROOM.encode(), value=value) for value in values])
    assert published.count == len(values)


class Tap:
    """Reads what is published. `events` has all of it by topic, in order."""

    def __init__(self, bootstrap: str) -> None:
        self.events: dict[str, list[dict[str, Any]]] = {VIOLATIONS: [], AUDIT: []}
        self._consumer = Consumer(bootstrap, list(self.events))

    def until(self, within_s: float, topic: str, **fields: object) -> dict[str, Any]:
        """The next event of the topic that has these fields."""
        for message in self._consumer.messages(within_s):
            event: dict[str, Any] = json.loads(message.value or b"")
            self.events[message.topic].append(event)
            if message.topic == topic and all(event[name] == value for name, value in fields.items()):
                return event
        pytest.fail(f"no {fields} on {topic} within {within_s} s; there was {self.events}")

    def drain(self, seconds: float) -> None:
        """Takes in what still comes."""
        for message in self._consumer.messages(seconds):
            self.events[message.topic].append(json.loads(message.value or b""))

    def close(self) -> None:
        self._consumer.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What one watching of the clip led to: events by topic, the metrics after the feedback, the records."""

    events: dict[str, list[dict[str, Any]]]
    answered: int
    metrics: str
    records: Path
    log: str

    def of(self, incident_id: str) -> list[dict[str, Any]]:
        return [event for event in self.events[VIOLATIONS] if event["incident_id"] == incident_id]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """The clip, whose code is acknowledged by HTTP when it is reported, then called a false alarm on the topic."""
    need_weights()
    folder = tmp_path_factory.mktemp("feedback")
    config = folder / "streammon.yaml"
    config.write_text("version: 1\nrecords: {file: records.jsonl}\n", encoding="utf-8")
    address = f"127.0.0.1:{free_port()}"
    options = ("--interval", "1s", "--config", str(config), "--http", address)
    with Broker() as broker, Watching(folder, str(CLIP), ROOM, *options, "--kafka", broker.bootstrap) as watching:
        with closing(Tap(broker.bootstrap)) as tap:
            incident = tap.until(60.0, VIOLATIONS, phase="start", label=QR)["incident_id"]
            answered = _acknowledge(address, incident)
            tap.until(5.0, AUDIT, action="acknowledge")
            publish(broker, b"no feedback", encode_feedback(said(FeedbackAction.FALSE_ALARM, incident)))
            tap.until(5.0, AUDIT, action="false_alarm")
            metrics = httpx.get(f"http://{address}/metrics", trust_env=False).text
            assert watching.wait(90.0) == 0, watching.said
            tap.drain(2.0)
        yield Run(
            events=tap.events, answered=answered, metrics=metrics, records=folder / "records.jsonl", log=watching.said
        )


def _acknowledge(address: str, incident_id: str) -> int:
    document = json.loads(encode_feedback(said(FeedbackAction.ACKNOWLEDGE, incident_id)))
    del document["room_id"]
    url = f"http://{address}/v1/rooms/{ROOM}/feedback"
    return httpx.post(url, json=document, trust_env=False).status_code


def test_a_false_alarm_ends_its_incident_and_an_audit_event_says_who_said_so(run: Run) -> None:
    acknowledged, called_false = run.events[AUDIT]
    assert [audit["outcome"] for audit in run.events[AUDIT]] == ["applied", "applied"]
    assert (called_false["action"], called_false["by"]) == ("false_alarm", "ann")
    (audited,) = called_false["incidents"]
    assert (audited["label"], audited["first_feedback"]) == (QR, False)
    assert [(e["phase"], e["end_reason"]) for e in run.of(audited["incident_id"])][-1] == ("end", "false_alarm")
    assert acknowledged["incidents"][0]["first_feedback"]


def test_an_acknowledgement_by_http_is_in_all_later_events_of_the_incident(run: Run) -> None:
    assert run.answered == 202
    events = run.of(run.events[AUDIT][0]["incidents"][0]["incident_id"])
    assert [(e["phase"], e["acknowledged_by"]) for e in events] == [("start", None), ("update", "ann"), ("end", "ann")]


def test_audit_events_are_valid_by_the_published_schema(run: Run) -> None:
    schema = json.loads((FOLDER / "audit.v1.json").read_text(encoding="utf-8"))
    validator = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())
    for audit in run.events[AUDIT]:
        validator.validate(audit)


def test_the_same_stays_silent_and_the_rest_is_reported_as_before(run: Run) -> None:
    labels = Counter(event["label"] for event in run.events[VIOLATIONS] if event["phase"] == "start")
    assert labels[QR] == 1
    assert labels["prohibited.gambling"] >= 1
    assert "Traceback" not in run.log


def test_the_metrics_tell_the_precision_and_what_was_no_feedback(run: Run) -> None:
    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(run.metrics)
        for sample in family.samples
    }
    (model,) = run.events[AUDIT][0]["incidents"][0]["models"]
    assert samples["streammon_judged_incidents_total", QR, model] == 1
    assert samples["streammon_false_alarms_total", QR, model] == 1
    assert samples["streammon_feedback_total", "false_alarm"] == 1
    assert samples["streammon_feedback_refused_total", "topic"] == 1
    assert "no valid feedback: partition 0, offset 0" in run.log


def test_what_was_recorded_can_be_judged_anew_with_the_same_incidents(run: Run) -> None:
    policy = ROOT / "configs" / "policies" / "live-default.yaml"
    command = ["policy", "test", str(policy), str(run.records), "--json"]
    replayed = subprocess.run(
        [str(Path(sys.executable).with_name("streammon")), *command], capture_output=True, text=True, check=True
    )
    *events, last = map(json.loads, replayed.stdout.splitlines())
    live = [(e["label"], e["subject"]) for e in run.events[VIOLATIONS] if e["phase"] == "start"]
    anew = [(e["label"], e["subject"]) for e in events if e["phase"] == "start"]
    assert anew == live
    assert last["summary"]["rooms"] == 1
    assert last["summary"]["frames"] >= 40


def test_a_reader_waits_for_a_broker_that_is_down_and_hears_what_was_said_meanwhile() -> None:
    heard: list[Feedback] = []
    came = threading.Event()

    def give(feedback: Feedback, _timeout_s: float) -> bool:
        heard.append(feedback)
        came.set()
        return True

    def heard_within(seconds: float) -> list[Feedback]:
        assert came.wait(seconds), "nothing was heard"
        came.clear()
        return heard

    with Broker() as broker:
        publish(broker, encode_feedback(said(FeedbackAction.FALSE_ALARM, "before it began")))
        broker.stop()
        connect = topic_connector(TOPIC, broker.bootstrap, "test", Security())
        reader = FeedbackReader(connect, give, Metrics(CollectorRegistry()), backoff=Backoff(first_s=0.05, cap_s=0.2))
        reader.start()
        try:
            broker.restart()
            first = said(FeedbackAction.FALSE_ALARM, "first")
            publish(broker, encode_feedback(first))
            assert heard_within(20.0) == [first]
            broker.stop()
            broker.restart()
            second = said(FeedbackAction.FALSE_ALARM, "second")
            publish(broker, encode_feedback(second))
            assert heard_within(20.0) == [first, second]
        finally:
            assert reader.close()
