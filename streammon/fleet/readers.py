"""What a monitor reads from the broker: the topics that others write."""

from __future__ import annotations

from streammon.deliver.kafka import kafka_security
from streammon.fleet.config import Settings
from streammon.fleet.feedback import TOPIC as FEEDBACK
from streammon.fleet.feedback import FeedbackReader
from streammon.fleet.pipeline import Pipeline
from streammon.fleet.texts import TOPIC as TEXTS
from streammon.fleet.texts import TextDesk, TextReader
from streammon.fleet.topic_reader import topic_connector
from streammon.metrics import Metrics


def topic_readers(
    settings: Settings, pipeline: Pipeline, desk: TextDesk, metrics: Metrics
) -> tuple[FeedbackReader | TextReader, ...]:
    """The readers of feedback and of texts, not started; none where there is no broker."""
    kafka = settings.kafka
    if kafka.bootstrap is None:
        return ()
    security = kafka_security(kafka)
    said, written = (topic_connector(topic, kafka.bootstrap, kafka.client_id, security) for topic in (FEEDBACK, TEXTS))
    return FeedbackReader(said, pipeline.hear, metrics), TextReader(written, desk.take, metrics)
