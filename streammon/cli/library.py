"""`streammon library`: the lists of faces and of pictures that a platform looks for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from streammon.cli.enrolling import Enroller, Seen, enroller
from streammon.cli.terminal import DEFAULT_MODELS, ModelsOption, notes, print_line, told
from streammon.detect.faces.config import EmbedderName
from streammon.errors import LibraryError, StreammonError
from streammon.library.listing import Arrays, Entry, Kind, Listing, Thresholds, entry_id, with_photos, without
from streammon.library.read_picture import read_picture
from streammon.library.store import LibraryStore
from streammon.taxonomy import load_taxonomy

library_app = typer.Typer(help="Lists of faces and of pictures to look for.", no_args_is_help=True)

LibraryOption = Annotated[Path, typer.Option("--library", envvar="STREAMMON_LIBRARY", help="Folder of the lists.")]
PicturesArgument = Annotated[
    list[Path], typer.Argument(help="Picture files, or folders of them.", metavar="PICTURE...")
]
EmbedderOption = Annotated[
    EmbedderName, typer.Option("--embedder", help="Of faces: the network, as `detect.faces.embedder` has it.")
]
DEFAULT_LIBRARY = Path("library")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Said:
    """What the command line says of a list; None where it leaves it as it is."""

    label: str | None
    review: float | None
    sure: float | None
    allow: bool | None


class _Commands:
    """Of one kind of lists."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind

    def add(  # noqa: PLR0913 - each is an option of the command
        self,
        name: Annotated[str, typer.Argument(metavar="LIST", help="The list; made on first use.")],
        entry: Annotated[str, typer.Argument(metavar="NAME", help="Who or what it is; more pictures add to it.")],
        pictures: PicturesArgument,
        *,
        label: Annotated[str | None, typer.Option(help="The label that a match raises; a new list needs it.")] = None,
        review: Annotated[float | None, typer.Option(help="Similarity from which it is a match.")] = None,
        sure: Annotated[float | None, typer.Option(help="Similarity from which it is beyond doubt.")] = None,
        note: Annotated[str, typer.Option(help="A remark, kept with the entry.")] = "",
        allow: Annotated[
            bool | None, typer.Option("--allow/--no-allow", help="What is in the list is fine, whatever others say.")
        ] = None,
        largest: Annotated[bool, typer.Option("--largest", help="Of several faces, take the largest.")] = False,
        library: LibraryOption = DEFAULT_LIBRARY,
        models: ModelsOption = None,
        embedder: EmbedderOption = "dlib",
    ) -> None:
        """Enrol pictures of one NAME. What cannot be used is named and left out, with exit status 1."""
        with told(), enroller(self.kind, _folder(models), embedder) as made_with:
            store = LibraryStore(library, self.kind)
            said = _Said(label=label, review=review, sure=sure, allow=allow)
            base = _list_as_asked(store, name, made_with, said)
            row = Entry(id=entry_id(entry), name=entry.strip(), photos=1, added_at=datetime.now(UTC), note=note)
            rows, bad = _enrolled(made_with, pictures, largest=largest)
            if rows:
                with store.writing():
                    now = _list_as_asked(store, name, made_with, said)
                    store.save(with_photos(now, replace(row, photos=len(rows)), _stacked(base, rows)))
            print_line(f"{name}: {row.id}: {len(rows)} of {len(rows) + bad} pictures enrolled")
        if bad:
            raise typer.Exit(1)

    def list(
        self,
        name: Annotated[str | None, typer.Argument(metavar="[LIST]", help="Show its entries.")] = None,
        library: LibraryOption = DEFAULT_LIBRARY,
    ) -> None:
        """Show the lists, or the entries of one."""
        with told():
            store = LibraryStore(library, self.kind)
            if name is not None:
                _show_entries(store.read(name))
            elif not _show_lists(store):
                raise typer.Exit(1)

    def remove(
        self,
        name: Annotated[str, typer.Argument(metavar="LIST")],
        entry: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Name or id of the entry.")] = None,
        whole: Annotated[bool, typer.Option("--all", help="Remove the whole list.")] = False,
        library: LibraryOption = DEFAULT_LIBRARY,
    ) -> None:
        """Forget an entry, or a whole list, completely. A monitor that runs forgets it within seconds."""
        if (entry is None) is not whole:
            raise typer.BadParameter("name an entry, or say --all for the whole list")
        with told():
            store = LibraryStore(library, self.kind)
            with store.writing():
                if entry is None:
                    store.delete(name)
                else:
                    store.save(without(store.read(name), entry_id(entry)))
            print_line(f"{name}: removed" if entry is None else f"{name}: {entry_id(entry)} removed")

    def test(
        self,
        pictures: PicturesArgument,
        library: LibraryOption = DEFAULT_LIBRARY,
        models: ModelsOption = None,
        embedder: EmbedderOption = "dlib",
    ) -> None:
        """Say what the lists make of pictures: the entries most like them, and the verdict. Nothing is kept."""
        with told(), enroller(self.kind, _folder(models), embedder) as made_with:
            store = LibraryStore(library, self.kind)
            listings = [store.read(name, made_with.model) for name in store.names()]
            if not any(listing.entries for listing in listings):
                print_line(
                    f"{library / self.kind.value}: has no entries; `streammon library {self.kind.value} add` makes some"
                )
            bad = 0
            for path in _files(pictures):
                try:
                    _show_seen(path, made_with.seen(read_picture(path), listings))
                except StreammonError as error:
                    bad += _told_of(path, error)
        if bad:
            raise typer.Exit(1)


