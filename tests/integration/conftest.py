"""Fixtures that several integration suites share. A suite may have its own of the same name."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator

import pytest

from sample_streams.broker import Broker
from streammon.ingest.rooms.mailbox import Mailbox
from tests.integration.ingesting import Ear, new_mailbox
from tests.integration.scripted_http import Reply, ScriptedServer


@pytest.fixture
def no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        thread.join(1.0)
        assert not thread.is_alive(), thread.name


@pytest.fixture
def collected_sockets() -> Iterator[None]:
    """kafka-python leaves sockets to the collector: they go within the test that made them."""
    yield
    gc.collect()


@pytest.fixture
def broker() -> Iterator[Broker]:
    with Broker() as running:
        yield running


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    """One that answers by a script."""
    with ScriptedServer() as one:
        yield one


@pytest.fixture
def other() -> Iterator[ScriptedServer]:
    """Another host, which only some clients may connect to."""
    with ScriptedServer("127.0.0.2") as two:
        two.pages["/p"] = Reply(body=b"private")
        yield two


@pytest.fixture
def ear() -> Ear:
    return Ear()


@pytest.fixture
def mailbox() -> Mailbox:
    return new_mailbox()
