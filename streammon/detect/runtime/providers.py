"""Execution providers: which there are, what each is told, and whether a session really runs on the one asked for."""

from __future__ import annotations

import importlib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from streammon.detect.runtime.library import onnx_runtime, runtime_errors
from streammon.errors import ProviderUnavailable

log = logging.getLogger(__name__)

NAMES: Mapping[str, str] = {
    "cuda": "CUDAExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
    "cpu": "CPUExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}
"""Our name of a provider → ONNX Runtime's."""

# What `auto` tries, fastest first. TensorRT builds for minutes, so it must be asked for.
_AUTO = ("cuda", "openvino", "cpu")
_CURES = {
    "cuda": "install an NVIDIA driver and `pip install 'streammon[gpu]'` in place of the cpu extra",
    "tensorrt": "install an NVIDIA driver, TensorRT and `pip install 'streammon[gpu]'` in place of the cpu extra",
    "openvino": "`pip install 'streammon[cpu]'`, on a machine with an Intel CPU: its plug-in refuses others",
}
_GPU_RUNS = 2  # one computes while the other's input and output are copied
COMPILING = frozenset({"openvino", "tensorrt"})
"""Providers whose compiled blobs can be kept on disk."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """What a model is to run on, in full: `threads` is CPU threads of one run, `concurrency` runs at once."""

    provider: str
    threads: int
    concurrency: int
    device: int = 0
    gpu_memory_bytes: int | None = None


def shares(provider: str, *, threads: int | None, concurrency: int | None, cores: int) -> tuple[int, int]:
    """Threads per run and runs at once, where None is left to us.

    On the CPU runs of one thread each, side by side, do more than one run of many threads (`make bench-detectors`).
    OpenVINO shares its threads out itself, so it gets one run; a GPU's runs need a thread each.
    """
    if provider in {"cuda", "tensorrt"}:
        return _or(threads, 1), _or(concurrency, _GPU_RUNS)
    if provider == "cpu" and concurrency is None:
        used = _or(threads, 1)
        return used, max(1, cores // used)
    runs = _or(concurrency, 1)
    return _or(threads, max(1, cores // runs)), runs


def _or(given: int | None, default: int) -> int:
    return given if given is not None else default


def classic_providers(placement: Placement, blobs: Path | None) -> list[tuple[str, dict[str, str]]]:
    """What a session is made with, the wanted provider first: the CPU takes what a GPU has no kernel for.

    `blobs` is the folder for what TensorRT compiles, None to keep nothing. The options are those of
    https://onnxruntime.ai/docs/execution-providers/, all of them strings.
    """
    cpu: tuple[str, dict[str, str]] = (NAMES["cpu"], {})
    if placement.provider == "cpu":
        return [cpu]
    # The arena otherwise grows by doubling, and never gives back.
    cuda = {"device_id": str(placement.device), "arena_extend_strategy": "kSameAsRequested"}
    if placement.gpu_memory_bytes is not None:
        cuda["gpu_mem_limit"] = str(placement.gpu_memory_bytes)
    if placement.provider == "cuda":
        return [(NAMES["cuda"], cuda), cpu]
    return [(NAMES["tensorrt"], _tensorrt_options(placement, blobs)), (NAMES["cuda"], cuda), cpu]


def _tensorrt_options(placement: Placement, blobs: Path | None) -> dict[str, str]:
    options = {"device_id": str(placement.device)}
    if placement.gpu_memory_bytes is not None:
        options["trt_max_workspace_size"] = str(placement.gpu_memory_bytes)
    if blobs is not None:
        options |= {
            "trt_engine_cache_enable": "True",
            "trt_engine_cache_path": str(blobs),
            "trt_timing_cache_enable": "True",
            "trt_timing_cache_path": str(blobs),
        }
    return options


def openvino_options(placement: Placement, blobs: Path | None) -> dict[str, str]:
    """What the OpenVINO plug-in is told; its own options of these names are ignored in favour of `load_config`."""
    device = {"INFERENCE_NUM_THREADS": str(placement.threads * placement.concurrency)}
    if placement.concurrency > 1:
        device["NUM_STREAMS"] = str(placement.concurrency)
    if blobs is not None:
        device["CACHE_DIR"] = str(blobs)
    return {"load_config": json.dumps({"CPU": device})}


def candidates(ort: ModuleType, asked: str) -> list[str]:
    """What to try in turn. Raises ProviderUnavailable where one asked for by name is unknown or not there."""
    if asked == "auto":
        return [name for name in _AUTO if is_present(ort, name)]
    if asked not in NAMES:
        raise ProviderUnavailable(f"no execution provider is called {asked}: use auto, {', '.join(NAMES)}")
    if not is_present(ort, asked):
        raise ProviderUnavailable(f"provider {asked} is not there: {_CURES[asked]}")
    return [asked]


def is_present(ort: ModuleType, provider: str) -> bool:
    """Whether this build of the runtime offers it; that it works is seen only when a model is opened."""
    if provider == "openvino":
        return bool(openvino_devices())
    return NAMES[provider] in ort.get_available_providers()


def check_runs_on(provider: str, listed: Sequence[str], nodes: Mapping[str, int]) -> None:
    """Raises ProviderUnavailable where a session quietly runs on something else.

    `listed` are the session's providers, `nodes` how many of the graph's nodes each of them got. A build may list CUDA
    on a machine without a driver, and the session is then one of the CPU's.
    """
    if not listed or listed[0] != NAMES[provider]:
        raise ProviderUnavailable(f"provider {provider} is installed but does not work here: {_CURES[provider]}")
    if nodes and not nodes.get(NAMES[provider]):
        raise ProviderUnavailable(f"provider {provider} takes none of the graph's nodes")


@cache
def openvino_devices() -> tuple[Any, ...]:
    """The CPU as the OpenVINO plug-in offers it; empty without the plug-in, or where it refuses the CPU's maker.

    Cached, because a plug-in's library can be registered only once per process.
    """
    ort = onnx_runtime()
    try:
        plugin = importlib.import_module("onnxruntime_ep_openvino")
    except ImportError:
        return ()
    try:
        ort.register_execution_provider_library("openvino", plugin.get_library_path())
    except runtime_errors(ort) as error:
        log.warning("the OpenVINO plug-in is installed but cannot be loaded: %s", error)
        return ()
    return tuple(
        device
        for device in ort.get_ep_devices()
        if device.ep_name == NAMES["openvino"] and device.device.type == ort.OrtHardwareDeviceType.CPU
    )
