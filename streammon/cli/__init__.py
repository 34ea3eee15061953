"""The command line: the only place that exits and that talks to people."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from streammon import __version__
from streammon.cli.models import models_app
from streammon.cli.terminal import print_line, told
from streammon.cli.watch import watch
from streammon.fleet.config import load_settings
from streammon.taxonomy import load_taxonomy

app = typer.Typer(
    name="streammon",
    help="Watches live rooms and publishes what breaks the moderation policy.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.add_typer(models_app, name="models")
app.command()(watch)


def main() -> None:
    """Entry point of the `streammon` command."""
    app()


@app.command()
def check(config: Annotated[Path, typer.Option("--config", "-c", help="The streammon.yaml to check.")]) -> None:
    """Check a configuration file and the policy that it names; every fault at once, exit status 2."""
    with told():
        load_settings(config)
    print_line(f"{config}: ok")


@app.command()
def labels() -> None:
    """List the labels of the taxonomy and their codes."""
    for label in load_taxonomy().labels.values():
        print_line(f"{label.code}  {label.name}")


@app.command()
def version() -> None:
    """Print the version."""
    print_line(__version__)
