"""Reads weights that PyTorch saved before its zip format (1.6), without PyTorch and without running what is in them.

The format (torch/serialization.py, `_legacy_load`): five pickles (a magic number, the protocol's version, the machine's
sizes, the object, the storages' keys), then each storage as its length (int64) and its values, in the keys' order.
"""

from __future__ import annotations

import collections
import pickle
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from streammon.errors import ModelCorrupt

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_TYPES: Mapping[str, np.dtype[Any]] = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}


class _Storage(NamedTuple):
    """A place among the values behind the pickles."""

    key: str
    dtype: np.dtype[Any]


class _Tensor(NamedTuple):
    """A view of a storage, counted in values."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def _rebuilt(storage: _Storage, offset: int, shape: Any, strides: Any, *_: object) -> _Tensor:
    """In place of `torch._utils._rebuild_tensor_v2`."""
    return _Tensor(storage, offset, tuple(shape), tuple(strides))


_KNOWN: Mapping[tuple[str, str], Callable[..., Any] | np.dtype[Any]] = {
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuilt,
    **{("torch", name): dtype for name, dtype in _TYPES.items()},
}


class _Unpickler(pickle.Unpickler):
    """Finds only what a dictionary of tensors is made of."""

    def find_class(self, module: str, name: str) -> Any:
        try:
            return _KNOWN[module, name]
        except KeyError:
            raise ModelCorrupt(f"the file of weights asks for {module}.{name}, which weights have no use for") from None

    def persistent_load(self, pid: Any) -> _Storage:
        _, dtype, key, _, _, view = pid
        if not isinstance(dtype, np.dtype) or view is not None:
            raise ModelCorrupt(f"storage {key} of the file of weights is of a kind that is not supported")
        return _Storage(key, dtype)


def read_torch_weights(path: Path) -> Mapping[str, NDArray[Any]]:
    """The tensors of a saved state dictionary, by name. Raises ModelCorrupt where the file is not one."""
    try:
        with path.open("rb") as file:
            return _read(file)
    # What a damaged pickle raises is anyone's guess; these are what its machine and the reading below can raise.
    except (pickle.UnpicklingError, EOFError, struct.error, ValueError, TypeError, LookupError, AttributeError) as err:
        raise ModelCorrupt(f"the file of weights cannot be read: {err}") from err


def _read(file: IO[bytes]) -> Mapping[str, NDArray[Any]]:
    magic, protocol, sizes = (_Unpickler(file).load() for _ in range(3))
    if magic != _MAGIC or protocol != _PROTOCOL or not sizes["little_endian"]:
        raise ModelCorrupt("the file of weights is not in PyTorch's format of before 1.6")
    tensors = _Unpickler(file).load()
    if not isinstance(tensors, dict) or not all(isinstance(one, _Tensor) for one in tensors.values()):
        raise ModelCorrupt("the file of weights holds something else than tensors by name")
    used = {one.storage.key: one.storage.dtype for one in tensors.values()}
    storages = {key: _values(file, used[key]) for key in _Unpickler(file).load()}
    return {name: _array(storages[one.storage.key], one) for name, one in tensors.items()}


def _values(file: IO[bytes], dtype: np.dtype[Any]) -> NDArray[Any]:
    (count,) = struct.unpack("<q", file.read(8))
    return np.frombuffer(file.read(count * dtype.itemsize), dtype, count)


def _array(values: NDArray[Any], tensor: _Tensor) -> NDArray[Any]:
    """The tensor's values. numpy refuses a view that reaches beyond its storage."""
    strides = [step * values.itemsize for step in tensor.strides]
    array: NDArray[Any] = np.ndarray(
        tensor.shape, values.dtype, values.tobytes(), tensor.offset * values.itemsize, strides
    )
    return array
