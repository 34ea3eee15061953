"""Reads YAML files into pydantic models and says every fault at once, by file, line and key."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, ValidationError, ValidationInfo
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from streammon.errors import ConfigError, Problem


class Section(BaseModel):
    """Base of every configuration class: immutable, numbers are finite, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h)?")
_UNIT_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def parse_duration(value: object) -> object:
    """Seconds of `2s`, `200ms`, `1.5m`, `1h` or a plain number; anything else is handed on for pydantic to refuse."""
    if not isinstance(value, (str, bool)):
        return value
    match = _DURATION.fullmatch(str(value).strip())
    if match is None:
        raise ValueError("should be a duration such as 2s, 500ms, 10m or 1h")
    return float(match[1]) * _UNIT_S[match[2] or "s"]


Seconds = Annotated[float, BeforeValidator(parse_duration)]


def _beside_file(value: Path, info: ValidationInfo) -> Path:
    base: Path = (info.context or {}).get("base", Path())
    return base / value


FilePath = Annotated[Path, AfterValidator(_beside_file)]
"""A path that, where it is relative, is relative to the file that it stands in."""

Model = TypeVar("Model", bound=BaseModel)


def load_yaml(path: Path, model: type[Model], others: list[Problem]) -> Model:
    """The file at `path` as a `model`. Raises ConfigError with all of its problems, in the order of their lines.

    The model's validators find the file's folder, for relative paths, as `context["base"]`, and add the problems of the
    files that this one names to `context["others"]`, which is `others`. Those come last in the ConfigError; where the
    file itself is valid they are the caller's to raise.
    """
    tree = _parse(path)
    try:
        return model.model_validate(tree, context={"base": path.parent, "others": others})
    except ValidationError as error:
        problems = [_problem(path, tree, dict(fault)) for fault in error.errors(include_url=False)]
        raise ConfigError([*sorted(problems, key=lambda p: p.line), *others]) from error


def line_of(path: Path, keys: tuple[str | int, ...]) -> int:
    """The line, from 1, at which a valid file has the deepest part of `keys`: for faults that only its reader sees."""
    return _line(_parse(path), keys)


def shipped(name: str) -> Path:
    """A file that ships with streammon: in an installed package beside the code, in a checkout under `configs/`."""
    package = Path(__file__).parent
    installed = package / "configs" / name
    return installed if installed.exists() else package.parent / "configs" / name


def _parse(path: Path) -> Any:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            [Problem(file=str(path), line=1, key="", reason=f"cannot be read: {error.strerror}")]
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigError([Problem(file=str(path), line=1, key="", reason="is not UTF-8 text")]) from error
    try:
        tree = YAML(typ="rt").load(text)
    except DuplicateKeyError as error:
        raise ConfigError([_syntax(path, error, f"a key stands twice: {error.problem}")]) from error
    except MarkedYAMLError as error:
        raise ConfigError([_syntax(path, error, f"is not YAML: {error.problem}")]) from error
    except (YAMLError, ValueError, RecursionError) as error:
        # ruamel lets through what int() and date() say of a scalar, and what Python says of a thousand brackets.
        line = text.count("\n", 0, getattr(error, "position", 0)) + 1
        reason = f"is not YAML: {str(error).splitlines()[0]}"
        raise ConfigError([Problem(file=str(path), line=line, key="", reason=reason)]) from error
    return CommentedMap() if tree is None else tree


def _syntax(path: Path, error: MarkedYAMLError, reason: str) -> Problem:
    mark = error.problem_mark or error.context_mark
    return Problem(file=str(path), line=mark.line + 1 if mark else 1, key="", reason=reason.splitlines()[0])


# What stands under these keys may be a secret written in clear, or an address that holds one.
_SECRET = frozenset({"password", "secret", "token", "url", "sasl"})


def _problem(path: Path, tree: Any, fault: dict[str, Any]) -> Problem:
    keys = tuple(key for key in fault["loc"] if key != "[key]")  # pydantic's mark of a fault in the key itself
    reason = str(fault["msg"]).removeprefix("Value error, ")
    value = fault["input"]
    if fault["type"] == "extra_forbidden":
        reason, value = "unknown key", None
    elif fault["type"] == "missing":
        reason, value = "is required", None
    elif fault["type"] == "model_type":
        reason = "should be a section, keys with values"
    if isinstance(value, (dict, list)) or not _SECRET.isdisjoint(keys):
        value = None
    dotted = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys).removeprefix(".")
    return Problem(file=str(path), line=_line(tree, keys), key=dotted, reason=reason, value=value)


def _line(tree: Any, keys: tuple[str | int, ...]) -> int:
    """The line, from 1, of the deepest part of `keys` that the tree has."""
    line, node = 1, tree
    for key in keys:
        try:
            if isinstance(node, CommentedMap):
                line = node.lc.key(key)[0] + 1
            elif isinstance(node, CommentedSeq):
                line = node.lc.item(key)[0] + 1
            else:
                break
            node = node[key]
        except (KeyError, IndexError, TypeError):  # TypeError: ruamel notes no places in an empty or merged mapping
            break
    return line
