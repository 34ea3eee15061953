"""Opens an ONNX file on the fastest execution provider there is, or on the one asked for and no other."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

from streammon.detect.runtime.blobs import BlobCache, processor
from streammon.detect.runtime.library import onnx_runtime, runtime_errors, unreadable_errors
from streammon.detect.runtime.providers import (
    COMPILING,
    Placement,
    candidates,
    check_runs_on,
    classic_providers,
    openvino_devices,
    openvino_options,
)
from streammon.errors import ModelCorrupt, ModelMissing, ProviderUnavailable
from streammon.models.manifest import sha256_of

log = logging.getLogger(__name__)

_FATAL_ONLY = 4  # ONNX Runtime's log severity; what matters comes as an exception


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """ONNX Runtime's own session, and the model it has open."""

    inner: Any
    name: str
    provider: str
    sha256: str


def open_model(path: Path, asked: str, place: Callable[[str], Placement], blobs: BlobCache | None = None) -> Opened:
    """Open the ONNX file at `path` on the provider `asked` for, or for auto on the first that works.

    `place` says how it is to run on a provider; compiled blobs are kept in `blobs`.
    Raises RuntimeMissing without ONNX Runtime, ProviderUnavailable where a provider asked for by name is not there,
    ModelMissing without a file, ModelCorrupt where it is not a usable ONNX graph.
    """
    ort = onnx_runtime()
    if not path.is_file():
        raise ModelMissing(f"{path}: no such file; `streammon models pull` fetches the weights")
    sha256 = sha256_of(path)
    *faster, last = candidates(ort, asked)
    for provider in faster:
        try:
            return _open_on(ort, path, place(provider), sha256, blobs)
        except ProviderUnavailable as error:
            log.warning("%s", error)
    return _open_on(ort, path, place(last), sha256, blobs)


def _open_on(ort: ModuleType, path: Path, placement: Placement, sha256: str, blobs: BlobCache | None) -> Opened:
    """Raises ProviderUnavailable where it is the provider that fails, ModelCorrupt where it is the file."""
    folder = None
    if blobs is not None and placement.provider in COMPILING:
        folder = blobs.folder(sha256, build_of(ort, placement))
    try:
        inner = _load(ort, path, placement, folder)
    except ProviderUnavailable:
        if blobs is None or folder is None or not blobs.discard(folder):
            raise
        inner = _load(ort, path, placement, None)
    nodes = _nodes(inner)
    check_runs_on(placement.provider, inner.get_providers(), nodes)
    shown = ", ".join(f"{count} of its nodes on {name}" for name, count in sorted(nodes.items()))
    log.info("model %s runs on %s (%s)", path.stem, placement.provider, shown or "no nodes")
    return Opened(inner=inner, name=path.stem, provider=placement.provider, sha256=sha256)


def build_of(ort: ModuleType, placement: Placement) -> str:
    """What compiled a blob and for what: any of it another, and the blob is another."""
    plugin = f"-{version('onnxruntime-ep-openvino')}" if placement.provider == "openvino" else ""
    shape = f"{placement.threads}x{placement.concurrency}-gpu{placement.device}"
    return f"{placement.provider}-{ort.__version__}{plugin}-{shape}-{processor()}"


def _nodes(inner: Any) -> Mapping[str, int]:
    """How many of the graph's nodes each provider runs, by ONNX Runtime's names."""
    counts: Counter[str] = Counter()
    for part in inner.get_provider_graph_assignment_info():
        counts[part.ep_name] += len(part.get_nodes())
    return counts


def _load(ort: ModuleType, path: Path, placement: Placement, blobs: Path | None) -> Any:
    try:
        return _inner(ort, path, placement, blobs)
    except unreadable_errors(ort) as error:
        raise ModelCorrupt(f"{path}: is not a usable ONNX graph: {error}") from error
    except runtime_errors(ort) as error:
        if placement.provider == "cpu":
            raise ModelCorrupt(f"{path}: cannot be loaded: {error}") from error
        raise ProviderUnavailable(f"{path}: provider {placement.provider} does not load it: {error}") from error


def _inner(ort: ModuleType, path: Path, placement: Placement, blobs: Path | None) -> Any:
    options = ort.SessionOptions()
    options.log_severity_level = _FATAL_ONLY
    options.intra_op_num_threads = placement.threads
    # Spinning threads answer a little sooner and burn the cores that decode the rooms.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    providers: list[tuple[str, dict[str, str]]] | None = None
    if placement.provider == "openvino":
        options.add_provider_for_devices(list(openvino_devices()), openvino_options(placement, blobs))
    else:
        providers = classic_providers(placement, blobs)
    return ort.InferenceSession(str(path), options, providers=providers, enable_fallback=0)
