"""Sessions: an ONNX file, opened on the fastest execution provider there is. The only importer of onnxruntime.

A session is used by one thread at a time.
"""

from __future__ import annotations

import importlib
import json
import logging
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streammon.detect.cores import usable_cores
from streammon.errors import ModelCorrupt, ModelError, ModelMissing, ProviderUnavailable, RuntimeMissing

log = logging.getLogger(__name__)

# What `auto` tries, fastest first.
_PROVIDERS = {
    "cuda": "CUDAExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
    "cpu": "CPUExecutionProvider",
}
_CURES = {
    "cuda": "install an NVIDIA driver and `pip install 'streammon[gpu]'` in place of the cpu extra",
    "openvino": "`pip install 'streammon[cpu]'`, on a machine with an Intel CPU: its plug-in refuses others",
}
_FATAL_ONLY = 4  # ONNX Runtime's log severity; what matters comes as an exception


class Session:
    """A model that is ready to run. Made by `open_session`."""

    def __init__(self, inner: Any, *, name: str, provider: str) -> None:
        first = inner.get_inputs()[0]
        self.name = name
        self.provider = provider
        self.input_name: str = first.name
        self.input_shape = tuple(size if isinstance(size, int) else None for size in first.shape)
        self.metadata: Mapping[str, str] = dict(inner.get_modelmeta().custom_metadata_map)
        self._inner: Any | None = inner

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """All outputs, in the graph's order, for `inputs` by name.

        Raises ModelError where an input does not fit the graph, the provider fails, or the session is closed.
        """
        if self._inner is None:
            raise ModelError(f"{self.name}: its session is closed")
        try:
            return [np.asarray(output) for output in self._inner.run(None, dict(inputs))]
        except _runtime_errors(_runtime()) as error:
            raise ModelError(f"{self.name}: does not run on {self.provider}: {error}") from error

    def close(self) -> None:
        """Let go of the model's memory. May be called twice."""
        self._inner = None


def open_session(path: Path, provider: str = "auto", threads: int | None = None) -> Session:
    """Open the ONNX file at `path`.

    `provider` is auto, cuda, openvino or cpu; auto takes the first of these that works. `threads` is how many CPU
    threads a run may take, by default as many as there are usable cores.

    Raises RuntimeMissing without ONNX Runtime, ProviderUnavailable where a provider asked for by name is not there,
    ModelMissing without a file, ModelCorrupt where it is not a usable ONNX graph.
    """
    ort = _runtime()
    if not path.is_file():
        raise ModelMissing(f"{path}: no such file; `streammon models pull` fetches the weights")
    cores = threads if threads is not None else usable_cores()
    *faster, last = _candidates(ort, provider)
    for candidate in faster:
        try:
            return _open_on(ort, path, candidate, cores)
        except ProviderUnavailable as error:
            log.warning("%s", error)
    return _open_on(ort, path, last, cores)


def _runtime() -> ModuleType:
    try:
        return importlib.import_module("onnxruntime")
    except ImportError as error:
        raise RuntimeMissing(
            "no ONNX Runtime is installed: `pip install 'streammon[cpu]'`, or `pip install 'streammon[gpu]'` for NVIDIA"
        ) from error


def _unreadable_errors(ort: ModuleType) -> tuple[type[Exception], ...]:
    """What the runtime raises where a file is no graph, whatever it is to run on."""
    state = ort.capi.onnxruntime_pybind11_state
    return (state.InvalidProtobuf, state.InvalidGraph, state.InvalidArgument, state.NoModel)


def _runtime_errors(ort: ModuleType) -> tuple[type[Exception], ...]:
    """All that the runtime raises: its exceptions have no common base below Exception."""
    state = ort.capi.onnxruntime_pybind11_state
    own = (state.EPFail, state.Fail, state.NotImplemented, state.RuntimeException)
    return (OSError, ValueError, RuntimeError, *own, *_unreadable_errors(ort))


def _candidates(ort: ModuleType, provider: str) -> list[str]:
    if provider == "auto":
        return [name for name in _PROVIDERS if _is_present(ort, name)]
    if provider not in _PROVIDERS:
        raise ProviderUnavailable(f"no execution provider is called {provider}: use auto, {', '.join(_PROVIDERS)}")
    if not _is_present(ort, provider):
        raise ProviderUnavailable(f"provider {provider} is not there: {_CURES[provider]}")
    return [provider]


def _is_present(ort: ModuleType, provider: str) -> bool:
    if provider == "openvino":
        return bool(_openvino_devices())
    return _PROVIDERS[provider] in ort.get_available_providers()


@cache
def _openvino_devices() -> tuple[Any, ...]:
    """The CPU as the OpenVINO plug-in offers it; empty without the plug-in, or where it refuses the CPU's maker.

    Cached, because a plug-in's library can be registered only once per process.
    """
    ort = _runtime()
    try:
        plugin = importlib.import_module("onnxruntime_ep_openvino")
    except ImportError:
        return ()
    try:
        ort.register_execution_provider_library("openvino", plugin.get_library_path())
    except _runtime_errors(ort) as error:
        log.warning("the OpenVINO plug-in is installed but cannot be loaded: %s", error)
        return ()
    return tuple(
        device
        for device in ort.get_ep_devices()
        if device.ep_name == _PROVIDERS["openvino"] and device.device.type == ort.OrtHardwareDeviceType.CPU
    )


def _open_on(ort: ModuleType, path: Path, provider: str, threads: int) -> Session:
    """Raises ProviderUnavailable where it is the provider that fails, ModelCorrupt where it is the file."""
    try:
        inner = _load(ort, path, provider, threads)
    except _unreadable_errors(ort) as error:
        raise ModelCorrupt(f"{path}: is not a usable ONNX graph: {error}") from error
    except _runtime_errors(ort) as error:
        if provider == "cpu":
            raise ModelCorrupt(f"{path}: cannot be loaded: {error}") from error
        raise ProviderUnavailable(f"{path}: provider {provider} does not load it: {error}") from error
    # The build may list CUDA on a machine without a driver; the session then quietly runs on the CPU.
    if inner.get_providers()[0] != _PROVIDERS[provider]:
        raise ProviderUnavailable(f"provider {provider} is installed but does not work here: {_CURES[provider]}")
    log.info("model %s runs on %s", path.stem, provider)
    return Session(inner, name=path.stem, provider=provider)


def _load(ort: ModuleType, path: Path, provider: str, threads: int) -> Any:
    options = ort.SessionOptions()
    options.log_severity_level = _FATAL_ONLY
    options.intra_op_num_threads = threads
    # Spinning threads answer a little sooner and burn the cores that decode the rooms.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    providers: list[Any] | None = None
    if provider == "openvino":
        limits = {"CPU": {"INFERENCE_NUM_THREADS": str(threads)}}
        options.add_provider_for_devices(list(_openvino_devices()), {"load_config": json.dumps(limits)})
    elif provider == "cuda":
        # The arena otherwise grows by doubling, and never gives back.
        providers = [(_PROVIDERS["cuda"], {"arena_extend_strategy": "kSameAsRequested"}), _PROVIDERS["cpu"]]
    else:
        providers = [_PROVIDERS["cpu"]]
    return ort.InferenceSession(str(path), options, providers=providers, enable_fallback=0)
