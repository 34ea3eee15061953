"""How the command line talks: results to stdout, notes to stderr, errors as one line and an exit status."""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from streammon.errors import ConfigError, StreammonError

notes = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)

DEFAULT_MODELS = Path("models")
ModelsOption = Annotated[
    Path | None, typer.Option("--models", envvar="STREAMMON_MODELS", help="Folder of the weights.  [default: models]")
]


def print_line(line: str) -> None:
    """One line of result, at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def stop_on_signal() -> Event:
    """An event that Ctrl-C and SIGTERM set from now on."""
    stop = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    return stop


@contextmanager
def told() -> Iterator[None]:
    """Turns this package's errors into a line on stderr and an exit status: 2 for what the caller wrote, else 1."""
    try:
        yield
    except ConfigError as error:
        _fail(str(error), 2)
    except StreammonError as error:
        _fail(f"streammon: {error}", 1)


def _fail(message: str, code: int) -> NoReturn:
    sys.stderr.write(f"{message}\n")
    raise typer.Exit(code)


def log_level(verbose: bool) -> int:
    """Warnings are logged; with `verbose` every change of state is."""
    return logging.INFO if verbose else logging.WARNING
