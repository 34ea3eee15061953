"""`streammon train`: makes a label of the operator's own out of two folders of pictures."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import cv2
import typer

from streammon.cli.terminal import DEFAULT_MODELS, ModelsOption, notes, print_line, told
from streammon.detect.runtime.cores import usable_cores
from streammon.detect.runtime.session import open_session
from streammon.detect.scenes.embedding import MODEL
from streammon.detect.scenes.training.assessment import Share
from streammon.detect.scenes.training.head import Trained, encoded
from streammon.detect.scenes.training.head import train as trained_head
from streammon.detect.scenes.training.sheet import error_sheet
from streammon.errors import StreammonError
from streammon.models.catalog import load_catalog
from streammon.models.staging import put
from streammon.models.store import ModelStore


def train(
    label: Annotated[str, typer.Argument(help="What the positive pictures show: a label of the taxonomy.")],
    positive: Annotated[Path, typer.Option("--positive", help="Folder of pictures that show it.")],
    negative: Annotated[Path, typer.Option("--negative", help="Folder of pictures that do not.")],
    out: Annotated[Path, typer.Option("--out", help="Folder that the head goes to, as LABEL.json.")] = Path("heads"),
    precision: Annotated[
        float, typer.Option("--precision", min=0.5, max=1.0, help="Share of what is found that should be right.")
    ] = 0.9,
    models: ModelsOption = None,
) -> None:
    """Train a head for a label on pictures of your own. It takes minutes, and costs nothing while rooms are watched."""
    with told():
        weights = ModelStore(models if models is not None else DEFAULT_MODELS, load_catalog()).path(MODEL)
        session = open_session(weights, "cpu", usable_cores())
        trained = trained_head(label, (positive, negative), session, precision=precision, progress=_progress)
        file, sheet = out / f"{label}.json", out / f"{label}.errors.png"
        _write(file, encoded(trained.head))
        _write(sheet, cv2.imencode(".png", error_sheet(trained.mistakes)[..., ::-1])[1].tobytes())
    _show(trained)
    print_line(f"head:       {file} (add it to detect.scenes.heads)")
    print_line(f"mistakes:   {len(trained.mistakes)}, the worst in {sheet}")


def _progress(done: int, of: int) -> None:
    notes.print(f"read {done} of {of} pictures", end="\r" if done < of else "\n")


def _show(trained: Trained) -> None:
    head, found = trained.head, trained.assessment
    print_line(f"{head.label}: {head.positives} positive and {head.negatives} negative pictures, each held out in turn")
    print_line(f"precision:  {_told(found.precision)}")
    print_line(f"recall:     {_told(found.recall)}")
    print_line("threshold:  0.7, the score from which on a policy should send it to review")


def _told(share: Share) -> str:
    low, high = share.interval
    return f"{share.value:.1%}, {share.hits} of {share.n} (95% interval {low:.0%} to {high:.0%})"


def _write(place: Path, content: bytes) -> None:
    """Whole or not at all."""
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".train-", dir=place.parent) as folder:
            made = Path(folder) / place.name
            made.write_bytes(content)
            put(made, place)
    except OSError as error:
        raise StreammonError(f"{place} cannot be written: {error.strerror}; choose another --out") from error
