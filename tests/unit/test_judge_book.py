"""The book of policies: whose room is judged by which, and what an edit, a fault, a half-written file do to them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from streammon.entities import Room
from streammon.errors import ConfigError, StreammonError
from streammon.judge.book import PolicyBook
from streammon.judge.config import PoliciesConfig
from tests.unit.judging import write

NAMED = "version: 1\nid: {}\nlabels: {{sexy: {{review: {}}}}}\n"


class Shelf:
    """A folder of policies and a book of it. Each file's time is a minute after the last one's, the clock's an hour."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now_s = 1e9
        self.put("a.yaml", NAMED.format("a", 0.5))
        self.put("b.yaml", NAMED.format("b", 0.5))

    def open(self, **config: object) -> PolicyBook:
        whole = {"folder": self.folder, "default": "a", **config}
        return PolicyBook(PoliciesConfig.model_validate(whole), wall=lambda: self.now_s)

    def put(self, name: str, text: str) -> Path:
        """Writes a file, a minute ago."""
        self.now_s += 120
        path = write(self.folder, name, text)
        os.utime(path, (self.now_s - 60, self.now_s - 60))
        return path


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path)


def review(book: PolicyBook, policy: str = "a") -> float | None:
    return book.choose(Room(room_id="r", url="", policy=policy)).rules["sexy.kissing"].review


def test_a_room_is_judged_by_its_own_policy_then_its_tenants_then_the_default(shelf: Shelf) -> None:
    book = shelf.open(tenants={"strict": "b"})
    assert book.ids == ("a", "b")
    assert book.choose(Room(room_id="r", url="", policy="b")).id == "b"
    assert book.choose(Room(room_id="r", url="", policy="", tenant="strict")).id == "b"
    assert book.choose(Room(room_id="r", url="", policy="a", tenant="strict")).id == "a"
    assert book.choose(Room(room_id="r", url="", policy="")).id == "a"


def test_a_policy_that_nobody_knows_is_refused(shelf: Shelf) -> None:
    with pytest.raises(StreammonError, match="no policy is called 'c'; the known ones are a, b"):
        shelf.open().choose(Room(room_id="r", url="", policy="c"))


