"""Modules import only what stands above them, never in a circle, and foreign packages behind one door each."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import streammon

ROOT = Path(streammon.__file__).parent
# The folders of the design, from the top.
LAYERS = ("leaves", "bus", "models", "library", "ingest", "detect", "judge", "deliver", "serve", "fleet", "cli")
# Within a folder that has folders of its own, the same.
INNER = {
    "ingest": ("source", "moves", "net", "config", "sampling", "hls", "media", "rooms"),
    "detect": (
        "detector",
        "fields",
        "plugins",
        "config",
        "runtime",
        "paddle",
        "change",
        "text",
        "codes",
        "custom",
        "nsfw",
        "calibration",
        "objects",
        "scenes",
        "pictures",
        "faces",
        "hands",
        "prompts",
        "parts",
        "factories",
        "registry",
        "packs",
        "scheduling",
        "shadow",
    ),
}
DOORS = {
    "kafka": "streammon.bus",
    "av": "streammon.ingest",
    "onnxruntime": "streammon.detect.runtime",
    "onnxruntime_ep_openvino": "streammon.detect.runtime",
    "obstore": "streammon.deliver.object_store",
    "paddleocr": "streammon.detect.paddle.worker",
}
"""A foreign package → the only module, or folder, that may import it."""

Imports = Mapping[str, set[str]]
"""A module of ours → the names of all that it imports, ours in full (`streammon.errors`) and foreign by package."""


def sources() -> dict[str, str]:
    """Our modules by name, and their texts."""
    return {module_name(path): path.read_text(encoding="utf-8") for path in sorted(ROOT.rglob("*.py"))}


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT.parent).with_suffix("").parts).removesuffix(".__init__")


def imports_of(texts: Mapping[str, str], *, by_name: bool = True) -> Imports:
    """`by_name` counts a module's name in a string as well: a table of plug-ins imports by it, later."""
    trees = {name: ast.parse(text) for name, text in texts.items()}
    named = {name: set(_strings(tree)) & texts.keys() if by_name else set() for name, tree in trees.items()}
    return {name: (set(_imported(tree, texts)) | named[name]) - {name} for name, tree in trees.items()}


def _imported(tree: ast.Module, known: Mapping[str, str]) -> Iterator[str]:
    """What a module imports, at its top or within functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield _name(alias.name, known)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: imports are absolute"
            for alias in node.names:
                yield _name(f"{node.module}.{alias.name}", known)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
            for name in _strings(node):
                yield _name(name, known)


def _strings(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def _name(dotted: str, known: Mapping[str, str]) -> str:
    """The module that `import dotted` or `from package import name` reaches."""
    package = dotted.split(".", maxsplit=1)[0]
    if package != "streammon":
        return package
    return dotted if dotted in known else dotted.rpartition(".")[0]


def layer(module: str) -> str:
    """The part of the design that a module belongs to."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in LAYERS else "leaves"


def place(module: str) -> tuple[int, int]:
    """Where a module stands: its part in the list, and its place within that part where it has any."""
    part, names = layer(module), module.split(".")
    inner = INNER.get(part, ())
    if len(names) < 3 or not inner:
        return LAYERS.index(part), -1
    # What is configured about a folder is a part of the whole configuration, which imports none of the rest.
    return LAYERS.index(part), inner.index("config" if names[-1] == "config" else names[2])


def upward(imports: Imports) -> list[str]:
    """The imports that lead from a part to one that stands below it in the list."""
    return [
        f"{module} imports {other}"
        for module, others in imports.items()
        for other in sorted(others)
        if other in imports and place(other) > place(module)
    ]


def through_the_wall(imports: Imports) -> list[str]:
    """The imports of a foreign package by a module that is not its door."""
    return [
        f"{module} imports {package}"
        for module, others in imports.items()
        for package in sorted(others & DOORS.keys())
        if not f"{module}.".startswith(f"{DOORS[package]}.")
    ]


def check_cycles(imports: Imports) -> None:
    """Raises CycleError, which names the circle."""
    TopologicalSorter({module: others & imports.keys() for module, others in imports.items()}).prepare()


def test_no_module_imports_one_that_stands_below_it() -> None:
    assert upward(imports_of(sources())) == []


def test_foreign_packages_are_imported_behind_their_doors_only() -> None:
    assert through_the_wall(imports_of(sources())) == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    check_cycles(imports_of(sources(), by_name=False))


def test_every_folder_is_a_part_of_the_design() -> None:
    folders = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert folders <= set(LAYERS)


def test_each_door_is_used() -> None:
    imports = imports_of(sources())
    used = {package for others in imports.values() for package in others & DOORS.keys()}
    assert used == set(DOORS)


MADE_UP = {
    "streammon": "",
    "streammon.errors": "",
    "streammon.bus": "import kafka",
    "streammon.judge": "",
    "streammon.judge.room": "",
    "streammon.deliver.outbox": "",
    "streammon.ingest.rooms.wire": "",
}


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("streammon.errors", "from streammon.judge.room import RoomJudge"),
        ("streammon.errors", "from streammon import bus"),
        ("streammon.errors", "import streammon.bus"),
        ("streammon.clock", "import streammon.judge"),
        ("streammon.bus", "from streammon.judge import room"),
        ("streammon.judge.room", "def f():\n    from streammon.deliver.outbox import Outbox"),
        ("streammon.judge.room", "if TYPE_CHECKING:\n    import streammon.deliver.outbox"),
        ("streammon.judge.room", "TABLE = {'outbox': 'streammon.deliver.outbox'}"),
        ("streammon.ingest.net.resolver", "from streammon.ingest.rooms.wire import Stop"),
    ],
)
def test_an_upward_import_is_found(module: str, text: str) -> None:
    assert len(upward(imports_of({**MADE_UP, module: text}))) == 1


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("streammon.deliver.outbox", "from streammon.judge.room import RoomJudge\nfrom streammon import __version__"),
        ("streammon.judge.room", "import streammon.errors\nTOPIC = 'streammon.deliver'"),
        ("streammon.judge", "from streammon.judge.room import RoomJudge"),
    ],
)
def test_an_import_of_what_stands_above_is_fine(module: str, text: str) -> None:
    assert upward(imports_of({**MADE_UP, module: text})) == []


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("streammon.judge.room", "import kafka.errors"),
        ("streammon.judge.room", "from kafka import KafkaProducer"),
        ("streammon.judge.room", "import numpy, av"),
        ("streammon.detect.sessions", "import onnxruntime as ort"),
        ("streammon.detect", "def f():\n    return importlib.import_module('onnxruntime')"),
        ("streammon.ingestion", "import av"),
    ],
)
def test_an_import_past_the_door_is_found(module: str, text: str) -> None:
    assert len(through_the_wall(imports_of({**MADE_UP, module: text}))) == 1


def test_an_import_in_the_door_is_fine() -> None:
    inside = {"streammon.ingest.source": "import av", "streammon.detect.runtime.session": "import onnxruntime"}
    assert through_the_wall(imports_of({**MADE_UP, **inside})) == []


def test_a_circle_is_found() -> None:
    circle = {
        "streammon.errors": "from streammon.entities import Room",
        "streammon.entities": "def f():\n    import streammon.errors",
    }
    with pytest.raises(CycleError):
        check_cycles(imports_of({**MADE_UP, **circle}))


def test_a_relative_import_is_refused() -> None:
    with pytest.raises(AssertionError, match="absolute"):
        imports_of({"streammon.judge.room": "from . import policy"})
