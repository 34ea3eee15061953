"""A new version of a model, by the commands that operators use, while `streammon run` watches a red room."""

from __future__ import annotations

import json
from fractions import Fraction
from hashlib import sha256
from pathlib import Path
from typing import Any

import av
import jsonschema
import numpy as np
import pytest
from typer.testing import CliRunner, Result

from streammon.cli import app
from streammon.deliver.schemas import FOLDER
from tests.integration.test_run_command import Running
from tests.tiny_models import LABEL, SEES_NOTHING, SEES_RED, classifier, section

RATE, LASTS_S = 5, 600
SETTINGS = """models: models
records: {file: records.jsonl}
policies: {files: [policy.yaml], default: fires}
"""
POLICY = f"""version: 1
id: fires
defaults: {{review: 0.5, clear_after: 1s}}
labels: {{{LABEL}: {{}}}}
"""

pytestmark = pytest.mark.timeout(240)


def red_clip(path: Path) -> None:
    """Red pictures, each a little different from the last."""
    with av.open(path, "w") as out:
        stream = out.add_stream("libx264", rate=RATE, options={"preset": "ultrafast", "g": str(RATE), "bf": "0"})
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
        for number in range(RATE * LASTS_S):
            picture = np.full((96, 160, 3), (230, 0, 0), np.uint8)
            at = 16 * (number % 10)
            picture[40:56, at : at + 16] = 255
            frame = av.VideoFrame.from_ndarray(picture)
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clip") / "red.mp4"
    red_clip(path)
    return path


@pytest.fixture
def folder(tmp_path: Path, clip: Path) -> Path:
    """What `streammon run` needs: a model that sees nothing is configured, one that sees red lies beside it."""
    (tmp_path / "rooms.yaml").write_text(f"version: 1\nrooms:\n- {{id: red, url: {clip}}}\n")
    (tmp_path / "policy.yaml").write_text(POLICY)
    classifier(tmp_path / "models" / "calm.onnx", SEES_NOTHING)
    classifier(tmp_path / "models" / "next" / "fires.onnx", SEES_RED)
    classifier(tmp_path / "models" / "two.onnx", SEES_RED, ("x", "y"))
    return tmp_path


def running(folder: Path, name: str) -> Running:
    custom = section(folder / "models" / "calm.onnx")
    detect = {"provider": "cpu", "reuse": {"enabled": False}, "custom": {"flames": custom}}
    return Running(folder, name, f"{SETTINGS}detect: {json.dumps(detect)}\n", detectors="flames, qr")


def models(*arguments: str, run: Running | None = None) -> Result:
    where = [] if run is None else ["--url", f"http://127.0.0.1:{run.port}"]
    return CliRunner().invoke(app, ["models", *arguments, *where])


def done(*arguments: str, run: Running | None = None) -> str:
    """What a command says that does what it should."""
    result = models(*arguments, run=run)
    assert result.exit_code == 0, (result.output, run and run.said)
    return result.stdout


def refused(*arguments: str, run: Running | None = None) -> str:
    """What a command says that does not."""
    result = models(*arguments, run=run)
    assert result.exit_code == 1, result.output
    return result.stderr


def compared(run: Running) -> dict[str, Any]:
    (told,) = json.loads(done("compare", "flames", "--json", run=run))
    comparison: dict[str, Any] = told["shadow"]["compared"]
    return comparison


def running_models(run: Running) -> set[tuple[str, str]]:
    return {(name, digest) for name, _, digest in run.metric("streammon_model_info")}


def looks(folder: Path) -> list[dict[str, Any]]:
    lines = (folder / "records.jsonl").read_text(encoding="utf-8").splitlines()
    return [look for line in lines for look in json.loads(line)["looks"]]


def digest(folder: Path, name: str) -> str:
    return sha256((folder / "models" / name).read_bytes()).hexdigest()


