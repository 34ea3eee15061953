"""What the suite judges by: gaps, time that runs back, and the faults that its own proxy and clips make."""

from __future__ import annotations

import socket
import threading
from contextlib import closing
from io import BytesIO

import av
import pytest
from av.container import InputContainer

from tests.faults.clips import flv, flv_from, flv_tags, pieces, tag_times_s, wrapping
from tests.faults.healthy import gap_intervals
from tests.faults.play import ran_ahead_s, run_back
from tests.faults.proxy import FaultProxy
from tests.faults.watch import Sighting


def sightings(*moments: tuple[float, float], session: int = 1) -> list[Sighting]:
    return [Sighting(at_s=at_s, session=session, pts_s=pts_s, width=1, height=1) for at_s, pts_s in moments]


@pytest.mark.parametrize(
    ("seen", "since_s", "until_s", "burst_s", "gap"),
    [
        (sightings((0, 0), (1, 1), (2, 2)), 0.0, 2.5, 0.0, 1.0),
        (sightings((0, 0), (4, 1), (5, 2)), 0.0, 5.0, 0.0, 4.0),
        (sightings((0, 0), (4, 1), (5, 2)), 4.5, 5.0, 0.0, 1.0),
        (sightings((0, 0), (1, 1), (2, 4)), 0.0, 2.5, 0.0, 3.0),
        (sightings((0, 0), (1, 1)), 0.0, 6.0, 0.0, 5.0),
        (sightings((0, 0), (3, 1), (3, 2), (3, 3)), 0.0, 3.0, 1.0, 2.0),
        (sightings((0, 0), (1, 50)) + sightings((2, 0), session=2), 1.5, 2.0, 0.0, 1.0),
    ],
)
def test_a_gap_is_the_longest_time_without_anything_new(
    seen: list[Sighting], since_s: float, until_s: float, burst_s: float, gap: float
) -> None:
    assert gap_intervals(seen, since_s, until_s, burst_s) == gap


def test_time_may_run_back_only_between_sessions() -> None:
    seen = sightings((0, 5), (1, 6)) + sightings((2, 0), (3, 0), session=2)
    assert run_back(seen) == [(0, 0)]


def test_time_that_runs_ahead_is_measured_by_session() -> None:
    assert ran_ahead_s(sightings((0, 0), (1, 3), (9, 8)) + sightings((9, 100), (10, 101), session=2)) == 2


def test_a_clock_runs_over_where_a_clip_says_that_it_does() -> None:
    stamps = []
    for piece in wrapping():
        with av.open(BytesIO(piece)) as container:
            assert isinstance(container, InputContainer)
            stamps += [packet.pts % 2**33 for packet in container.demux(video=0) if packet.pts is not None]
    assert len(stamps) == 100
    assert stamps[0] > 2**33 - 3 * 90_000
    assert stamps[-1] < 2 * 90_000
    assert len(pieces()) == 4


def test_an_flv_clock_runs_over_without_a_jump() -> None:
    tags = flv_tags(flv_from(flv(), 2**32 - 2000))
    assert tag_times_s(tags) == tag_times_s(flv_tags(flv()))
    assert {tag[7] for tag in tags} == {0, 255}


def test_the_proxy_resets_in_the_middle_and_refuses_until_it_is_healed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, FaultProxy(server.getsockname()[1]) as proxy:
        threading.Thread(target=_answer_twice, args=(server,)).start()
        with closing(socket.create_connection(("127.0.0.1", proxy.port), 5.0)) as client:
            assert client.recv(1000) == b"x" * 100
            proxy.cut()
            client.sendall(b"more")
            assert client.recv(1000) == b"x" * 50
            with pytest.raises(ConnectionResetError):
                client.recv(1)
        proxy.refuse()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", proxy.port), 5.0)
        proxy.heal()
        socket.create_connection(("127.0.0.1", proxy.port), 5.0).close()


def _answer_twice(server: socket.socket) -> None:
    with closing(server.accept()[0]) as connected:
        connected.sendall(b"x" * 100)
        connected.recv(10)
        connected.sendall(b"x" * 100)
        connected.recv(10)
