"""Keyword list files: what they may say, and how their faults are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from streammon.errors import ConfigError
from streammon.judge.keywords import KeywordMatcher, lists, read_keyword_list
from streammon.judge.keywords.lists import Said
from tests.unit.judging import CONTACT, write

ROOT = Path(__file__).parents[2]


def problems(path: Path) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read_keyword_list(path, CONTACT)
    return [str(problem) for problem in caught.value.problems]


def test_a_list_file_is_one_word_a_line_with_comments_and_blank_lines(tmp_path: Path) -> None:
    path = write(tmp_path, "gambling.txt", "# words\n\n 赌场 \nslot machine\r\n  # more\ncasino")
    read = read_keyword_list(path, "prohibited.gambling")
    assert (read.name, read.label) == ("gambling", "prohibited.gambling")
    assert read.words == ("赌场", "slot machine", "casino")


def test_a_byte_order_mark_is_no_part_of_the_first_word(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_bytes("\N{BYTE ORDER MARK}# 注释\n赌场\n".encode())
    assert read_keyword_list(path, CONTACT).words == ("赌场",)


def test_fields_after_tabs_say_more_of_a_word(tmp_path: Path) -> None:
    text = "赌场\tprohibited.gambling\t5\tsaid by Ann\nvip\t\t2\nx y\tadvertising.contact\nplain\t\t\tonly a comment\n"
    read = read_keyword_list(write(tmp_path, "list.txt", text), CONTACT)
    assert read.words == ("赌场", "vip", "x y", "plain")
    assert read.said == {
        "赌场": Said(label="prohibited.gambling", severity=5),
        "vip": Said(severity=2),
        "x y": Said(label="advertising.contact"),
    }


def test_expressions_are_told_from_words(tmp_path: Path) -> None:
    read = read_keyword_list(write(tmp_path, "list.txt", "re: vx\\d+\t\t4\nre\n"), CONTACT)
    assert (read.words, read.patterns) == (("re",), ("vx\\d+",))
    assert read.said["vx\\d+"].severity == 4


def test_all_faulty_lines_are_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    text = "ok\n\N{ZERO WIDTH SPACE}\nBAD\nre: (\nre: a*\nre: (?=x)\nx\tno.such\ny\t\t9\nOK\n" + "z" * 65 + "\n"
    path.write_bytes(text.encode().replace(b"BAD", "赌场".encode("gb18030")))
    told = problems(path)
    assert [int(line.split(":")[1]) for line in told] == [2, 3, 4, 5, 6, 7, 8, 9, 10]
    assert "has nothing to see" in told[0]
    assert told[1].endswith("is not UTF-8 text")
    assert "is no RE2 expression: missing )" in told[2]
    assert "matches nothing at all" in told[3]
    assert "is no RE2 expression" in told[4]
    assert "is no label of the taxonomy" in told[5]
    assert "a number from 0 to 5, not '9'" in told[6]
    assert "stands in line 1 already (got 'OK')" in told[7]
    assert "longer than 64 characters" in told[8]


def test_every_repeated_word_is_told_with_its_line(tmp_path: Path) -> None:
    path = write(tmp_path, "list.txt", "Casino\n# c\n\nＣＡＳＩＮＯ\n賭場\n赌场\n赌 场\n")
    assert problems(path) == [
        f"{path}:4: stands in line 1 already (got 'ＣＡＳＩＮＯ')",
        f"{path}:7: stands in line 6 already (got '赌 场')",
    ]


def test_of_very_many_faults_the_first_are_told(tmp_path: Path) -> None:
    assert len(problems(write(tmp_path, "list.txt", "x\n" * 5000))) == 100


def test_an_expression_that_is_too_long_or_too_large_is_told(tmp_path: Path) -> None:
    path = write(tmp_path, "list.txt", f"re: {'x' * 501}\nre: \\pL{{900}}\nre:\n")
    told = problems(path)
    assert "longer than 500 characters" in told[0]
    assert "is no RE2 expression: pattern too large" in told[1]
    assert "has no expression" in told[2]


def test_a_list_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    assert problems(tmp_path) == [f"{tmp_path}:1: cannot be read: Is a directory"]


def test_a_file_of_a_million_lines_is_refused_at_once(tmp_path: Path) -> None:
    path = write(tmp_path, "list.txt", "".join(f"w{n:08d}\n" for n in range(1_000_000)))
    assert path.stat().st_size >= 10_000_000
    assert problems(path) == [f"{path}:250001: has more than 250,000 words; divide it, or leave some out"]


def test_a_file_over_the_limit_is_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "MAX_LIST_BYTES", 4 * 1024 * 1024)
    path = write(tmp_path, "list.txt", "# " + "x" * 5_000_000)
    assert problems(path) == [f"{path}:1: is larger than 4 MiB"]


@pytest.mark.parametrize("path", sorted((ROOT / "configs" / "keywords").glob("*.txt")), ids=lambda path: path.stem)
def test_the_shipped_lists_are_valid_and_found(path: Path) -> None:
    read = read_keyword_list(path, CONTACT)
    search = KeywordMatcher([read])
    assert [word for word in read.words if word not in {m.hit.word for m in search.find(word)}] == []