def _app(kind: Kind, what: str) -> typer.Typer:
    app, commands = typer.Typer(help=what, no_args_is_help=True), _Commands(kind)
    for name in ("add", "list", "remove", "test"):
        app.command(name)(getattr(commands, name))
    return app


library_app.add_typer(_app(Kind.FACES, "Faces: who must be noticed."), name="faces")
library_app.add_typer(_app(Kind.IMAGES, "Pictures that must be found again, or are fine."), name="images")


def _folder(models: Path | None) -> Path:
    return models if models is not None else DEFAULT_MODELS


def _list_as_asked(store: LibraryStore, name: str, made_with: Enroller, said: _Said) -> Listing:
    """The list with what the command says of it; a new one where there is none. Raises LibraryError."""
    label = said.label
    if label is not None and label not in load_taxonomy().labels:
        raise LibraryError(f"--label {label}: is no label of the taxonomy; `streammon labels` lists them")
    if name in store.names():
        listing = store.read(name, made_with.model)
    elif label is None:
        raise LibraryError(f"there is no {store.kind} list {name!r} yet: say which --label it raises, and it is made")
    else:
        store.path(name)
        listing = Listing(
            name=name,
            kind=store.kind,
            label=label,
            thresholds=made_with.defaults,
            model=made_with.model,
            entries=(),
            arrays=made_with.blank(),
        )
    known = listing.thresholds
    return replace(
        listing,
        label=label if label is not None else listing.label,
        thresholds=Thresholds(
            review=said.review if said.review is not None else known.review,
            sure=said.sure if said.sure is not None else known.sure,
        ),
        allow=said.allow if said.allow is not None else listing.allow,
    )


def _enrolled(made_with: Enroller, pictures: Sequence[Path], *, largest: bool) -> tuple[list[Arrays], int]:
    """The rows of those that can be used, and how many cannot, which are told."""
    rows: list[Arrays] = []
    bad = 0
    for path in _files(pictures):
        try:
            rows.append(made_with.rows(read_picture(path), largest=largest))
        except StreammonError as error:
            bad += _told_of(path, error)
    return rows, bad


def _files(pictures: Sequence[Path]) -> list[Path]:
    """The files that are named, and those in the folders that are; hidden ones are none."""
    found: list[Path] = []
    for path in pictures:
        inside = sorted(file for file in path.iterdir() if file.is_file()) if path.is_dir() else [path]
        found += [file for file in inside if not file.name.startswith(".")]
    return found


def _told_of(path: Path, error: StreammonError) -> int:
    said = str(error)
    notes.print(said if said.startswith(str(path)) else f"{path}: {said}")
    return 1


def _stacked(base: Listing, rows: Sequence[Arrays]) -> Arrays:
    return {name: np.concatenate([one[name] for one in rows]) for name in base.arrays}


def _show_lists(store: LibraryStore) -> bool:
    """Whether all can be read; what cannot is told."""
    if not store.names():
        print_line(f"there are no {store.kind} lists; `streammon library {store.kind} add` makes one")
        return True
    table, sound = _table("list", "label", "entries", "photos", "review", "sure", "", "made with"), True
    for name in store.names():
        try:
            one = store.read(name)
        except LibraryError as error:
            notes.print(str(error))
            sound = False
            continue
        photos, at = len(one.vectors), one.thresholds
        table.add_row(name, one.label, str(len(one.entries)), str(photos), f"{at.review:g}", f"{at.sure:g}",
                      "allow" if one.allow else "", one.model.id)  # fmt: skip
    Console(highlight=False).print(table)
    return sound


def _show_entries(listing: Listing) -> None:
    table = _table("id", "name", "photos", "added", "note")
    for entry in listing.entries:
        table.add_row(entry.id, entry.name, str(entry.photos), f"{entry.added_at:%Y-%m-%d %H:%M}Z", entry.note)
    Console(highlight=False).print(table)


def _show_seen(path: Path, seen: Sequence[Seen]) -> None:
    if not seen:
        print_line(f"{path}: nothing that a list could know")
    for box, matches in seen:
        at = "" if box is None else f" at {box.x:.2f},{box.y:.2f} {box.w:.2f}x{box.h:.2f}"
        if not matches:
            print_line(f"{path}{at}: no entry to compare with")
        for match in matches:
            known = match.listing.thresholds
            sure = "sure" if match.similarity >= known.sure else "review"
            verdict = sure if match.similarity >= known.review else "no match"
            verdict += " (allow-list)" if match.listing.allow else ""
            found = f"{match.listing.name}/{match.entry.id} ({match.entry.name})"
            print_line(f"{path}{at}: {found} similarity {match.similarity:.2f}, score {match.score:.2f}: {verdict}")


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
