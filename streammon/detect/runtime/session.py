"""A session: a model that is ready to run, from as many threads as like. Its gate lets so many in at once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streammon.detect.runtime.cores import usable_cores
from streammon.detect.runtime.gate import Gate
from streammon.detect.runtime.library import onnx_runtime, runtime_errors
from streammon.detect.runtime.limits import RunLimits
from streammon.detect.runtime.opening import Opened, open_model
from streammon.detect.runtime.providers import Placement, shares
from streammon.detect.runtime.shapes import ShapeBook
from streammon.errors import ModelError, RunTimedOut

# Without a limit of its own a thread still does not wait for ever behind a run that hangs.
_LONGEST_WAIT_S = 60.0


class Session:
    """Made by `Runtime.open`, or by `open_session` for one model alone."""

    def __init__(self, opened: Opened, gate: Gate, limits: RunLimits) -> None:
        first = opened.inner.get_inputs()[0]
        self.name = opened.name
        self.provider = opened.provider
        self.sha256 = opened.sha256
        self.input_name: str = first.name
        self.input_names: tuple[str, ...] = tuple(one.name for one in opened.inner.get_inputs())
        self.input_shape = tuple(size if isinstance(size, int) else None for size in first.shape)
        self.metadata: Mapping[str, str] = dict(opened.inner.get_modelmeta().custom_metadata_map)
        self._inner: Any | None = opened.inner
        self._gate = gate
        self._limits = limits
        self._shapes = None if opened.provider == "cpu" else ShapeBook(opened.name, opened.provider)

    @property
    def closed(self) -> bool:
        """Whether it cannot run any more."""
        return self._inner is None

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """All outputs, in the graph's order, for `inputs` by name.

        Raises RunTimedOut where this thread's limit passes before or while it runs, or no permit comes free;
        ModelError where an input does not fit the graph, the provider fails, or the session is closed.
        """
        inner = self._inner
        if inner is None:
            raise ModelError(f"{self.name}: its session is closed")
        if self._shapes is not None:
            self._shapes.note([np.shape(value) for value in inputs.values()])
        left_s = self._limits.left_s()
        if left_s is not None and left_s <= 0:
            raise RunTimedOut(f"{self.name}: had no time left to run on {self.provider}")
        with self._gate.hold(_LONGEST_WAIT_S if left_s is None else left_s) as free:
            if not free:
                raise RunTimedOut(f"{self.name}: {self.provider} was busy for too long")
            return self._run(inner, dict(inputs))

    def warmed_up(self) -> None:
        """It has run in every shape it is meant for: from here on a new one is told."""
        if self._shapes is not None:
            self._shapes.warmed_up()

    def close(self) -> None:
        """Let go of the model's memory, after the runs that go on. May be called twice."""
        self._inner = None

    def _run(self, inner: Any, inputs: dict[str, NDArray[Any]]) -> list[NDArray[Any]]:
        ort = onnx_runtime()
        options = ort.RunOptions()
        try:
            with self._limits.watched(options):
                return [np.asarray(output) for output in inner.run(None, inputs, options)]
        except runtime_errors(ort) as error:
            if options.terminate:
                raise RunTimedOut(f"{self.name}: took too long on {self.provider} and was ended") from error
            raise ModelError(f"{self.name}: does not run on {self.provider}: {error}") from error


def open_session(path: Path, provider: str = "auto", threads: int | None = None) -> Session:
    """A session of the ONNX file at `path` alone, with a gate of its own.

    `provider` is auto, cuda, openvino, cpu or tensorrt; `threads` is CPU threads of one run, by default what suits the
    provider. Raises what `open_model` raises.
    """
    cores = usable_cores()

    def place(on: str) -> Placement:
        used, runs = shares(on, threads=threads, concurrency=None, cores=cores)
        return Placement(provider=on, threads=used, concurrency=runs)

    opened = open_model(path, provider, place)
    return Session(opened, Gate(place(opened.provider).concurrency), RunLimits())
