"""`streammon evidence`: the pictures that were kept of incidents."""

from __future__ import annotations

import socket
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from streammon import __version__
from streammon.cli.terminal import notes, print_line, told
from streammon.deliver.evidence_config import deletions_folder, placed
from streammon.deliver.evidence_deletion import DeletionQueue
from streammon.deliver.outbox import Outbox
from streammon.errors import EvidenceError, SpoolError
from streammon.events import Monitor
from streammon.fleet.config import Settings, load_settings

evidence_app = typer.Typer(help="The pictures that were kept of incidents.", no_args_is_help=True)

_POLL_S = 0.5


@evidence_app.callback()
def evidence() -> None:
    """The pictures that were kept of incidents."""


def _moment(text: str | None) -> float:
    """UTC epoch seconds of an ISO 8601 time; one without an offset is in UTC. None is now."""
    if text is None:
        return time.time()
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(
            f"--before {text!r} should be a time such as 2026-01-31 or 2026-01-31T12:00Z"
        ) from error
    return (at if at.tzinfo is not None else at.replace(tzinfo=UTC)).timestamp()


@evidence_app.command()
def delete(
    room: Annotated[str | None, typer.Option("--room", help="Pictures of this room.")] = None,
    tenant: Annotated[str | None, typer.Option("--tenant", help="Pictures of this tenant.")] = None,
    before: Annotated[
        str | None, typer.Option("--before", help="Only those taken before this time, such as 2026-01-31T12:00Z.")
    ] = None,
    config: Annotated[Path | None, typer.Option("--config", "-c", help="The monitor's streammon.yaml.")] = None,
    state: Annotated[Path | None, typer.Option("--state", help="The monitor's state folder.")] = None,
    wait: Annotated[float, typer.Option("--wait", min=0, help="Seconds for a running monitor to do it.")] = 120.0,
) -> None:
    """Delete pictures from the store and from the spool, and print the path of each.

    A monitor that runs does it itself; one that does not run does it when it starts, if this command cannot.
    """
    if room is None and tenant is None:
        raise typer.BadParameter("name a --room, a --tenant or both")
    before_s = _moment(before)
    with told():
        settings = load_settings(config) if config is not None else Settings()
        folder = state if state is not None else settings.state
        if folder is None or not folder.is_dir():
            raise typer.BadParameter("--state should be the monitor's state folder")
        keys = _delete(settings, folder, (room, tenant, before_s), wait)
    for key in keys:
        print_line(key)
    notes.print(f"{len(keys)} pictures deleted")


def _delete(settings: Settings, state: Path, asked: tuple[str | None, str | None, float], wait_s: float) -> list[str]:
    room, tenant, before_s = asked
    queue = DeletionQueue(deletions_folder(state))
    deletion = queue.ask(room_id=room, tenant=tenant, before_s=before_s)
    until_s = time.monotonic() + wait_s
    while True:
        busy = _delete_here(settings, state)
        keys = queue.finished(deletion)
        if keys is not None:
            return keys
        if time.monotonic() >= until_s:
            raise EvidenceError(f"not deleted yet, but it will be, for the request is kept ({busy})")
        time.sleep(_POLL_S)


def _delete_here(settings: Settings, state: Path) -> str | None:
    """Does what is asked for, unless a monitor that runs holds the spool: then says so."""
    from streammon.deliver.evidence_store import delete_now  # noqa: PLC0415 - loads what draws; no other command needs it

    worker = Monitor(version=__version__, worker=settings.worker or socket.gethostname())
    try:
        outbox = Outbox(state / "spool.sqlite")
    except SpoolError as error:
        return str(error)
    try:
        delete_now(outbox, placed(settings.evidence, state), worker, deletions_folder(state))
    finally:
        outbox.close()
    return None
