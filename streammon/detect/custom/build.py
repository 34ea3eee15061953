"""From an operator's configuration to a detector; every way in which file and configuration disagree is told here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from streammon.detect.custom.classes import Classes, read_classes
from streammon.detect.custom.classifier import choose_classifier
from streammon.detect.custom.config import CustomClassifier, CustomConfig, CustomDetr, CustomYolo
from streammon.detect.custom.detector import CustomDetector, Runner
from streammon.detect.custom.found import Head, Outputs
from streammon.detect.custom.graph import Graph, read_graph
from streammon.detect.custom.heads import Boxes
from streammon.detect.custom.picture import InputPlan
from streammon.detect.custom.planning import plan_input
from streammon.detect.custom.transformer import choose_detr
from streammon.detect.custom.yolo_choice import choose_yolo
from streammon.detect.runtime.batches import gainful_batch
from streammon.detect.runtime.session import Session
from streammon.errors import ModelCorrupt, ModelError, ModelMissing
from streammon.models.manifest import sha256_of


def build_custom(
    name: str, config: CustomConfig, open_file: Callable[[Path], Session], where: str | None = None
) -> CustomDetector:
    """The detector of `detect.custom.<name>`, or configured at `where`. Tries the model once, on grey pictures.

    Raises ModelError, which names the key and the cure, where the file is missing, not as its `sha256` says, no usable
    graph, or does not fit the configuration; and what `open_file` raises of the runtime and its providers.
    """
    where = where if where is not None else f"detect.custom.{name}"
    _verify(config, where)
    try:
        graph = read_graph(config.file)
    except ModelError as error:
        raise type(error)(f"{where}.file: {error}") from error
    classes = read_classes(config, graph.metadata, where)
    plan = plan_input(config.input, graph, config.kind, where)
    session = open_file(config.file)
    try:
        runner = Runner(session=session, plan=plan, sizes=_batch_sizes(config, graph, session.provider))
        outputs = _trial(runner, where)
        _check_batch(config, runner.sizes[0], outputs, where)
        head = _head(config, graph, classes, plan, outputs, where)
        return CustomDetector(name, runner, head, classes, where)
    except BaseException:
        session.close()
        raise


def _verify(config: CustomConfig, where: str) -> None:
    if not config.file.is_file():
        raise ModelMissing(f"{where}.file: {config.file} is not there; put the model there, or correct the path")
    try:
        found = sha256_of(config.file) if config.sha256 is not None else None
    except OSError as error:
        raise ModelCorrupt(f"{where}.file: {config.file} cannot be read: {error.strerror}") from error
    if found != config.sha256:
        raise ModelCorrupt(f"{where}.sha256: {config.file} has {found}; fetch the file anew, or correct the hash")


def _batch_sizes(config: CustomConfig, graph: Graph, provider: str) -> tuple[int, ...]:
    if (fixed := graph.shape[0]) is not None:
        return (fixed,)
    most = config.max_batch if config.max_batch is not None else gainful_batch(provider)
    return tuple(dict.fromkeys((most, 1)))


def _trial(runner: Runner, where: str) -> Outputs:
    """The outputs for the greatest batch. Raises ModelError where the graph cannot take what it declares."""
    size = runner.sizes[0]
    try:
        return runner.run(runner.blank(size))
    except ModelError as error:
        cure = "; if it takes one picture only, set `max_batch: 1`" if size > 1 else ""
        raise ModelError(f"{where}.file: a batch of {size} fails: {error}{cure}") from error


def _check_batch(config: CustomConfig, size: int, outputs: Outputs, where: str) -> None:
    """A graph may declare a free batch and answer for one picture. Two axes from a yolo are boxes of all pictures."""
    for output in outputs:
        if size > 1 and len(output) != size and not (config.kind == "yolo" and output.ndim == 2):
            raise ModelError(f"{where}.max_batch: the model answers {size} pictures with {len(output)}; set 1")


def _head(config: CustomConfig, graph: Graph, classes: Classes, plan: InputPlan, outputs: Outputs, where: str) -> Head:
    if isinstance(config, CustomClassifier):
        return choose_classifier(config, graph.last_op, outputs, classes, where)
    size = (plan.width, plan.height)
    if isinstance(config, CustomDetr):
        return choose_detr(config, graph.outputs, outputs, classes, size, where)
    return choose_yolo(config.head, graph.outputs, outputs, _boxes(config, classes, size), where)


def _boxes(config: CustomYolo, classes: Classes, size: tuple[int, int]) -> Boxes:
    return Boxes(
        classes=classes,
        unit=size if config.box_units == "fractions" else (1.0, 1.0),
        most=config.max_boxes,
        sigmoid=config.activation == "sigmoid",
        nms_iou=config.nms_iou,
    )
