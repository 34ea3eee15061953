"""`streammon evidence delete`: done at once, or by the monitor that holds the spool, or kept until one can."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from streammon.cli import app
from streammon.cli import evidence as module
from streammon.deliver.evidence_config import EvidenceConfig, deletions_folder, placed
from streammon.deliver.evidence_deletion import DeletionQueue
from streammon.deliver.evidence_store import EvidenceStore
from streammon.deliver.outbox import Outbox
from tests.unit.evidence_making import AT, MONITOR, NOW_S, waiting

CONFIG = EvidenceConfig(annotated=False, keep=None)
DAY_S = 86400.0


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Where a monitor has been: a picture stored, a later one still waiting."""
    outbox = Outbox(tmp_path / "spool.sqlite")
    store = evidence_store(outbox, tmp_path)
    store.start()
    outbox.commit([], evidence=[waiting(1), waiting(2, room_id="other")])
    assert store.flush(10.0)
    assert store.close()
    outbox.commit([], evidence=[waiting(3, taken_s=AT.timestamp() + DAY_S)])
    outbox.close()
    return tmp_path


def evidence_store(outbox: Outbox, state: Path) -> EvidenceStore:
    return EvidenceStore(outbox, placed(CONFIG, state), MONITOR, deletions_folder(state), clock=lambda: NOW_S)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["evidence", "delete", *map(str, arguments)])


def kept(state: Path) -> list[str]:
    return sorted(path.relative_to(state / "evidence").as_posix() for path in (state / "evidence").rglob("*.jpg"))


def test_what_is_stored_and_what_waits_is_deleted_and_printed(state: Path) -> None:
    done = run("--room", "10086", "--state", state)

    assert done.exit_code == 0
    assert sorted(done.stdout.splitlines()) == sorted([waiting(1).key, waiting(3, taken_s=AT.timestamp() + DAY_S).key])
    assert "2 pictures deleted" in done.stderr
    assert kept(state) == [waiting(2, room_id="other").key]
    assert list(deletions_folder(state).iterdir()) == []


def test_before_a_time(state: Path) -> None:
    assert run("--tenant", "acme", "--before", "2025-03-04T05:00Z", "--state", state).stdout == ""
    assert len(run("--tenant", "acme", "--before", "2025-03-05", "--state", state).stdout.splitlines()) == 2
    assert len(run("--tenant", "acme", "--before", "2025-03-06T12:00+08:00", "--state", state).stdout.splitlines()) == 1


def test_a_monitor_that_runs_does_it(state: Path) -> None:
    outbox = Outbox(state / "spool.sqlite")
    store = evidence_store(outbox, state)
    store.start()
    done: list[Result] = []
    asking = threading.Thread(target=lambda: done.append(run("--room", "10086", "--state", state)))
    asking.start()
    while asking.is_alive():
        outbox.wake()
        asking.join(0.05)
    assert store.close()
    outbox.close()

    assert done[0].exit_code == 0
    assert len(done[0].stdout.splitlines()) == 2
    assert kept(state) == [waiting(2, room_id="other").key]


def test_what_a_busy_monitor_has_not_done_is_kept_and_done_later(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_POLL_S", 0.01)
    outbox = Outbox(state / "spool.sqlite")
    asked = run("--room", "10086", "--state", state, "--wait", 0)
    assert asked.exit_code == 1
    assert "the request is kept" in asked.stderr
    assert len(kept(state)) == 2

    store = evidence_store(outbox, state)
    store.start()
    while DeletionQueue(deletions_folder(state)).waiting():
        outbox.wait(outbox.version, 0.02)
    assert store.close()
    outbox.close()
    assert kept(state) == [waiting(2, room_id="other").key]


@pytest.mark.parametrize(
    "wrong", [[], ["--room", "r"], ["--room", "r", "--state", "/no/such"], ["--room", "r", "--before", "yesterday"]]
)
def test_what_is_missing_is_said(wrong: list[str]) -> None:
    assert run(*wrong).exit_code == 2
