"""`streammon models shadow|compare|switch|rollback|unshadow`: what they say, on a real HTTP port."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event as Flag

import pytest
from prometheus_client import CollectorRegistry
from typer.testing import CliRunner, Result

from streammon.cli import app
from streammon.detect.shadow.report import (
    Compared,
    DetectorModels,
    LabelCompared,
    ModelFile,
    Shadow,
    ShadowAsked,
    ShadowState,
    Spent,
    TextCompared,
)
from streammon.errors import ModelUpdateRefused
from streammon.fleet.model_choices import ChosenFile, ModelChoices
from streammon.fleet.state_lock import held
from streammon.serve.app import build_app
from streammon.serve.models import model_routes
from streammon.serve.server import HttpServer, listen_tcp
from tests.unit.test_serve import State

OLD, NEW = ModelFile(file="m.onnx", sha256="aa", configured=True), ModelFile(file="v2/m.onnx", sha256="bb")
TRIAL = Shadow(model="m", file="v2/m.onnx", share=0.5, state=ShadowState.RUNNING)
COMPARED = Compared(
    frames=40,
    passed_over=3,
    failed=1,
    labels={
        "violence.fire": LabelCompared(
            both=7, only_current=2, only_candidate=5, mean_difference=0.1234, max_difference=0.9
        )
    },
    current=Spent(cpu_s=0.0123, provider_s=0.02),
    candidate=Spent(cpu_s=0.0456, provider_s=0.03),
)


@dataclass(slots=True)
class Keeper:
    """A monitor that does what is asked: the trial is warm at the second look."""

    one: DetectorModels = field(default_factory=lambda: DetectorModels(detector="flames", models={"m": OLD}))
    becomes: Shadow = TRIAL
    asked: list[object] = field(default_factory=list)

    def report(self) -> Sequence[DetectorModels]:
        told = self.one
        if told.shadow is not None and told.shadow.state is ShadowState.WARMING_UP:
            self.one = replace(told, shadow=self.becomes)
        return [told, DetectorModels(detector="qr", models={})]

    def shadow(self, name: str, asked: ShadowAsked) -> None:
        self.asked.append((name, asked))
        self.one = replace(self.one, shadow=replace(self.becomes, state=ShadowState.WARMING_UP, why=None))

    def unshadow(self, name: str) -> None:
        assert name == self.one.detector
        self.one = replace(self.one, shadow=None)

    def switch(self, name: str) -> None:
        assert name == self.one.detector
        self.one = replace(self.one, models={"m": NEW}, previous={"m": OLD}, shadow=None)

    def rollback(self, name: str) -> None:
        raise ModelUpdateRefused(f"nothing to roll back to for {name}")


class Served:
    """A keeper behind a port that wants a token."""

    def __init__(self, folder: Path) -> None:
        self.keeper = Keeper()
        self.token = folder / "token"
        self.token.write_text("s3cret\n")
        routes = model_routes(self.keeper, "s3cret")
        self.server = HttpServer(build_app(State(), CollectorRegistry(), routes), listen_tcp("127.0.0.1", 0))
        self.server.start()

    def run(self, *arguments: str) -> Result:
        options = ["--url", f"http://127.0.0.1:{self.server.port}/", "--token-file", str(self.token)]
        return CliRunner().invoke(app, ["models", *arguments, *options])


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    one = Served(tmp_path)
    yield one
    one.server.close()


def test_shadow_waits_until_the_candidate_runs(served: Served) -> None:
    result = served.run("shadow", "flames", "v2/m.onnx", "--share", "0.5", "--model", "m", "--sha256", "bb")
    assert (result.exit_code, served.keeper.asked) == (
        0,
        [("flames", ShadowAsked(file="v2/m.onnx", model="m", share=0.5, sha256="bb"))],
    )
    assert "flames: v2/m.onnx is on trial for m, shown 50% of the frames" in result.stdout


def test_shadow_says_why_it_failed(served: Served) -> None:
    served.keeper.becomes = replace(TRIAL, state=ShadowState.FAILED, why="the graph has 2 inputs")
    result = served.run("shadow", "flames", "v2/m.onnx")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "the trial of v2/m.onnx has failed: the graph has 2 inputs" in result.stderr


def test_shadow_does_not_wait_for_ever(served: Served) -> None:
    served.keeper.becomes = replace(TRIAL, state=ShadowState.WARMING_UP)
    result = served.run("shadow", "flames", "v2/m.onnx", "--wait", "0")
    assert (result.exit_code, "it is warming up still" in result.stderr) == (1, True)


def test_compare_shows_who_saw_what(served: Served) -> None:
    served.keeper.one = replace(served.keeper.one, shadow=replace(TRIAL, compared=COMPARED))
    lines = served.run("compare", "flames").stdout.splitlines()
    assert lines[:5] == [
        "flames: m is m.onnx, as configured (sha256 aa)",
        "flames: on trial for m is v2/m.onnx, running",
        "40 frames compared, 3 passed over, 1 failed",
        "CPU ms per frame: current 12.3, candidate 45.6",
        "provider ms per frame: current 20.0, candidate 30.0",
    ]
    assert lines[6].split() == ["violence.fire", "7", "2", "5", "0.123", "0.900"]


def test_compare_shows_lines_of_text(served: Served) -> None:
    text = Compared(frames=4, text=TextCompared(both=9, only_current=1, only_candidate=2))
    served.keeper.one = replace(served.keeper.one, shadow=replace(TRIAL, compared=text))
    assert served.run("compare", "flames").stdout.splitlines()[-1].split()[:6] == ["lines", "of", "text", "9", "1", "2"]


def test_compare_without_a_name_shows_all_and_a_wrong_one_is_told(served: Served) -> None:
    shown = served.run("compare").stdout
    assert "flames: m is m.onnx" in shown
    assert "qr: has no model that another could stand in for" in shown
    assert [one["detector"] for one in json.loads(served.run("compare", "--json").stdout)] == ["flames", "qr"]
    wrong = served.run("compare", "faces")
    assert (wrong.exit_code, wrong.stderr) == (1, "streammon: no detector 'faces' runs there; there are flames, qr\n")


def test_a_monitor_that_is_stopping_is_told(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Keeper, "report", lambda _: [])
    for arguments in (["compare"], ["compare", "flames"], ["switch", "flames"], ["shadow", "flames", "m.onnx"]):
        result = served.run(*arguments)
        assert (result.exit_code, "the monitor is starting or stopping" in result.stderr) == (1, True)


def test_switch_shows_what_runs_now(served: Served) -> None:
    assert served.run("switch", "flames").stdout.splitlines() == [
        "flames: m is v2/m.onnx, switched to (sha256 bb)",
        "flames: can be rolled back to m.onnx",
    ]


def test_a_refusal_is_told_in_the_monitors_words(served: Served) -> None:
    result = served.run("rollback", "flames")
    assert (result.exit_code, result.stderr) == (1, "streammon: nothing to roll back to for flames\n")


def test_unshadow_says_that_it_is_done(served: Served) -> None:
    served.keeper.one = replace(served.keeper.one, shadow=TRIAL)
    assert served.run("unshadow", "flames").stdout == "flames: nothing is on trial\n"
    assert served.keeper.one.shadow is None


def test_a_token_that_is_wrong_or_not_to_be_had_is_told(served: Served) -> None:
    served.token.write_text("other")
    assert "needs `Authorization: Bearer`" in served.run("compare").stderr
    served.token.unlink()
    assert f"--token-file {served.token} cannot be read" in served.run("compare").stderr


def test_a_monitor_that_serves_no_models_is_told(tmp_path: Path) -> None:
    server = HttpServer(build_app(State(), CollectorRegistry()), listen_tcp("127.0.0.1", 0))
    server.start()
    result = CliRunner().invoke(app, ["models", "compare", "--url", f"http://127.0.0.1:{server.port}"])
    server.close()
    assert (result.exit_code, "only where `http.token` is set" in result.stderr) == (1, True)


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "ftp://127.0.0.1", "nonsense"])
def test_where_nobody_answers_is_told(url: str) -> None:
    result = CliRunner().invoke(app, ["models", "compare", "--url", url])
    assert (result.exit_code, f"no monitor answers at {url}" in result.stderr) == (1, True)


def test_offline_the_next_start_runs_what_is_configured(tmp_path: Path) -> None:
    choices = ModelChoices(tmp_path, tmp_path)
    choices.write("flames", {"m": ChosenFile(file="v2/m.onnx", sha256="bb")})
    runner = CliRunner()
    with held(tmp_path / "engine.lock", Flag()):
        refused = runner.invoke(app, ["models", "rollback", "flames", "--offline", str(tmp_path)])
        assert (refused.exit_code, "is in use by process" in refused.stderr) == (1, True)
    result = runner.invoke(app, ["models", "rollback", "flames", "--offline", str(tmp_path)])
    assert (result.exit_code, result.stdout) == (0, "flames: runs as configured from the next start on\n")
    assert choices.read() == {}
    again = runner.invoke(app, ["models", "rollback", "flames", "--offline", str(tmp_path)])
    assert (again.exit_code, "says nothing of detector 'flames'" in again.stderr) == (1, True)
