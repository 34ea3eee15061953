"""What each provider is told, who gets how many threads, and that no session runs on another provider unseen."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from streammon.detect.runtime.providers import (
    Placement,
    check_runs_on,
    classic_providers,
    openvino_options,
    shares,
)
from streammon.errors import ProviderUnavailable

CUDA, CPU, TENSORRT = "CUDAExecutionProvider", "CPUExecutionProvider", "TensorrtExecutionProvider"


def placement(provider: str, *, threads: int = 1, concurrency: int = 1, memory: int | None = None) -> Placement:
    return Placement(provider=provider, threads=threads, concurrency=concurrency, device=1, gpu_memory_bytes=memory)


@pytest.mark.parametrize(
    ("provider", "threads", "concurrency", "wanted"),
    [
        ("cpu", None, None, (1, 8)),
        ("cpu", 2, None, (2, 4)),
        ("cpu", 3, None, (3, 2)),
        ("cpu", 16, None, (16, 1)),
        ("cpu", None, 2, (4, 2)),
        ("cpu", None, 16, (1, 16)),
        ("cpu", 2, 3, (2, 3)),
        ("openvino", None, None, (8, 1)),
        ("openvino", None, 2, (4, 2)),
        ("openvino", 2, None, (2, 1)),
        ("cuda", None, None, (1, 2)),
        ("tensorrt", 2, 1, (2, 1)),
    ],
)
def test_runs_share_eight_cores(
    provider: str, threads: int | None, concurrency: int | None, wanted: tuple[int, int]
) -> None:
    assert shares(provider, threads=threads, concurrency=concurrency, cores=8) == wanted


def test_cuda_grows_by_what_is_asked_within_its_limit_and_leaves_the_rest_to_the_cpu() -> None:
    (name, options), (last, _) = classic_providers(placement("cuda", memory=2**30), None)
    assert (name, last) == (CUDA, CPU)
    assert options == {"device_id": "1", "arena_extend_strategy": "kSameAsRequested", "gpu_mem_limit": "1073741824"}
    assert "gpu_mem_limit" not in classic_providers(placement("cuda"), None)[0][1]


def test_tensorrt_keeps_engines_and_timings_and_leaves_the_rest_to_cuda() -> None:
    (name, options), (second, cuda), (last, _) = classic_providers(placement("tensorrt", memory=2**28), Path("/blobs"))
    assert (name, second, last) == (TENSORRT, CUDA, CPU)
    assert options == {
        "device_id": "1",
        "trt_max_workspace_size": "268435456",
        "trt_engine_cache_enable": "True",
        "trt_engine_cache_path": "/blobs",
        "trt_timing_cache_enable": "True",
        "trt_timing_cache_path": "/blobs",
    }
    assert cuda["arena_extend_strategy"] == "kSameAsRequested"
    assert classic_providers(placement("tensorrt"), None)[0][1] == {"device_id": "1"}


def test_the_cpu_is_told_nothing() -> None:
    assert classic_providers(placement("cpu"), Path("/blobs")) == [(CPU, {})]


def test_openvino_gets_the_threads_of_all_runs_together() -> None:
    alone = json.loads(openvino_options(placement("openvino", threads=8), None)["load_config"])
    shared = json.loads(openvino_options(placement("openvino", threads=4, concurrency=2), Path("/b"))["load_config"])
    assert alone == {"CPU": {"INFERENCE_NUM_THREADS": "8"}}
    assert shared == {"CPU": {"INFERENCE_NUM_THREADS": "8", "NUM_STREAMS": "2", "CACHE_DIR": "/b"}}


@pytest.mark.parametrize(
    ("listed", "nodes"),
    [([CPU], {CPU: 3}), ([], {}), ([CUDA, CPU], {CPU: 3}), ([CPU, CUDA], {CUDA: 3}), ([CUDA, CPU], {CUDA: 0, CPU: 1})],
)
def test_a_session_that_runs_on_something_else_is_refused(listed: list[str], nodes: dict[str, int]) -> None:
    with pytest.raises(ProviderUnavailable, match="cuda"):
        check_runs_on("cuda", listed, nodes)


@pytest.mark.parametrize("nodes", [{CUDA: 1, CPU: 9}, {CUDA: 4}, {}], ids=["some", "all", "folded"])
def test_a_session_that_leaves_some_nodes_to_the_cpu_is_the_providers_own(nodes: dict[str, int]) -> None:
    check_runs_on("cuda", [CUDA, CPU], nodes)
