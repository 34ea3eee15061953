"""What the nodes of a TensorFlow graph come to while it is turned into ONNX: tensors of the new graph, or known arrays.

TensorFlow convolves with the channels last, ONNX with them second; so a transposition is only noted, and made where
nothing undoes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streammon.errors import ModelCorrupt
from streammon.models.onnx_graph import Graph

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class View:
    """The graph's tensor `name` as it is (`order` None), or with its axes in another order, as `numpy.transpose`."""

    name: str
    order: tuple[int, ...] | None = None

    def transposed(self, order: Sequence[int]) -> View:
        """A view of this view."""
        before = self.order if self.order is not None else tuple(range(len(order)))
        after = tuple(before[axis] for axis in order)
        return View(self.name, None if after == tuple(range(len(order))) else after)


Value = View | Array


class Values:
    """The outputs of the nodes translated so far, by TensorFlow's names (`name`, `name:1`)."""

    def __init__(self, graph: Graph, picture_shape: Sequence[int]) -> None:
        self.graph = graph
        self.picture_shape = picture_shape
        self._values: dict[str, Value] = {}
        self._laid_out: dict[View, str] = {}

    def put(self, node: str, outputs: Sequence[Value]) -> None:
        """What a node came to."""
        self._values |= {f"{node}:{number}" if number else node: value for number, value in enumerate(outputs)}

    def get(self, name: str) -> Value:
        """Raises ModelCorrupt where no node of that name came before."""
        try:
            return self._values[name.removesuffix(":0")]
        except KeyError:
            raise ModelCorrupt(f"the graph has no node {name}") from None

    def array(self, name: str) -> Array:
        """A value that is known. Raises ModelCorrupt where it depends on the input."""
        value = self.get(name)
        if isinstance(value, View):
            raise ModelCorrupt(f"{name} depends on the picture, where only something constant is supported")
        return value

    def view(self, name: str) -> View:
        """A value as a tensor of the graph, or a view of one."""
        value = self.get(name)
        return value if isinstance(value, View) else View(self.graph.constant(name, value))

    def tensor(self, value: str | View) -> str:
        """The graph's tensor that is as the view shows it, made at most once."""
        view = self.view(value) if isinstance(value, str) else value
        if view.order is None:
            return view.name
        if view not in self._laid_out:
            name = f"{view.name}/{''.join(map(str, view.order))}"
            self._laid_out[view] = self.graph.node("Transpose", [view.name], name, perm=view.order)
        return self._laid_out[view]

    def alongside(self, name: str, view: View) -> str:
        """A known value as a constant that broadcasts against `view.name` as it would against `view`."""
        array = self.array(name)
        if view.order is not None:
            padded = array.reshape((1,) * (len(view.order) - array.ndim) + array.shape)
            array = np.transpose(padded, np.argsort(view.order))
        return self.graph.constant(f"{name}/{view.name}", array)
