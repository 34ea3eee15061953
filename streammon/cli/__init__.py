"""The command line: the only place that exits and that talks to people."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from streammon import __version__
from streammon.cli.events import events_app
from streammon.cli.evidence import evidence_app
from streammon.cli.library import library_app
from streammon.cli.models import models_app
from streammon.cli.policy import policy_app
from streammon.cli.run import checked_config, run
from streammon.cli.terminal import notes, print_line, told
from streammon.cli.topics import topics_app
from streammon.cli.train import train
from streammon.cli.watch import watch
from streammon.judge.feasible import warnings
from streammon.taxonomy import load_taxonomy

app = typer.Typer(
    name="streammon",
    help="Watches live rooms and publishes what breaks the moderation policy.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.add_typer(models_app, name="models")
app.add_typer(policy_app, name="policy")
app.add_typer(library_app, name="library")
app.add_typer(evidence_app, name="evidence")
app.add_typer(events_app, name="events")
app.add_typer(topics_app, name="topics")
app.command()(watch)
app.command()(run)
app.command()(train)


def main() -> None:
    """Entry point of the `streammon` command."""
    app()


@app.command()
def check(config: Annotated[Path, typer.Option("--config", "-c", help="The streammon.yaml to check.")]) -> None:
    """Check a configuration file, its policies and its rooms; every fault at once, exit status 2."""
    with told():
        checked = checked_config(config)
    for policy in checked.book.policies:
        for warning in warnings(policy, checked.settings.interval):
            notes.print(f"policy {policy.id}: {warning}", highlight=False)
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
