"""What viewers write on its way to the judge: held against the lists, bounded, each once, in order."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Sequence

import msgspec
import pytest

from streammon.backoff import Backoff
from streammon.bus import Consumer, Received
from streammon.entities import RoomState
from streammon.errors import DeliveryError
from streammon.fleet import texts as module
from streammon.fleet.rooms import RoomBook
from streammon.fleet.texts import MAX_WAITING, Said, TextDesk, TextReader
from streammon.judge.policy import Policy
from streammon.judge.texts import SentText
from tests.unit.colours import AT, BLACK, MONITOR, change, metrics, now, room, until, value, violations
from tests.unit.judging import CONTACT, keywords, policy, rule
from tests.unit.test_fleet_pipeline import Station, station

__all__ = ["station"]

POLICY = policy({CONTACT: rule()}, lists=[keywords("wechat", "微信")])
WAIT_S = 5.0


def sent(text: str = "add wechat", room_id: str = "r1") -> SentText:
    return SentText(room_id=room_id, text=text)


class Desk:
    """A desk of the room r1, and what the judge got of it; `open` is cleared while the judge takes nothing."""

    def __init__(self) -> None:
        self.metrics = metrics()
        self.got: list[Said] = []
        self.open = threading.Event()
        self.open.set()
        self.desk = TextDesk(self._policy, self._give, self.metrics)

    def _policy(self, room_id: str) -> Policy | None:
        return POLICY if room_id == "r1" else None

    def _give(self, said: Said, timeout_s: float) -> bool:
        if not self.open.wait(timeout_s):
            return False
        self.got.append(said)
        return True

    def texts(self) -> list[str | None]:
        return [said.detections[0].text for said in self.got]

    def count(self, outcome: str) -> float:
        return value(self.metrics, "streammon_texts_total", outcome=outcome)


@pytest.fixture
def desk() -> Iterator[Desk]:
    made = Desk()
    yield made
    made.open.set()
    assert made.desk.close()


def test_only_what_comes_to_something_reaches_the_judge_in_its_order(desk: Desk) -> None:
    lines = [sent(f"{'微信' if n % 3 == 0 else 'hello'} {n}") for n in range(300)]
    desk.desk.start()
    for start in range(0, 300, 50):
        assert desk.desk.take(lines[start : start + 50], 0.0)
    assert desk.desk.close()
    assert desk.texts() == [line.text for line in lines[::3]]
    assert (desk.count("hit"), desk.count("nothing")) == (100.0, 200.0)


def test_lines_of_rooms_that_are_not_ours_are_counted(desk: Desk) -> None:
    desk.desk.start()
    desk.desk.take([sent(room_id="r2"), sent()], 0.0)
    assert desk.desk.close()
    assert (desk.texts(), desk.count("no_room")) == (["add wechat"], 1.0)


def test_what_there_is_no_room_for_is_not_taken_at_all(desk: Desk) -> None:
    assert desk.desk.take([sent()] * (MAX_WAITING - 1), 0.0)
    assert not desk.desk.take([sent()] * 2, 0.0)
    assert desk.desk.take([sent()], 0.0)
    assert not desk.desk.take([sent()], 0.01)


def test_a_judge_that_is_full_is_waited_for(desk: Desk) -> None:
    desk.open.clear()
    desk.desk.start()
    assert desk.desk.take([sent("微信 1"), sent("微信 2")], 0.0)
    assert desk.got == []
    desk.open.set()
    assert desk.desk.close()
    assert desk.texts() == ["微信 1", "微信 2"]


def test_the_end_does_not_wait_for_a_judge_that_takes_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_GIVE_S", 0.01)
    desk.open.clear()
    desk.desk.start()
    desk.desk.take([sent()] * 5, 0.0)
    assert desk.desk.close()
    assert not desk.desk.take([sent()], 0.0)


def test_a_fault_of_ours_is_told_and_nothing_more_is_taken(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    def broken(_: str) -> Policy | None:
        raise ZeroDivisionError

    faulty = TextDesk(broken, desk._give, metrics())
    faulty.start()
    faulty.take([sent("secret words")], 0.0)
    assert faulty.close()
    assert "nothing that viewers write" in caplog.text
    assert "secret words" not in caplog.text
    assert not faulty.take([sent()], 0.0)


class Reading:
    """A reader whose clock stands at AT, and what it handed on."""

    def __init__(self) -> None:
        self.taken: list[SentText] = []
        self.asked: list[float] = []
        self.metrics = metrics()
        backoff = Backoff(first_s=0.001, cap_s=0.001)
        self.reader = TextReader(self._connect, self._take, self.metrics, backoff=backoff, clock=AT.timestamp)

    def _connect(self, since_s: float) -> Consumer:
        self.asked.append(since_s - AT.timestamp())
        raise DeliveryError("kafka down:9092: refused")

    def _take(self, texts: Sequence[SentText], _timeout_s: float) -> bool:
        self.taken += texts
        return True

    def hear(self, text: str, offset: int, after_s: float = 1.0, partition: int = 0) -> None:
        value = msgspec.json.encode({"room_id": "r1", "text": text}) if text else b"{}"
        at_ms = round((AT.timestamp() + after_s) * 1000)
        self.reader.hear(
            Received(topic="t", key=b"r1", value=value, partition=partition, offset=offset, timestamp_ms=at_ms)
        )


@pytest.fixture
def reading() -> Reading:
    return Reading()


def test_each_message_is_taken_once(reading: Reading) -> None:
    for offset in (0, 1, 1, 0, 2):
        reading.hear(f"line {offset}", offset)
    reading.hear("other partition", 0, partition=1)
    assert [text.text for text in reading.taken] == ["line 0", "line 1", "line 2", "other partition"]


def test_a_topic_that_was_made_anew_is_read_from_its_first_message(reading: Reading) -> None:
    reading.hear("old", 70, after_s=10.0)
    reading.hear("new", 0, after_s=60.0)
    assert [text.text for text in reading.taken] == ["old", "new"]


def test_what_was_written_before_it_began_is_over(reading: Reading) -> None:
    reading.hear("before", 3, after_s=-0.5)
    assert reading.taken == []


def test_what_is_no_text_is_counted_and_not_logged(reading: Reading, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        reading.hear("", 5)
    assert value(reading.metrics, "streammon_texts_total", outcome="refused") == 1.0
    assert "partition 0, offset 5" in caplog.text


def test_a_new_connection_goes_on_a_minute_before_the_newest(reading: Reading) -> None:
    reading.reader.start()
    give_up_s = time.monotonic() + WAIT_S
    while len(reading.asked) < 2 and time.monotonic() < give_up_s:
        time.sleep(0.001)
    reading.hear("a", 0, after_s=100.0)
    seen = len(reading.asked)
    while len(reading.asked) < seen + 2 and time.monotonic() < give_up_s:
        time.sleep(0.001)
    assert reading.reader.close()
    assert (reading.asked[0], reading.asked[-1]) == pytest.approx((0.0, 40.0))


def test_what_is_written_is_judged_as_of_the_picture_last_seen(station: Station) -> None:
    lines = [
        Said(room_id=room, detections=(sent(f"wechat {n}").detection(),), received_at=AT, received_s=time.monotonic())
        for n, room in enumerate(("r1", "elsewhere", "r1"))
    ]
    station.pipeline.set_policies(lambda _: POLICY)
    station.start()
    station.put(BLACK)
    until(station.outbox, lambda: value(station.metrics, "streammon_frame_age_seconds_count") == 1.0)
    for said in lines:
        assert station.pipeline.read(said, 1.0)
    station.until_told(f"{CONTACT} start")
    (start,) = violations(station.outbox)
    (hit,) = start.hits
    assert (start.first.session, start.first.pts_s, start.first.received_at) == (1, 0.0, AT)
    assert (hit.detector, hit.text) == ("chat", "wechat 0")


def test_a_room_that_is_over_is_not_written_in() -> None:
    book = RoomBook(MONITOR, metrics())
    book.open(room(), 1, POLICY, [], now(0.0))
    book.change(change(RoomState.CONNECTING), now(0.0))
    book.change(change(RoomState.STOPPED), now(1.0))
    said = Said(room_id="r1", detections=(sent().detection(),), received_at=AT, received_s=2.0)
    assert book.written(said, now(2.0)) == ([], None)
