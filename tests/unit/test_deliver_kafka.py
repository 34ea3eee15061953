"""What is published together fits one batch of the client, in order: that is what keeps messages from overtaking."""

from __future__ import annotations

import logging

from hypothesis import given
from hypothesis import strategies as st

from streammon.bus import BATCH_BYTES, PUBLISH_BYTES, Message, Producer, _chunks


@given(st.lists(st.integers(0, PUBLISH_BYTES + 10), max_size=20))
def test_chunks_keep_the_order_and_fit_a_batch(sizes_bytes: list[int]) -> None:
    payload = bytes(PUBLISH_BYTES + 10)
    messages = [Message(topic="t", key=b"%d" % n, value=payload[:size]) for n, size in enumerate(sizes_bytes)]
    chunks = list(_chunks(messages))

    assert [message for chunk in chunks for message in chunk] == messages
    assert all(sum(message.size_bytes for message in chunk) <= PUBLISH_BYTES or len(chunk) == 1 for chunk in chunks)
    assert PUBLISH_BYTES < BATCH_BYTES


def test_a_producer_needs_no_broker_until_it_is_used_and_keeps_the_clients_log_shut() -> None:
    producer = Producer("127.0.0.1:1")
    producer.close()
    producer.close()

    assert not logging.getLogger("kafka.producer.kafka").isEnabledFor(logging.ERROR)


def test_nothing_to_publish_needs_no_broker() -> None:
    assert Producer("127.0.0.1:1").publish([]) == 0