def test_files_beside_the_folder_are_read_too(shelf: Shelf, tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    more = write(tmp_path / "more", "c.yaml", NAMED.format("c", 0.5))
    assert shelf.open(files=[more]).ids == ("a", "b", "c")


def test_without_configuration_there_is_the_fallback(shelf: Shelf) -> None:
    book = PolicyBook(PoliciesConfig(default="b"), [shelf.folder / "b.yaml"])
    assert book.ids == ("b",)


def refused(open_book: Callable[[], PolicyBook]) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        open_book()
    return [str(problem) for problem in caught.value.problems]


def test_at_the_start_every_fault_of_every_file_is_told(shelf: Shelf) -> None:
    shelf.put("a.yaml", NAMED.format("a", 7))
    shelf.put("c.yaml", NAMED.format("b", 0.5))
    told = refused(lambda: shelf.open(tenants={"t": "d"}))
    assert len(told) == 4
    assert told[0].startswith(f"{shelf.folder}/a.yaml:3: labels.sexy.review: Input should be less than")
    assert told[1] == f"{shelf.folder}/c.yaml:1: id: stands in {shelf.folder}/b.yaml already (got 'b')"
    assert told[2:] == [
        "policies:1: default: no policy has this id (got 'a')",
        "policies:1: tenants.t: no policy has this id (got 'd')",
    ]


def test_nothing_is_read_where_nothing_has_changed(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    book = shelf.open()
    known = book.choose(Room(room_id="r", url="", policy="a"))
    told = book.reload()
    assert (told.changed, told.problems) == ((), ())
    assert book.choose(Room(room_id="r", url="", policy="a")) is known


def test_an_edit_is_taken_up(shelf: Shelf) -> None:
    book = shelf.open()
    shelf.put("a.yaml", NAMED.format("a", 0.6))
    assert review(book) == 0.5
    assert book.reload().changed == ("a",)
    assert review(book) == 0.6
    assert book.reload().changed == ()


def test_a_file_that_was_only_touched_is_no_change(shelf: Shelf) -> None:
    book = shelf.open()
    shelf.put("a.yaml", NAMED.format("a", 0.5))
    assert book.reload().changed == ()


def test_an_edit_of_a_keyword_list_is_taken_up(shelf: Shelf) -> None:
    shelf.put("words.txt", "casino\n")
    keywords = "keywords: [{file: words.txt, label: sexy.kissing}]\n"
    shelf.put("a.yaml", NAMED.format("a", 0.5) + keywords)
    book = shelf.open()
    shelf.put("words.txt", "baccarat\n")
    assert book.reload().changed == ("a",)


def test_a_new_file_is_a_new_policy(shelf: Shelf) -> None:
    book = shelf.open()
    shelf.put("c.yaml", NAMED.format("c", 0.7))
    assert book.reload().changed == ("c",)
    assert review(book, "c") == 0.7


def test_a_broken_file_leaves_the_policy_as_it_was_and_is_told_until_it_is_mended(shelf: Shelf) -> None:
    book = shelf.open()
    shelf.put("a.yaml", "version: 1\nid: a\nlabels: {sexy: {review: 7}, foo: {}}\n")
    for _ in range(2):
        told = book.reload()
        assert told.changed == ()
        assert [problem.key for problem in told.problems] == ["labels.sexy.review", "labels.foo"]
        assert review(book) == 0.5
    shelf.put("a.yaml", NAMED.format("a", 0.8))
    told = book.reload()
    assert (told.changed, told.problems, review(book)) == (("a",), (), 0.8)


def test_a_list_that_is_mended_mends_its_policy(shelf: Shelf) -> None:
    book = shelf.open()
    keywords = "keywords: [{file: words.txt, label: sexy.kissing}]\n"
    shelf.put("a.yaml", NAMED.format("a", 0.6) + keywords)
    (problem,) = book.reload().problems
    assert problem.key == "keywords[0].file"
    shelf.put("words.txt", "casino\n")
    assert book.reload().changed == ("a",)


def test_a_file_that_is_gone_leaves_its_policy_and_is_told(shelf: Shelf) -> None:
    book = shelf.open()
    (shelf.folder / "a.yaml").unlink()
    for _ in range(2):
        (problem,) = book.reload().problems
        assert problem.reason == "cannot be read: No such file or directory"
    assert review(book) == 0.5


def test_a_file_that_is_called_otherwise_leaves_the_policy_that_it_was(shelf: Shelf) -> None:
    book = shelf.open()
    shelf.put("a.yaml", NAMED.format("c", 0.9))
    for expected in (("c",), ()):
        told = book.reload()
        assert told.changed == expected
        assert [problem.reason for problem in told.problems] == ["is called otherwise now; its rooms keep it as it was"]
    assert (review(book, "a"), review(book, "c")) == (0.5, 0.9)


def test_a_file_that_is_being_written_is_left_for_the_next_time(shelf: Shelf) -> None:
    book = shelf.open()
    path = write(shelf.folder, "a.yaml", "version: 1\nid: a\nlabels: {}\n")
    os.utime(path, (shelf.now_s - 0.5, shelf.now_s - 0.5))
    assert book.reload().changed == ()
    assert review(book) == 0.5
    shelf.now_s += 1
    assert book.reload().changed == ("a",)


def test_what_was_read_while_it_was_written_is_read_again(shelf: Shelf) -> None:
    path = write(shelf.folder, "a.yaml", NAMED.format("a", 0.5))
    os.utime(path, (shelf.now_s, shelf.now_s))
    book = shelf.open()
    stat = path.stat()
    path.write_text(NAMED.format("a", 0.6), encoding="utf-8")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert path.stat().st_size == stat.st_size
    shelf.now_s += 2
    assert book.reload().changed == ("a",)


def test_a_time_to_come_is_a_wrong_clocks(shelf: Shelf) -> None:
    book = shelf.open()
    path = write(shelf.folder, "a.yaml", NAMED.format("a", 0.6))
    os.utime(path, (shelf.now_s + 5000, shelf.now_s + 5000))
    assert book.reload().changed == ("a",)