def test_a_new_version_is_tried_compared_switched_to_rolled_back_and_kept(folder: Path) -> None:
    calm, fires = ("calm", digest(folder, "calm.onnx")), ("fires", digest(folder, "next/fires.onnx"))
    with running(folder, "first") as run:
        run.until(run.ready)
        said = done("shadow", "flames", "next/fires.onnx", "--share", "1", run=run)
        assert "flames: next/fires.onnx is on trial for flames, shown 100% of the frames" in said
        run.until(lambda: compared(run)["frames"] >= 5)
        told = compared(run)
        assert told["labels"][LABEL]["only_candidate"] == told["frames"]
        assert told["labels"][LABEL]["mean_difference"] > 0.6
        assert told["current"]["cpu_s"] > 0 < told["candidate"]["cpu_s"]
        assert "only candidate" in done("compare", run=run)
        assert run.phases("start") == []
        assert running_models(run) == {calm}
        assert run.metric("streammon_shadow_frames_total")["flames", "compared"] >= 5

        assert "flames is next/fires.onnx, switched to" in done("switch", "flames", run=run)
        run.until(lambda: len(run.phases("start")) == 1)
        (event,) = run.phases("start")
        assert (event["label"], event["hits"][0]["model"]) == (LABEL, "fires")
        assert running_models(run) == {fires}
        assert f"(sha256 {calm[1]}) to next/fires.onnx (sha256 {fires[1]})" in run.said

        assert "flames is calm.onnx, as configured" in done("rollback", "flames", run=run)
        run.until(lambda: len(run.phases("end")) == 1)
        assert run.phases("end")[0]["end_reason"] == "cleared"
        assert running_models(run) == {calm}
        assert "nothing to roll back to" in refused("rollback", "flames", run=run)

        done("shadow", "flames", "next/fires.onnx", "--sha256", fires[1], run=run)
        done("switch", "flames", run=run)
        run.until(lambda: len(run.phases("start")) == 2)
        assert run.terminate() == 0
    assert "Traceback" not in run.said
    schema = jsonschema.Draft202012Validator(json.loads((FOLDER / "record.v1.json").read_text(encoding="utf-8")))
    for line in (folder / "records.jsonl").read_text(encoding="utf-8").splitlines():
        schema.validate(json.loads(line))
    shadows = [look for look in looks(folder) if look["shadow"] is not None]
    assert {look["shadow"] for look in shadows} == {f"next/fires.onnx@{fires[1][:12]}"}
    assert all(one["detections"][0]["model"] == "fires" for one in shadows)


def test_what_was_switched_to_is_what_the_next_start_runs(folder: Path) -> None:
    calm, fires = ("calm", digest(folder, "calm.onnx")), ("fires", digest(folder, "next/fires.onnx"))
    with running(folder, "first") as run:
        run.until(run.ready)
        done("shadow", "flames", "next/fires.onnx", run=run)
        done("switch", "flames", run=run)
        assert run.terminate() == 0
    first = len(run.phases("start"))

    with running(folder, "second") as again:
        again.until(again.ready)
        again.until(lambda: len(again.phases("start")) > first)
        assert running_models(again) == {fires}
        assert f"rollback flames --offline {folder}/state" in refused("rollback", "flames", run=again)
        assert again.terminate() == 0
    assert "Traceback" not in again.said

    (folder / "models" / "next" / "fires.onnx").write_bytes(b"another")
    with running(folder, "third") as broken:
        assert broken.wait() == 1
    assert "it has the sha256" in broken.said
    assert f"run `streammon models rollback flames --offline {folder}/state`" in broken.said
    done("rollback", "flames", "--offline", str(folder / "state"))
    assert json.loads((folder / "state" / "models.json").read_text())["detectors"] == {}
    with running(folder, "fourth") as healed:
        healed.until(healed.ready)
        assert running_models(healed) == {calm}


def test_what_cannot_be_done_is_said_and_the_monitor_goes_on(folder: Path) -> None:
    (folder / "models" / "broken.onnx").write_bytes(b"no graph")
    (folder / "secret.onnx").write_bytes(b"elsewhere")
    with running(folder, "run") as run:
        run.until(run.ready)
        for name in ("../secret.onnx", str(folder / "secret.onnx"), "."):
            assert "relative to that folder" in refused("shadow", "flames", name, run=run)
        assert "'none.onnx' is not in" in refused("shadow", "flames", "none.onnx", run=run)
        assert "no detector 'faces' runs here; there are flames, qr" in refused("switch", "faces", run=run)
        assert "no model that another file could" in refused("shadow", "qr", "calm.onnx", run=run)
        assert "nothing is on trial" in refused("switch", "flames", run=run)
        assert "is what flames runs already" in refused("shadow", "flames", "calm.onnx", run=run)
        assert "cannot be read as an ONNX file" in refused("shadow", "flames", "broken.onnx", run=run)
        assert "the graph has 2 inputs" in refused("shadow", "flames", "two.onnx", run=run)
        wrong = refused("shadow", "flames", "next/fires.onnx", "--sha256", "0" * 64, run=run)
        assert f"has the sha256 {digest(folder, 'next/fires.onnx')}" in wrong
        assert "share should be above 0" in refused("shadow", "flames", "two.onnx", "--share", "0", run=run)

        done("shadow", "flames", "next/fires.onnx", run=run)
        assert "end that first: `streammon models unshadow flames`" in refused("shadow", "flames", "two.onnx", run=run)
        done("unshadow", "flames", run=run)
        assert "nothing is on trial" in refused("unshadow", "flames", run=run)
        run.until(run.up)
        assert run.terminate() == 0
    assert "Traceback" not in run.said
    assert "no monitor answers at" in refused("compare", run=run)
