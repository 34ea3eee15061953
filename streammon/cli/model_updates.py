"""`streammon models shadow|compare|switch|rollback|unshadow`: new versions of a running monitor's models."""

from __future__ import annotations

import time
from pathlib import Path
from threading import Event as Flag
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from streammon.cli.asking import Monitor
from streammon.cli.terminal import DEFAULT_MODELS, notes, print_line, told
from streammon.detect.shadow.report import Compared, DetectorModels, Shadow, ShadowAsked, ShadowState
from streammon.errors import StreammonError
from streammon.fleet.model_choices import ModelChoices
from streammon.fleet.state_lock import held

_POLL_S = 0.2

Detector = Annotated[str, typer.Argument(help="The detector, by its name.")]
Url = Annotated[str, typer.Option("--url", help="The running monitor's HTTP address.")]
TokenFile = Annotated[Path | None, typer.Option("--token-file", help="A file with its `http.token`.")]
_LOCAL = "http://127.0.0.1:9464"


def shadow(
    detector: Detector,
    file: Annotated[str, typer.Argument(help="An ONNX file in the folder of the monitor's models.")],
    model: Annotated[
        str | None, typer.Option("--model", help="The model that it stands in for, where there are several.")
    ] = None,
    share: Annotated[float, typer.Option("--share", help="Of the examined frames, above 0 and up to 1.")] = 0.1,
    sha256: Annotated[str | None, typer.Option("--sha256", help="What the file must be.")] = None,
    url: Url = _LOCAL,
    token_file: TokenFile = None,
    wait: Annotated[float, typer.Option("--wait", help="Seconds to wait until it runs.")] = 300.0,
) -> None:
    """Put a new version of a model on trial: it looks beside the current one; what it sees is recorded, not judged."""
    with told():
        monitor = Monitor(url, token_file)
        asked = ShadowAsked(file=file, model=model, share=share, sha256=sha256)
        monitor.ask("PUT", "models", detector, "shadow", body=msgspec.json.encode(asked))
        notes.print(f"{file} is being opened and warmed up …", style="dim")
        trial = _settled(monitor, detector, wait)
        if trial.state is not ShadowState.RUNNING:
            raise StreammonError(f"the trial of {file} has failed: {trial.why}")
    print_line(f"{detector}: {file} is on trial for {trial.model}, shown {trial.share:.0%} of the frames")
    print_line(f"`streammon models compare {detector}` shows what it sees")


def compare(
    detector: Annotated[str | None, typer.Argument(help="The detector; all if none.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="All that the monitor says, as JSON.")] = False,
    url: Url = _LOCAL,
    token_file: TokenFile = None,
) -> None:
    """Show what detectors run, and how a model on trial sees the frames that the current one has seen."""
    with told():
        monitor = Monitor(url, token_file)
        shown = _report(monitor) if detector is None else [_one(monitor, detector)]
    if as_json:
        print_line(msgspec.json.encode(shown).decode())
        return
    for one in shown:
        _show(one)


def switch(detector: Detector, url: Url = _LOCAL, token_file: TokenFile = None) -> None:
    """Judge by the model on trial from now on, also after a restart. The one before stays open for a rollback."""
    with told():
        monitor = Monitor(url, token_file)
        monitor.ask("POST", "models", detector, "switch")
        _show(_one(monitor, detector))


def rollback(
    detector: Detector,
    offline: Annotated[
        Path | None, typer.Option("--offline", help="The state folder of a monitor that does not run.")
    ] = None,
    url: Url = _LOCAL,
    token_file: TokenFile = None,
) -> None:
    """Judge by the model before the last switch again. With --offline, the next start runs the configured one."""
    with told():
        if offline is not None:
            _forget(offline, detector)
            return
        monitor = Monitor(url, token_file)
        monitor.ask("POST", "models", detector, "rollback")
        _show(_one(monitor, detector))


def unshadow(detector: Detector, url: Url = _LOCAL, token_file: TokenFile = None) -> None:
    """End a trial; after a switch, let go of the model before."""
    with told():
        Monitor(url, token_file).ask("DELETE", "models", detector, "shadow")
    print_line(f"{detector}: nothing is on trial")


def _forget(state: Path, detector: str) -> None:
    choices = ModelChoices(state, DEFAULT_MODELS)
    if detector not in choices.read():
        raise StreammonError(f"{choices.path} says nothing of detector {detector!r}: it runs as configured")
    with held(state / "engine.lock", Flag()):
        choices.write(detector, {})
    print_line(f"{detector}: runs as configured from the next start on")


def _report(monitor: Monitor) -> list[DetectorModels]:
    try:
        report = msgspec.json.decode(monitor.ask("GET", "models"), type=list[DetectorModels])
    except msgspec.DecodeError as error:
        raise StreammonError("what answers is no monitor of this version") from error
    if not report:
        raise StreammonError("the monitor is starting or stopping; try again")
    return report


def _one(monitor: Monitor, detector: str) -> DetectorModels:
    """Raises StreammonError where no such detector runs."""
    report = _report(monitor)
    for one in report:
        if one.detector == detector:
            return one
    raise StreammonError(f"no detector {detector!r} runs there; there are {', '.join(one.detector for one in report)}")


def _settled(monitor: Monitor, detector: str, wait_s: float) -> Shadow:
    """The trial, once it is not warming up any more."""
    until_s = time.monotonic() + wait_s
    while (trial := _one(monitor, detector).shadow) is not None:
        if trial.state is not ShadowState.WARMING_UP:
            return trial
        if time.monotonic() > until_s:
            raise StreammonError("it is warming up still; `streammon models compare` tells when it runs")
        time.sleep(_POLL_S)
    raise StreammonError("somebody has ended the trial")


def _show(one: DetectorModels) -> None:
    for model, file in one.models.items():
        by = "as configured" if file.configured else "switched to"
        print_line(f"{one.detector}: {model} is {file.file}, {by} (sha256 {file.sha256 or 'not known'})")
    if not one.models:
        print_line(f"{one.detector}: has no model that another could stand in for")
    if one.previous is not None:
        print_line(f"{one.detector}: can be rolled back to {', '.join(file.file for file in one.previous.values())}")
    if one.shadow is not None:
        _show_trial(one.detector, one.shadow)


def _show_trial(detector: str, trial: Shadow) -> None:
    state = trial.state.value.replace("_", " ") + (f": {trial.why}" if trial.why is not None else "")
    print_line(f"{detector}: on trial for {trial.model} is {trial.file}, {state}")
    seen = trial.compared
    print_line(f"{seen.frames} frames compared, {seen.passed_over} passed over, {seen.failed} failed")
    if seen.frames:
        _show_compared(seen)


def _show_compared(seen: Compared) -> None:
    old, new = seen.current, seen.candidate
    print_line(f"CPU ms per frame: current {old.cpu_s * 1000:.1f}, candidate {new.cpu_s * 1000:.1f}")
    print_line(f"provider ms per frame: current {old.provider_s * 1000:.1f}, candidate {new.provider_s * 1000:.1f}")
    table = Table(box=None, pad_edge=False)
    for column in ("seen in frames", "both", "only current", "only candidate", "mean difference", "greatest"):
        table.add_column(column, overflow="fold")
    for label, one in seen.labels.items():
        counts = (str(one.both), str(one.only_current), str(one.only_candidate))
        table.add_row(label, *counts, f"{one.mean_difference:.3f}", f"{one.max_difference:.3f}")
    if not seen.labels:
        text = seen.text
        table.add_row("lines of text", str(text.both), str(text.only_current), str(text.only_candidate), "-", "-")
    Console(highlight=False, width=160).print(table)
