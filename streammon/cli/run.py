"""`streammon run`: many rooms, until it is stopped."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from streammon.cli.terminal import DEFAULT_MODELS, ModelsOption, log_level, notes, stop_on_signal, told
from streammon.errors import ConfigError, Problem
from streammon.fleet.config import Settings, load_settings, merged
from streammon.fleet.policies import policy_book
from streammon.fleet.room_list import RoomFile
from streammon.judge.book import PolicyBook
from streammon.logs import log_to_stderr

_DEFAULT_STATE = Path("streammon-state")


def run(
    config: Annotated[Path, typer.Option("--config", "-c", help="A streammon.yaml that names a `rooms` file.")],
    state: Annotated[Path | None, typer.Option("--state", help="Folder of the spool and the evidence.")] = None,
    models: ModelsOption = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log every change of state.")] = False,
) -> None:
    """Watch the rooms of a list until Ctrl-C or SIGTERM.

    Exit status: 0 stopped in order; 1 it could not go on, and says why; 2 its files are not valid, and nothing was
    started.
    """
    from streammon.fleet.supervisor import Supervisor  # noqa: PLC0415 - loads the HTTP server; other commands need none

    log_to_stderr(log_level(verbose))
    with told():
        checked = checked_config(config)
        settings = merged(checked.settings, {"state": state, "models": models})
        settings = settings.model_copy(
            update={"state": settings.state or _DEFAULT_STATE, "models": settings.models or DEFAULT_MODELS}
        )
        if checked.rooms is None:
            raise ConfigError([_missing(config, "rooms", "name the file with the rooms to watch")])
        if not _publishes(settings):
            raise ConfigError([_missing(config, "kafka.bootstrap", "set it, `events`, or another place for events")])
        stop = stop_on_signal()
        Supervisor(settings, checked.rooms).run(stop, lambda line: notes.print(line, style="dim"))


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedConfig:
    """A configuration without a fault; `rooms` is None where it names no list."""

    settings: Settings
    book: PolicyBook
    rooms: RoomFile | None


def checked_config(path: Path) -> CheckedConfig:
    """Reads a streammon.yaml, its policies and its rooms.

    Raises ConfigError: with the faults of the file and of the policy that it names, or else with those of all policies
    and rooms.
    """
    settings = load_settings(path)
    problems: list[Problem] = []
    book: PolicyBook | None = None
    try:
        book = policy_book(settings)
    except ConfigError as error:
        problems += error.problems
    rooms = None
    if settings.rooms is not None:
        policies = None if book is None else book.ids
        rooms = RoomFile(settings.rooms, settings.interval, policies=policies, detectors=settings.detectors)
        try:
            rooms.rooms()
        except ConfigError as error:
            problems += error.problems
    if book is None or problems:
        raise ConfigError(problems)
    return CheckedConfig(settings=settings, book=book, rooms=rooms)


def _publishes(settings: Settings) -> bool:
    deliver = settings.deliver
    places = (settings.kafka.bootstrap, settings.events, deliver.webhook)
    return deliver.stdout or any(place is not None for place in places)


def _missing(path: Path, key: str, cure: str) -> Problem:
    return Problem(file=str(path), line=1, key=key, reason=f"is required by `run`: {cure}")
