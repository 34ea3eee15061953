"""A broker that is down for a minute, under load: everything arrives afterwards, and the judge never waits."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path

import pytest

from sample_streams.broker import Broker
from streammon.deliver.outbox import Outbox
from tests.integration.test_delivery import envelopes
from tests.integration.test_delivery_faults import assert_all_in_order, delivering
from tests.integration.watching import KAFKA_SOCKETS

pytestmark = KAFKA_SOCKETS

DOWN_S = 60.0
RATE = 40


@pytest.mark.timeout(240)
def test_a_broker_that_is_down_for_a_minute_misses_nothing(broker: Broker, tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "spool.db")
    outbox.register_sinks(["kafka"])
    sealed = envelopes(1, round((DOWN_S + 10) * RATE))
    slowest_s, deepest = 0.0, 0
    with closing(outbox), delivering(outbox, broker.bootstrap) as deliverer:
        began_s, down = time.monotonic(), False
        for number, envelope in enumerate(sealed):
            time.sleep(max(0.0, began_s + number / RATE - time.monotonic()))
            if number == 5 * RATE:
                broker.stop()
                down = True
            if down and number == round((5 + DOWN_S) * RATE):
                deepest = outbox.depth("kafka")
                broker.restart()
            before_s = time.monotonic()
            outbox.commit([envelope])
            slowest_s = max(slowest_s, time.monotonic() - before_s)
        assert deliverer.flush(60.0)
        assert outbox.depth("kafka") == 0
    assert deepest >= 0.9 * DOWN_S * RATE, "what could not be delivered is kept"
    assert slowest_s < 1.0, "the judge waits for no broker"
    assert_all_in_order(broker.bootstrap, sealed)
