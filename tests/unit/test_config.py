"""Configuration files: durations, and every kind of fault by file, line, key and reason, all at once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import pytest
from pydantic import AfterValidator, Field, ValidationError, ValidationInfo

from streammon.config import FilePath, Seconds, Section, line_of, load_yaml, parse_duration
from streammon.errors import ConfigError, Problem
from tests.unit.judging import write


def _looked_at(path: Path, info: ValidationInfo) -> Path:
    """As a validator does that reads the file it is given."""
    if info.context is not None and not path.exists():
        info.context["others"].append(Problem(file=path.name, line=1, key="", reason="is not there"))
    return path


class Inner(Section):
    wait: Seconds = Field(default=1.0, gt=0)
    name: str = "inner"


class Outer(Section):
    size: int
    ratio: float | None = 0.5
    inner: Inner = Inner()
    items: tuple[Inner, ...] = ()
    numbers: tuple[int, ...] = ()
    named: dict[str, Inner] = Field(default_factory=dict)
    file: Annotated[FilePath, AfterValidator(_looked_at)] | None = None


NOT_WHOLE = "Input should be a valid integer, unable to parse string as an integer"
NO_DURATION = "should be a duration such as 2s, 500ms, 10m or 1h"


def load(folder: Path, text: str) -> Outer:
    return load_yaml(write(folder, "outer.yaml", text), Outer, [])


def faults(folder: Path, text: str | bytes) -> list[str]:
    """The problems as `line: key: reason (got value)`."""
    path = folder / "outer.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(ConfigError) as caught:
        load_yaml(path, Outer, [])
    assert str(caught.value).count("\n") == len(caught.value.problems) - 1, "each problem is one line"
    return [str(problem).removeprefix(f"{path}:") for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("2s", 2.0), ("200ms", 0.2), ("1.5m", 90.0), ("1h", 3600.0), (" 10 s ", 10.0), ("0", 0.0), ("0.25", 0.25)],
)
def test_a_duration_is_a_number_with_a_unit_or_seconds(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "s", "-1s", "1d", "1 2s", "1,5s", "2S", "0x10", "1e3", ".5s", "nan", "1:30"])
def test_other_text_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="such as 2s, 500ms, 10m or 1h"):
        parse_duration(text)


def test_a_section_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        Inner().name = "other"


def test_a_file_is_read_with_its_defaults(tmp_path: Path) -> None:
    read = load(tmp_path, "size: 3\ninner: {wait: 500ms}\n")
    assert (read.size, read.ratio, read.inner.wait, read.inner.name) == (3, 0.5, 0.5, "inner")


def test_an_explicit_zero_and_null_are_not_the_default(tmp_path: Path) -> None:
    assert load(tmp_path, "size: 0\nratio: 0\n").ratio == 0.0
    assert load(tmp_path, "size: 0\nratio: null\n").ratio is None
    assert load(tmp_path, "size: 0\nratio:\n").ratio is None


def test_a_path_is_relative_to_the_file(tmp_path: Path) -> None:
    write(tmp_path, "there.txt", "")
    assert load(tmp_path, "size: 0\nfile: there.txt").file == tmp_path / "there.txt"
    assert load(tmp_path, f"size: 0\nfile: {tmp_path}/there.txt").file == tmp_path / "there.txt"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("size: 1\nsise: 2\n", ["2: sise: unknown key"]),
        ("# a\n\ninner: {}\n", ["1: size: is required"]),
        ("", ["1: size: is required"]),
        ("# nothing\n", ["1: size: is required"]),
        ("\nsize: much\n", [f"2: size: {NOT_WHOLE} (got 'much')"]),
        ("size: 1\nratio: .nan", ["2: ratio: Input should be a finite number (got nan)"]),
        ("size: 1\ninner:\n  wait: soon\n", [f"3: inner.wait: {NO_DURATION} (got 'soon')"]),
        ("size: 1\ninner:\n  wait: true\n", [f"3: inner.wait: {NO_DURATION} (got True)"]),
        ("size: 1\ninner:\n  wait: 0\n", ["3: inner.wait: Input should be greater than 0 (got 0)"]),
        ("size: 1\ninner:\n", ["2: inner: should be a section, keys with values"]),
        ("size: 1\ninner: [1]\n", ["2: inner: should be a section, keys with values"]),
        ("size: 1\ninner: big\n", ["2: inner: should be a section, keys with values (got 'big')"]),
        ("size: 1\nitems:\n- {}\n- name: a\n  nam: b\n", ["5: items[1].nam: unknown key"]),
        ("size: 1\nnumbers:\n- 1\n- x\n", [f"4: numbers[1]: {NOT_WHOLE} (got 'x')"]),
        ("size: 1\nnumbers: 3\n", ["2: numbers: Input should be a valid tuple (got 3)"]),
        ("size: 1\nnamed:\n  a:\n    wait: -1\n", ["4: named.a.wait: Input should be greater than 0 (got -1)"]),
        ("size: 1\nnamed:\n  7: {}\n", ["3: named[7]: Input should be a valid string (got 7)"]),
        ("base: &b {nam: 1}\nsize: 1\ninner:\n  <<: *b\n", ["1: base: unknown key", "3: inner.nam: unknown key"]),
        ("- 1\n- 2\n", ["1: should be a section, keys with values"]),
        ("text\n", ["1: should be a section, keys with values (got 'text')"]),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_told_by_line_and_key(tmp_path: Path, text: str, expected: list[str]) -> None:
    assert faults(tmp_path, text) == expected


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("size: 1\nratio: 1\nsize: 2\n", '3: a key stands twice: found duplicate key "size"'),
        ("size: 1\ninner: {name: a, name: b}\n", '2: a key stands twice: found duplicate key "name"'),
        ("size: 1\nitems: [1\n", "3: is not YAML: "),
        ("size: 1\ninner:\n\tname: a\n", "3: is not YAML: found character '\\t'"),
        ("size: 1\ninner: *none\n", "2: is not YAML: found undefined alias 'none'"),
        ("size: 1\n---\nsize: 2\n", "2: is not YAML: but found another document"),
        ("size: 1\n# a\nratio: \x01\n", "3: is not YAML: unacceptable character #x0001"),
        ("size: 1\nratio: 2001-99-99\n", "1: is not YAML: month must be in 1..12"),
        ("size: !!int x\n", "1: is not YAML: invalid literal for int()"),
        ("size: " + "[" * 600, "1: is not YAML: maximum recursion depth"),
        (b"size: 1\nratio: \xff\n", "1: is not UTF-8 text"),
    ],
)  # fmt: skip
def test_what_is_no_yaml_is_told_by_line(tmp_path: Path, text: str | bytes, start: str) -> None:
    (fault,) = faults(tmp_path, text)
    assert fault[: len(start)] == start


def test_several_faults_come_in_the_order_of_their_lines(tmp_path: Path) -> None:
    text = "zzz: 1\nratio: big\nitems:\n- {wait: 0}\n- {name: [1]}\naaa: 1\n"
    assert [fault.split(": ")[:2] for fault in faults(tmp_path, text)] == [
        ["1", "size"],
        ["1", "zzz"],
        ["2", "ratio"],
        ["4", "items[0].wait"],
        ["5", "items[1].name"],
        ["6", "aaa"],
    ]


def test_the_faults_of_files_that_it_names_come_after_its_own(tmp_path: Path) -> None:
    assert faults(tmp_path, "file: gone.txt\nsize: x\n") == [
        f"2: size: {NOT_WHOLE} (got 'x')",
        "gone.txt:1: is not there",
    ]


def test_the_faults_of_files_that_a_valid_one_names_are_the_callers(tmp_path: Path) -> None:
    others: list[Problem] = []
    load_yaml(write(tmp_path, "outer.yaml", "size: 1\nfile: gone.txt\n"), Outer, others)
    assert [str(problem) for problem in others] == ["gone.txt:1: is not there"]


@pytest.mark.parametrize(("name", "reason"), [("none.yaml", "No such file or directory"), (".", "Is a directory")])
def test_a_file_that_cannot_be_read_is_told(tmp_path: Path, name: str, reason: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_yaml(tmp_path / name, Outer, [])
    assert str(caught.value) == f"{tmp_path / name}:1: cannot be read: {reason}"


def test_a_byte_order_mark_is_no_fault(tmp_path: Path) -> None:
    assert load(tmp_path, "\N{BYTE ORDER MARK}size: 1\n").size == 1


def test_line_of_gives_the_deepest_part_that_is_there(tmp_path: Path) -> None:
    path = write(tmp_path, "a.yaml", "a:\n  b:\n    - x\n    - y\n")
    assert [line_of(path, keys) for keys in [(), ("a",), ("a", "b", 1), ("a", "c"), ("b",)]] == [1, 1, 4, 1, 1]
