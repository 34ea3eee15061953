"""What several commands read from the command line, and how each says what is wrong with it."""

from __future__ import annotations

import typer
from pydantic import ValidationError

from streammon.config import parse_duration
from streammon.deliver.config import KafkaConfig


def parse_interval(text: str) -> float:
    """A time between samples, in seconds. Raises BadParameter."""
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} {error}") from error
    if not isinstance(seconds, float) or not 0.1 <= seconds <= 600:
        raise typer.BadParameter(f"{text!r} should be from 0.1s to 10m")
    return seconds


def bootstrap(text: str) -> str:
    """Brokers, as `--kafka` names them. Raises BadParameter."""
    try:
        KafkaConfig(bootstrap=text)
    except ValidationError as error:
        raise typer.BadParameter(f"--kafka {text!r} should be HOST:PORT, or several joined by commas") from error
    return text
