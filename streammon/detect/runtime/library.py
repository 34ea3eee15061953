"""ONNX Runtime itself: found, or missing with its cure, and the errors it raises."""

from __future__ import annotations

import importlib
from types import ModuleType

from streammon.errors import RuntimeMissing


def onnx_runtime() -> ModuleType:
    """The library, imported when first needed. Raises RuntimeMissing where none is installed."""
    try:
        return importlib.import_module("onnxruntime")
    except ImportError as error:
        raise RuntimeMissing(
            "no ONNX Runtime is installed: `pip install 'streammon[cpu]'`, or `pip install 'streammon[gpu]'` for NVIDIA"
        ) from error


def unreadable_errors(ort: ModuleType) -> tuple[type[Exception], ...]:
    """What the runtime raises where a file is no graph, whatever it is to run on."""
    state = ort.capi.onnxruntime_pybind11_state
    return (state.InvalidProtobuf, state.InvalidGraph, state.InvalidArgument, state.NoModel)


def runtime_errors(ort: ModuleType) -> tuple[type[Exception], ...]:
    """All that the runtime raises: its exceptions have no common base below Exception."""
    state = ort.capi.onnxruntime_pybind11_state
    own = (state.EPFail, state.Fail, state.NotImplemented, state.RuntimeException)
    return (OSError, ValueError, RuntimeError, *own, *unreadable_errors(ort))
