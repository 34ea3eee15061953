"""Which YOLO head a graph has, by what a trial run put out; refused where that could be more than one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from streammon.detect.custom.found import Head, Outputs
from streammon.detect.custom.heads import V5, V8, Boxes, EfficientNms, EndToEnd, FlatNms
from streammon.errors import ModelError

_RAW = ("v5", "v8")  # the rest are suppressed, and so probabilities, already


def choose_yolo(asked: str, names: Sequence[str], outputs: Outputs, boxes: Boxes, where: str) -> Head:
    """The head called `asked`, or for `auto` the only one that fits.

    `names` and `outputs` are those of a trial run. Raises ModelError, which shows the shapes and what would fit.
    """
    count = len(boxes.classes.names)
    fitting = [head for head, fits in _FITS.items() if fits(outputs, count)]
    shown = _shown(names, outputs)
    if asked != "auto" and asked not in fitting:
        raise ModelError(f"{where}.head: {asked} of {count} classes does not fit {shown}{_hint(outputs, count)}")
    if not fitting:
        raise ModelError(f"{where}.head: no known head of {count} classes fits {shown}{_hint(outputs, count)}")
    if asked == "auto" and len(fitting) > 1:
        raise ModelError(f"{where}.head: set one of {', '.join(fitting)}: {shown} may be any of them")
    head = fitting[0] if asked == "auto" else asked
    if boxes.sigmoid and head not in _RAW:
        raise ModelError(f"{where}.activation: {head} puts out probabilities; leave it out")
    return _MAKE[head](boxes, names, outputs)


def _one(outputs: Outputs) -> tuple[int, ...]:
    """The shape of the only output; empty where there are more."""
    return outputs[0].shape if len(outputs) == 1 else ()


def _is_v5(outputs: Outputs, classes: int) -> bool:
    shape = _one(outputs)
    return len(shape) == 3 and shape[2] == 5 + classes


def _is_v8(outputs: Outputs, classes: int) -> bool:
    shape = _one(outputs)
    return len(shape) == 3 and shape[1] == 4 + classes


def _is_end_to_end(outputs: Outputs, _classes: int) -> bool:
    shape = _one(outputs)
    return len(shape) == 3 and shape[2] == 6


def _is_flat_nms(outputs: Outputs, _classes: int) -> bool:
    shape = _one(outputs)
    return len(shape) in {2, 3} and shape[-1] == 7


def _is_efficient_nms(outputs: Outputs, _classes: int) -> bool:
    if len(outputs) != 4:
        return False
    corners = [output.shape for output in outputs if output.ndim == 3 and output.shape[2] == 4]
    counts = [output for output in outputs if output.shape in {(output.shape[0], 1), (output.shape[0],)}]
    lists = [output for output in outputs if len(corners) == 1 and output.shape == corners[0][:2]]
    return len(counts) == 1 and len(lists) == 2 and sum(output.dtype.kind == "f" for output in lists) == 1


def _efficient_nms(boxes: Boxes, _names: Sequence[str], outputs: Outputs) -> Head:
    corners = next(place for place, output in enumerate(outputs) if output.ndim == 3)
    shape = outputs[corners].shape[:2]
    counts = next(p for p, output in enumerate(outputs) if p != corners and output.shape != shape)
    scores = next(p for p, o in enumerate(outputs) if o.shape == shape and o.dtype.kind == "f")
    return EfficientNms(boxes=boxes, order=(counts, corners, scores, 6 - counts - corners - scores))


_FITS: Mapping[str, Callable[[Outputs, int], bool]] = {
    "v5": _is_v5,
    "v8": _is_v8,
    "end_to_end": _is_end_to_end,
    "flat_nms": _is_flat_nms,
    "efficient_nms": _is_efficient_nms,
}
_MAKE: Mapping[str, Callable[[Boxes, Sequence[str], Outputs], Head]] = {
    "v5": lambda boxes, _names, _outputs: V5(boxes=boxes),
    "v8": lambda boxes, _names, _outputs: V8(boxes=boxes),
    "end_to_end": lambda boxes, _names, _outputs: EndToEnd(boxes=boxes),
    "flat_nms": lambda boxes, _names, _outputs: FlatNms(boxes=boxes),
    "efficient_nms": _efficient_nms,
}


def _shown(names: Sequence[str], outputs: Sequence[NDArray[Any]]) -> str:
    pairs = zip(names, outputs, strict=True)
    return ", ".join(f"{name} ({' x '.join(map(str, output.shape))})" for name, output in pairs)


def _hint(outputs: Outputs, classes: int) -> str:
    """For a raw head whose classes are not as many as the names: by far the likeliest mistake."""
    shape = _one(outputs)
    if len(shape) != 3:
        return ""
    rows, columns = shape[1:]
    as_head, found = ("v8", rows - 4) if rows < columns else ("v5", columns - 5)
    return f"; as {as_head} it has {found} classes" if 0 < found != classes else ""
