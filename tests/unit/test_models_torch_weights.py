"""PyTorch's old files of weights: tensors come out as they went in, and nothing else than tensors is ever made."""

from __future__ import annotations

import pickle
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streammon.errors import ModelCorrupt
from streammon.models.torch_weights import read_torch_weights

MAGIC = 0x1950A86A20F9469CFC6C
SIZES = {"protocol_version": 1001, "little_endian": True}


def raw(value: object) -> bytes:
    """The opcodes that push a value, without the frame around them."""
    return pickle.dumps(value, 2)[2:-1]


def found(module: str, name: str) -> bytes:
    return f"c{module}\n{name}\n".encode()


def tensor(key: str, kind: str, shape: tuple[int, ...], strides: tuple[int, ...], offset: int = 0) -> bytes:
    place = b"(" + raw("storage") + found("torch", kind) + raw(key) + raw("cpu") + raw(99) + raw(None) + b"tQ"
    return found("torch._utils", "_rebuild_tensor_v2") + b"(" + place + raw(offset) + raw(shape) + raw(strides) + b"tR"


def state(tensors: Mapping[str, bytes]) -> bytes:
    return b"\x80\x02}(" + b"".join(raw(name) + one for name, one in tensors.items()) + b"u."


def file_of(folder: Path, content: bytes, storages: Mapping[str, Any], magic: object = MAGIC) -> Path:
    path = folder / "w.pth"
    values = b"".join(struct.pack("<q", one.size) + one.tobytes() for one in storages.values())
    head = b"".join(pickle.dumps(value, 2) for value in (magic, 1001, SIZES))
    path.write_bytes(head + content + pickle.dumps(list(storages), 2) + values)
    return path


def test_tensors_are_views_of_their_storages(tmp_path: Path) -> None:
    floats, whole = np.arange(12, dtype="<f4"), np.array([7], "<i8")
    content = state(
        {
            "a": tensor("s1", "FloatStorage", (2, 3), (3, 1)),
            "turned": tensor("s1", "FloatStorage", (3, 2), (1, 3), offset=6),
            "count": tensor("s2", "LongStorage", (), ()),
        }
    )
    read = read_torch_weights(file_of(tmp_path, content, {"s2": whole, "s1": floats}))
    np.testing.assert_array_equal(read["a"], [[0, 1, 2], [3, 4, 5]])
    np.testing.assert_array_equal(read["turned"], [[6, 9], [7, 10], [8, 11]])
    assert read["count"] == 7


def test_nothing_is_run_that_a_file_asks_for(tmp_path: Path) -> None:
    evil = b"\x80\x02" + found("os", "mkdir") + b"(" + raw(str(tmp_path / "made")) + b"tR."
    with pytest.raises(ModelCorrupt, match=r"asks for os\.mkdir"):
        read_torch_weights(file_of(tmp_path, evil, {}))
    assert [file.name for file in tmp_path.iterdir()] == ["w.pth"]


@pytest.mark.parametrize("name", ["eval", "getattr", "__import__"])
def test_builtins_are_not_found(tmp_path: Path, name: str) -> None:
    with pytest.raises(ModelCorrupt, match=f"asks for builtins.{name}"):
        read_torch_weights(file_of(tmp_path, b"\x80\x02" + found("builtins", name) + b".", {}))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (state({"a": tensor("s", "FloatStorage", (5,), (1,))}), "cannot be read"),
        (state({"a": tensor("s", "FloatStorage", (2,), (1,), offset=3)}), "cannot be read"),
        (state({"a": raw(1)}), "something else than tensors"),
        (pickle.dumps([1], 2), "something else than tensors"),
        (state({"a": tensor("s", "HalfStorage", (1,), (1,))}), r"asks for torch\.HalfStorage"),
        (b"\x80\x02}(" + raw("a") + b"u.", "cannot be read"),
    ],
)
def test_what_is_no_dictionary_of_tensors_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    with pytest.raises(ModelCorrupt, match=reason):
        read_torch_weights(file_of(tmp_path, content, {"s": np.zeros(4, "<f4")}))


def test_a_cut_file_and_another_format_are_refused(tmp_path: Path) -> None:
    path = file_of(tmp_path, state({"a": tensor("s", "FloatStorage", (4,), (1,))}), {"s": np.zeros(4, "<f4")})
    whole = path.read_bytes()
    for end in (0, 3, 40, len(whole) - 17, len(whole) - 1):
        path.write_bytes(whole[:end])
        with pytest.raises(ModelCorrupt):
            read_torch_weights(path)
    with pytest.raises(ModelCorrupt, match=r"before 1\.6"):
        read_torch_weights(file_of(tmp_path, whole, {}, magic=5))
