"""Lists on disk: what is written is read, what is removed is gone, and what is damaged is told."""

from __future__ import annotations

import fcntl
import io
import json
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streammon.errors import LibraryError
from streammon.library.list_file import read_list, write_list
from streammon.library.listing import EmbeddingModel, Kind, Listing, Thresholds, entry_id, with_photos, without
from streammon.library.store import LibraryStore
from tests.unit.library_making import MODEL, entry, filled, listing, vectors


def same(one: Listing, other: Listing) -> bool:
    arrays = one.arrays.keys() == other.arrays.keys() and all(
        np.array_equal(one.arrays[name], other.arrays[name]) for name in one.arrays
    )
    return arrays and replace(one, arrays={}) == replace(other, arrays={})


@settings(max_examples=30, deadline=None)
@given(
    people=st.dictionaries(st.from_regex(r"[a-z]{1,8}", fullmatch=True), st.integers(1, 4), max_size=6),
    allow=st.booleans(),
    note=st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
)
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, people: dict[str, int], allow: bool, note: str
) -> None:
    made = listing(allow=allow)
    for seed, (name, photos) in enumerate(people.items()):
        made = with_photos(made, replace(entry(name, photos), note=note), {"vectors": vectors(photos, seed)})
    path = tmp_path_factory.mktemp("lists") / "wanted.npz"
    write_list(path, made)
    assert same(read_list(path, Kind.FACES), made)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 3)), max_size=12))
def test_rows_stay_with_their_entries(steps: list[tuple[str, int]]) -> None:
    """0 removes the entry, a number adds so many photos; a plain dict says what there must be."""
    made = listing()
    expected: dict[str, np.ndarray] = {}
    for seed, (name, photos) in enumerate(steps):
        if photos:
            rows = vectors(photos, seed)
            made = with_photos(made, entry(name, photos), {"vectors": rows})
            expected[name] = np.concatenate([expected[name], rows]) if name in expected else rows
        elif name in expected:
            made = without(made, name)
            del expected[name]
    owners = made.owners()
    assert [one.id for one in made.entries] == list(expected)
    for index, one in enumerate(made.entries):
        assert np.array_equal(made.vectors[owners == index], expected[one.id])


def test_what_is_removed_is_nowhere_in_the_folder(tmp_path: Path) -> None:
    store = LibraryStore(tmp_path, Kind.FACES)
    rows = {name: vectors(2, seed) for seed, name in enumerate(("keep", "forget"))}
    with store.writing():
        store.save(filled({name: {"vectors": found} for name, found in rows.items()}))
    # What a writer that was killed leaves behind has them, too.
    (tmp_path / "faces" / ".unfinished-other.npz").write_bytes(rows["forget"].tobytes())
    assert held(tmp_path, rows["forget"])
    with store.writing():
        store.save(without(store.read("wanted"), "forget"))
    assert not held(tmp_path, rows["forget"])
    assert held(tmp_path, rows["keep"])


def held(folder: Path, rows: np.ndarray) -> bool:
    """Whether any file holds the bytes of any of the rows, or a good part of one."""
    contents = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    return any(row[:8].tobytes() in content for row in rows for content in contents)


def test_others_on_the_machine_may_not_read_a_list(tmp_path: Path) -> None:
    store = LibraryStore(tmp_path, Kind.FACES)
    with store.writing():
        store.save(listing())
    (path,) = (tmp_path / "faces").glob("*.npz")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_whole_list_is_removed(tmp_path: Path) -> None:
    store = LibraryStore(tmp_path, Kind.FACES)
    with store.writing():
        store.save(listing())
        store.delete("wanted")
    assert store.names() == ()


def test_one_writer_at_a_time(tmp_path: Path) -> None:
    store = LibraryStore(tmp_path, Kind.FACES)
    with store.writing(), (tmp_path / "faces" / ".lock").open() as other:
        with pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with pytest.raises(LibraryError, match="another command is writing"), store.writing(wait_s=0.0):
            pass
    with store.writing(wait_s=0.0):
        pass


def as_stored(path: Path, change: Callable[[dict[str, object]], object]) -> None:
    """Rewrites what a list says of itself."""
    with np.load(path) as stored:
        arrays = {name: stored[name] for name in stored.files}
    head = json.loads(arrays["list"].tobytes())
    change(head)
    out = io.BytesIO()
    np.savez(out, **{**arrays, "list": np.frombuffer(json.dumps(head).encode(), np.uint8)})
    path.write_bytes(out.getvalue())


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"version": 2}, "of version 2, and this streammon reads 1"),
        ({"version": "x"}, "damaged"),
        ({"kind": "images"}, "a list of images, not of faces"),
        ({"label": "politics.nobody"}, "'politics.nobody' is none of the taxonomy"),
        ({"entries": []}, "do not fit together"),
        ({"review": 0.9}, "0 < review < sure"),
        ({"entries": [{"id": "a", "name": "A", "photos": 1, "added_at": "2026-01-02T03:04:00Z"}] * 2}, "one id"),
    ],
)
def test_a_list_that_is_not_what_it_should_be_is_told(tmp_path: Path, change: dict[str, object], says: str) -> None:
    path = tmp_path / "wanted.npz"
    write_list(path, filled({"a": {"vectors": vectors(2)}}))
    as_stored(path, lambda head: head.update(change))
    with pytest.raises(LibraryError, match=f"wanted.npz: .*{says}"):
        read_list(path, Kind.FACES)


