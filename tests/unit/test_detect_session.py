"""Sessions on real, tiny graphs: what runs where, and that every way to fail is named with its cure."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

from streammon.detect.runtime.library import onnx_runtime
from streammon.detect.runtime.providers import is_present, openvino_devices
from streammon.detect.runtime.session import open_session
from streammon.errors import ModelCorrupt, ModelError, ModelMissing, ProviderUnavailable

HAS_CUDA = is_present(onnx_runtime(), "cuda")


@pytest.fixture
def doubler(tmp_path: Path) -> Path:
    """An ONNX file whose output is twice its N x 3 input."""
    x = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["N", 3])
    y = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["N", 3])
    graph = onnx.helper.make_graph([onnx.helper.make_node("Add", ["x", "x"], ["y"])], "doubler", [x], [y])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    onnx.helper.set_model_props(model, {"labels": "a,b,c"})
    path = tmp_path / "doubler.onnx"
    onnx.save(model, path)
    return path


def test_a_graph_runs_and_tells_about_itself(doubler: Path) -> None:
    session = open_session(doubler, "cpu", threads=1)
    (out,) = session.run({"x": np.array([[1, 2, 3]], np.float32)})
    assert out.tolist() == [[2, 4, 6]]
    assert (session.name, session.provider, session.input_name) == ("doubler", "cpu", "x")
    assert session.input_shape == (None, 3)
    assert session.metadata == {"labels": "a,b,c"}


def test_auto_takes_the_fastest_provider_there_is(doubler: Path) -> None:
    session = open_session(doubler)
    if not HAS_CUDA:
        assert session.provider == ("openvino" if openvino_devices() else "cpu")
    assert session.run({"x": np.ones((2, 3), np.float32)})[0].tolist() == [[2, 2, 2]] * 2


def test_openvino_by_name_runs_or_says_what_it_needs(doubler: Path) -> None:
    if openvino_devices():
        session = open_session(doubler, "openvino", threads=1)
        assert session.provider == "openvino"
        assert session.run({"x": np.ones((1, 3), np.float32)})[0].tolist() == [[2, 2, 2]]
    else:
        with pytest.raises(ProviderUnavailable, match=r"openvino.*streammon\[cpu\].*Intel"):
            open_session(doubler, "openvino")


@pytest.mark.skipif(HAS_CUDA, reason="this ONNX Runtime has CUDA")
@pytest.mark.parametrize("provider", ["cuda", "tensorrt"])
def test_a_provider_asked_for_by_name_is_never_replaced(doubler: Path, provider: str) -> None:
    with pytest.raises(ProviderUnavailable, match=rf"{provider}.*streammon\[gpu\]"):
        open_session(doubler, provider)


def test_an_unknown_provider_lists_the_known_ones(doubler: Path) -> None:
    with pytest.raises(ProviderUnavailable, match="npu: use auto, cuda, openvino, cpu, tensorrt"):
        open_session(doubler, "npu")


@pytest.mark.parametrize("content", [b"", b"hello, not a model", bytes(100)], ids=["empty", "text", "zeros"])
@pytest.mark.parametrize("provider", ["auto", "cpu"])
def test_a_file_that_is_no_graph_is_corrupt(tmp_path: Path, content: bytes, provider: str) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelCorrupt, match=r"broken\.onnx"):
        open_session(path, provider)


def test_a_truncated_graph_is_corrupt(doubler: Path) -> None:
    doubler.write_bytes(doubler.read_bytes()[:-20])
    with pytest.raises(ModelCorrupt):
        open_session(doubler, "cpu")


def test_no_file_names_the_command_that_fetches_it(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="streammon models pull"):
        open_session(tmp_path / "none.onnx")


@pytest.mark.parametrize(
    "inputs",
    [{"z": np.ones((1, 3), np.float32)}, {"x": np.ones((1, 4), np.float32)}, {"x": np.ones((1, 3), np.float64)}],
    ids=["name", "shape", "type"],
)
def test_an_input_that_does_not_fit_is_a_model_error(
    doubler: Path, inputs: dict[str, np.ndarray[tuple[int, ...], np.dtype[np.float32]]]
) -> None:
    with pytest.raises(ModelError, match="doubler: does not run on cpu"):
        open_session(doubler, "cpu").run(inputs)


def test_a_closed_session_says_so_and_may_be_closed_again(doubler: Path) -> None:
    session = open_session(doubler, "cpu")
    session.close()
    session.close()
    with pytest.raises(ModelError, match="closed"):
        session.run({"x": np.ones((1, 3), np.float32)})


def python(code: str, *arguments: Path) -> str:
    """What a fresh interpreter prints."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    return done.stdout.strip()


def test_without_a_runtime_the_package_imports_and_the_error_names_both_extras() -> None:
    out = python(
        "import sys; sys.modules['onnxruntime'] = None\n"
        "from pathlib import Path\n"
        "from streammon.detect import registry\n"
        "from streammon.detect.codes import detector as qr\n"
        "from streammon.detect.text import detector as ocr\n"
        "from streammon.detect.nsfw import detector, nudity\n"
        "from streammon.detect.runtime import session\n"
        "from streammon.detect.scheduling import engine\n"
        "from streammon.errors import RuntimeMissing\n"
        "try: session.open_session(Path('any.onnx'))\n"
        "except RuntimeMissing as error: print(error)"
    )
    assert "pip install 'streammon[cpu]'" in out
    assert "pip install 'streammon[gpu]'" in out


def test_the_registry_and_the_configuration_import_no_detector() -> None:
    out = python(
        "import sys\n"
        "from streammon.detect import config, registry\n"
        "from streammon.detect.scheduling import engine\n"
        "print(sorted({'onnxruntime', 'cv2', 'rapidocr', 'zxingcpp'} & set(sys.modules)))"
    )
    assert out == "[]"


@pytest.mark.skipif(HAS_CUDA, reason="auto takes CUDA here")
def test_a_broken_plug_in_costs_its_provider_and_no_more(doubler: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.so").write_text("not a library")
    (tmp_path / "onnxruntime_ep_openvino.py").write_text(
        "from pathlib import Path\ndef get_library_path(): return str(Path(__file__).with_name('broken.so'))\n"
    )
    out = python(
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from pathlib import Path\n"
        "from streammon.detect.runtime.session import open_session\n"
        "from streammon.errors import ProviderUnavailable\n"
        "print(open_session(Path(sys.argv[2])).provider)\n"
        "try: open_session(Path(sys.argv[2]), 'openvino')\n"
        "except ProviderUnavailable as error: print(error)",
        tmp_path,
        doubler,
    )
    first, second = out.splitlines()
    assert first == "cpu"
    assert second.startswith("provider openvino is not there")
