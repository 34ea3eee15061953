"""The runtime on real graphs: models share gates, runs end at their limits, and what they took is known."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from streammon.detect.config import DetectConfig
from streammon.detect.runtime.runtime import RunningModel, Runtime
from streammon.errors import ModelError, ProviderUnavailable, RunTimedOut

SIDE = 1024


def chain(path: Path, length: int) -> Path:
    """An ONNX file that multiplies its N x 1024 input so many times by the unit matrix: 2 GFLOP each at N = 1024."""
    x = onnx.helper.make_tensor_value_info("x0", onnx.TensorProto.FLOAT, ["N", SIDE])
    y = onnx.helper.make_tensor_value_info(f"x{length}", onnx.TensorProto.FLOAT, ["N", SIDE])
    nodes = [onnx.helper.make_node("MatMul", [f"x{i}", "unit"], [f"x{i + 1}"]) for i in range(length)]
    unit = onnx.numpy_helper.from_array(np.eye(SIDE, dtype=np.float32), "unit")
    graph = onnx.helper.make_graph(nodes, "chain", [x], [y], [unit])
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8), path)
    return path


@pytest.fixture
def slow(tmp_path: Path) -> Path:
    """Some 7 s of one core at N = 1024, 0.02 s at N = 1."""
    return chain(tmp_path / "slow.onnx", 200)


@pytest.fixture
def quick(tmp_path: Path) -> Path:
    return chain(tmp_path / "quick.onnx", 1)


@pytest.fixture
def runtime() -> Iterator[Runtime]:
    made = make()
    yield made
    made.close()
    assert "run-limits" not in [thread.name for thread in threading.enumerate()]


def make(cores: int = 2, blobs: Path | None = None, **settings: Any) -> Runtime:
    return Runtime(DetectConfig.model_validate({"provider": "cpu", **settings}), blobs=blobs, cores=cores)


def rows(count: int) -> dict[str, np.ndarray[Any, np.dtype[np.float32]]]:
    return {"x0": np.ones((count, SIDE), np.float32)}


def test_a_run_past_its_limit_is_ended_and_the_model_goes_on(runtime: Runtime, slow: Path) -> None:
    session = runtime.open(slow)
    began = time.monotonic()
    with pytest.raises(RunTimedOut, match=r"slow: took too long on cpu"), runtime.limit(0.2):
        session.run(rows(SIDE))
    assert time.monotonic() - began < 5
    with runtime.limit(30):
        assert session.run(rows(1))[0].tolist() == [[1.0] * SIDE]


def test_a_failure_within_the_limit_is_no_time_out(runtime: Runtime, quick: Path) -> None:
    with pytest.raises(ModelError) as raised, runtime.limit(30):
        runtime.open(quick).run({"x0": np.ones((1, 3), np.float32)})
    assert not isinstance(raised.value, RunTimedOut)


def test_no_time_left_is_no_run(runtime: Runtime, quick: Path) -> None:
    session = runtime.open(quick)
    with runtime.limit(0), pytest.raises(RunTimedOut, match="no time left"):
        session.run(rows(1))


def test_models_of_a_provider_share_its_gate_and_waiting_ends_too(slow: Path, quick: Path) -> None:
    runtime = make(cores=1)
    blocking, other = runtime.open(slow), runtime.open(quick)
    ended: list[BaseException] = []

    def block() -> None:
        try:
            with runtime.limit(1.0):
                blocking.run(rows(SIDE))
        except RunTimedOut as error:
            ended.append(error)

    thread = threading.Thread(target=block)
    thread.start()
    while runtime.busy_s()["cpu"] == 0:
        assert thread.is_alive()
    with pytest.raises(RunTimedOut, match="quick: cpu was busy"), runtime.limit(0.2):
        other.run(rows(1))
    with runtime.limit(20):
        other.run(rows(1))
    thread.join(20)
    runtime.close()
    assert len(ended) == 1


def test_threads_run_one_session_at_once_and_each_gets_its_own_answer(runtime: Runtime, quick: Path) -> None:
    session = runtime.open(quick)
    wrong: list[int] = []

    def ask(number: int) -> None:
        for _ in range(50):
            (out,) = session.run({"x0": np.full((2, SIDE), number, np.float32)})
            if not (out == number).all():
                wrong.append(number)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert wrong == []


def test_what_runs_took_is_charged_to_their_thread_and_provider(runtime: Runtime, slow: Path) -> None:
    session = runtime.open(slow)
    assert (runtime.used_s(), dict(runtime.busy_s())) == (0.0, {"cpu": 0.0})
    session.run(rows(1))
    used_s = runtime.used_s()
    assert 0 < used_s <= runtime.busy_s()["cpu"]
    elsewhere: list[float] = []
    thread = threading.Thread(target=lambda: elsewhere.append(runtime.used_s()))
    thread.start()
    thread.join(5)
    assert elsewhere == [0.0]
    assert runtime.used_s() == used_s


def test_utilisation_is_the_share_of_permits_held_since_last_asked(quick: Path) -> None:
    now = [0.0]
    runtime = Runtime(DetectConfig(provider="cpu"), cores=4, clock=lambda: now[0])
    runtime.open(quick)
    (gate,) = runtime._gates.values()
    assert gate.permits == 4
    with gate.hold(0), gate.hold(0):
        now[0] = 10.0
    assert dict(runtime.utilisation()) == {"cpu": 0.5}
    now[0] = 20.0
    assert dict(runtime.utilisation()) == {"cpu": 0.0}
    assert dict(runtime.utilisation()) == {"cpu": 0.0}


def test_it_tells_what_each_open_model_runs_on(runtime: Runtime, slow: Path, quick: Path) -> None:
    first, again, closed = runtime.open(quick), runtime.open(quick), runtime.open(slow)
    closed.close()
    assert runtime.models() == (RunningModel(model="quick", provider="cpu", sha256=first.sha256),)
    assert len(first.sha256) == 64
    runtime.close()
    assert (first.closed, again.closed) == (True, True)


@pytest.mark.parametrize(
    ("settings", "permits"),
    [({}, 8), ({"threads": 4}, 2), ({"runtime": {"concurrency": 3}}, 3), ({"models": {"quick": {"threads": 8}}}, 8)],
)
def test_the_gate_is_as_wide_as_the_configuration_for_all_models(
    quick: Path, settings: dict[str, Any], permits: int
) -> None:
    runtime = make(cores=8, **settings)
    runtime.open(quick)
    assert runtime._gates["cpu"].permits == permits


def test_a_model_may_have_a_provider_of_its_own(slow: Path, quick: Path) -> None:
    runtime = make(models={"quick": {"provider": "tensorrt"}})
    assert runtime.open(slow).provider == "cpu"
    with pytest.raises(ProviderUnavailable, match="tensorrt"):
        runtime.open(quick)


def test_an_override_of_no_model_is_told(quick: Path, caplog: pytest.LogCaptureFixture) -> None:
    runtime = make(models={"quick": {"threads": 2}, "quikc": {"threads": 2}})
    runtime.open(quick)
    with caplog.at_level(logging.WARNING):
        runtime.warmed_up()
    assert [record.message for record in caplog.records] == ["detect.models names what is not running: quikc"]


def test_a_file_that_stands_in_for_another_runs_where_that_would(
    slow: Path, quick: Path, caplog: pytest.LogCaptureFixture
) -> None:
    runtime = make(models={"usual": {"threads": 1}, "slow": {"provider": "tensorrt"}})
    with pytest.raises(ProviderUnavailable, match="tensorrt"):
        runtime.open(quick, "slow")
    assert runtime.open(slow, "usual").name == "slow"
    with caplog.at_level(logging.WARNING):
        runtime.warmed_up()
    assert [record.message for record in caplog.records] == ["detect.models names what is not running: slow"]


def test_the_cpu_compiles_nothing_to_keep(quick: Path, tmp_path: Path) -> None:
    runtime = make(blobs=tmp_path / "blobs")
    runtime.open(quick).run(rows(1))
    runtime.warmed_up()
    assert not (tmp_path / "blobs").exists()