@pytest.mark.parametrize("cut", [0, 10, 300, -40])
def test_a_damaged_file_is_told(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "wanted.npz"
    write_list(path, filled({"a": {"vectors": vectors(2)}}))
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(LibraryError, match=r"wanted.npz: is no list, or damaged"):
        read_list(path, Kind.FACES)


def test_a_flipped_bit_is_told(tmp_path: Path) -> None:
    path, rows = tmp_path / "wanted.npz", vectors(2)
    write_list(path, filled({"a": {"vectors": rows}}))
    content = bytearray(path.read_bytes())
    content[bytes(content).index(rows.tobytes())] ^= 1
    path.write_bytes(content)
    with pytest.raises(LibraryError, match="damaged"):
        read_list(path, Kind.FACES)


@pytest.mark.parametrize(("at", "value"), [(6, 99), (8, 1), (10, 99)])
def test_damage_that_reads_as_a_password_or_another_packing_is_told(tmp_path: Path, at: int, value: int) -> None:
    """The version needed, the flags and the method in the archive's directory, where APPNOTE 4.3.12 has them."""
    path = tmp_path / "wanted.npz"
    write_list(path, filled({"a": {"vectors": vectors(2)}}))
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + at] = value
    path.write_bytes(content)
    with pytest.raises(LibraryError, match=r"wanted.npz: is no list, or damaged"):
        read_list(path, Kind.FACES)


def test_vectors_of_another_model_are_refused(tmp_path: Path) -> None:
    store = LibraryStore(tmp_path, Kind.FACES)
    with store.writing():
        store.save(listing())
    assert store.read("wanted", MODEL).entries == ()
    for other in (EmbeddingModel(id="face-2", sha256=MODEL.sha256), EmbeddingModel(id="face-1", sha256="cd" * 32)):
        with pytest.raises(LibraryError, match=r"wanted.npz: was made with face-1 .* enrol .* anew"):
            store.read("wanted", other)


def test_a_folder_that_cannot_be_read_is_told_and_is_no_empty_library(tmp_path: Path) -> None:
    assert LibraryStore(tmp_path, Kind.FACES).names() == ()
    (tmp_path / "faces").write_bytes(b"")
    for look in (LibraryStore(tmp_path, Kind.FACES).names, LibraryStore(tmp_path, Kind.FACES).stamp):
        with pytest.raises(LibraryError, match="faces: cannot be read: Not a directory; see to its rights"):
            look()


def test_there_is_no_such_list(tmp_path: Path) -> None:
    with pytest.raises(LibraryError, match="no faces list 'wanted'; the lists are: -"):
        LibraryStore(tmp_path, Kind.FACES).read("wanted")


@pytest.mark.parametrize("name", ["", "../etc", "A", "a/b", ".hidden", "a" * 65, "a\n"])
def test_names_of_lists_are_safe(tmp_path: Path, name: str) -> None:
    with pytest.raises(LibraryError, match="a list's name is of"):
        LibraryStore(tmp_path, Kind.FACES).path(name)


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("Jane Doe", "jane-doe"),
        ("  ../Ünï/ ", "ünï"),
        ("习近平", "习近平"),
        ("Jane \u2764\ufe0f", "jane"),
        ("हिन्दी", "हिन्दी"),
    ],
)
def test_ids_of_entries_are_safe(name: str, made: str) -> None:
    assert entry_id(name) == made


@pytest.mark.parametrize(("one", "other"), [("राम", "रोम"), ("ดี", "ดู"), ("A" * 300, "A" * 299 + "b")])
def test_two_names_are_two_entries(one: str, other: str) -> None:
    assert entry_id(one) != entry_id(other)


@given(
    st.one_of(st.text(st.characters(categories=["L", "M", "N", "P", "Z"]), max_size=60), st.just("a" * 91 + " b" * 9))
)
def test_an_id_s_own_id_is_itself_so_that_it_can_be_removed_by_it(name: str) -> None:
    try:
        made = entry_id(f"x {name}")
    except LibraryError:
        return
    assert len(made.encode()) <= 100
    assert entry_id(made) == made


@pytest.mark.parametrize("name", ["", "...", "///", "🙂"])
def test_a_name_without_a_letter_is_refused(name: str) -> None:
    with pytest.raises(LibraryError, match="needs a letter or a digit"):
        entry_id(name)


@pytest.mark.parametrize("rows", [vectors(1, size=8), vectors(2), np.full((1, 16), np.nan, np.float32)])
def test_rows_unlike_those_of_the_list_are_refused(rows: np.ndarray) -> None:
    with pytest.raises(LibraryError, match="'Odd'"):
        with_photos(listing(), entry("odd"), {"vectors": rows})


@pytest.mark.parametrize(
    ("similarity", "score"), [(0.0, 0.0), (0.35, 0.35), (0.7, 0.7), (0.75, 0.825), (0.8, 0.95), (1.0, 1.0), (-1.0, 0.0)]
)
def test_a_similarity_as_a_score(similarity: float, score: float) -> None:
    assert Thresholds(review=0.7, sure=0.8).score(similarity) == pytest.approx(score)


@pytest.mark.parametrize(("review", "sure"), [(0.0, 0.5), (0.5, 0.5), (0.6, 0.5), (0.5, 1.1), (float("nan"), 0.5)])
def test_thresholds_in_no_order_are_refused(review: float, sure: float) -> None:
    with pytest.raises(LibraryError, match="0 < review < sure"):
        Thresholds(review=review, sure=sure)
