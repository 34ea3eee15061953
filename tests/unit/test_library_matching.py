"""The search finds exactly what comparing everything finds."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streammon.errors import LibraryError
from streammon.library import watch as watching
from streammon.library.listing import EmbeddingModel, Kind, Listing, Thresholds
from streammon.library.matching import Matcher
from streammon.library.store import LibraryStore, Stamp
from streammon.library.vector_index import VectorIndex
from streammon.library.watch import LibraryWatch
from tests.unit.library_making import MODEL, filled, listing, vectors
from tests.unit.scheduling import wait_for


@settings(max_examples=60, deadline=None)
@given(
    count=st.integers(1, 400),
    size=st.sampled_from([1, 2, 31, 33, 128]),
    seed=st.integers(0, 9999),
    least=st.floats(-1, 1),
    length=st.sampled_from([1.0, 0.3, 20.0]),
    near=st.booleans(),
)
def test_the_search_is_exact(count: int, size: int, seed: int, least: float, length: float, near: bool) -> None:
    rows = vectors(count, seed, size) * np.float32(length)
    wanted = rows[seed % count] + vectors(1, seed + 1, size)[0] * np.float32(0.3 if near else 3)
    index = VectorIndex(rows)
    found, similar = index.near(wanted, least)

    exact = 1 - np.square(rows.astype(np.float64) - wanted).sum(axis=1) / 2
    error = 1e-5 * max(1.0, length**2)
    assert set(np.flatnonzero(exact >= least + error)) <= set(found) <= set(np.flatnonzero(exact >= least - error))
    assert similar == pytest.approx(np.minimum(exact[found], 1), abs=error)


def test_each_row_may_have_its_own_threshold() -> None:
    rows = vectors(50)
    least = np.where(np.arange(50) % 2 == 0, np.float32(-2), np.float32(2))
    found, _ = VectorIndex(rows).near(rows[3], least)
    assert found.tolist() == list(range(0, 50, 2))


def test_nan_is_near_nothing() -> None:
    found, _ = VectorIndex(vectors(50)).near(np.full(16, np.nan, np.float32), -1.0)
    assert found.size == 0


def test_the_best_photo_of_each_entry_by_its_lists_thresholds() -> None:
    rows = vectors(3)
    less = rows[0] + 0.4 * rows[1]
    less /= np.linalg.norm(less)
    strict = filled({"a": {"vectors": rows[:1]}}, listing("strict", thresholds=Thresholds(review=0.97, sure=0.99)))
    loose = filled({"a": {"vectors": np.stack([rows[0], less])}, "b": {"vectors": rows[2:]}}, listing("loose"))
    wanted = rows[0] - 0.3 * rows[1]
    wanted /= np.linalg.norm(wanted)
    (match,) = Matcher([strict, loose]).find(wanted)
    similarity = float(wanted @ rows[0])
    assert loose.thresholds.review < float(wanted @ less) < similarity < strict.thresholds.review
    assert (match.listing.name, match.entry.id) == ("loose", "a")
    assert match.similarity == pytest.approx(similarity, abs=1e-5)
    assert match.score == pytest.approx(loose.thresholds.score(similarity), abs=1e-4)


def test_lists_without_entries_match_nothing() -> None:
    matcher = Matcher([listing(), listing("fine", label="violence.person", allow=True)])
    assert matcher.find(vectors(1)[0]) == ()
    assert matcher.labels == {"politics.person"}


def named(listings: Sequence[Listing]) -> dict[str, list[str]]:
    return {one.name: [entry.id for entry in one.entries] for one in listings}


def saved(store: LibraryStore, *listings: Listing) -> None:
    with store.writing():
        for one in listings:
            store.save(one)


def test_what_runs_follows_the_files(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = LibraryStore(tmp_path, Kind.FACES)
    watch = LibraryWatch(store, MODEL, named)
    try:
        assert watch.current == {}
        saved(store, filled({"a": {"vectors": vectors(1)}}))
        watch.look()
        assert watch.current == {"wanted": ["a"]}

        path = store.path("wanted")
        path.write_bytes(path.read_bytes()[:100])
        saved(store, listing("second"))
        for _ in range(3):
            watch.look()
        assert watch.current == {"second": [], "wanted": ["a"]}
        told = [record for record in caplog.records if record.levelno >= logging.ERROR]
        assert len(told) == 1
        assert "stays as it was" in told[0].getMessage()

        with store.writing():
            store.delete("wanted")
        watch.look()
        assert watch.current == {"second": []}
    finally:
        watch.close()
        watch.close()
    assert not watch._thread.is_alive()


def test_a_list_that_changes_within_one_tick_of_the_clock_is_read_anew(tmp_path: Path) -> None:
    store = LibraryStore(tmp_path, Kind.FACES)
    saved(store, filled({"a": {"vectors": vectors(1)}}))
    before = store.path("wanted").stat()
    watch = LibraryWatch(store, MODEL, named)
    try:
        saved(store, filled({"b": {"vectors": vectors(1)}}))
        os.utime(store.path("wanted"), ns=(before.st_atime_ns, before.st_mtime_ns))
        watch.look()
        assert watch.current == {"wanted": ["b"]}
    finally:
        watch.close()


def test_while_the_folder_cannot_be_read_nobody_is_forgotten_and_it_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "_LOOK_EVERY_S", 0.01)
    store = LibraryStore(tmp_path, Kind.FACES)
    saved(store, filled({"a": {"vectors": vectors(1)}}))
    watch = LibraryWatch(store, MODEL, named)
    looks, stamp = [0], store.stamp

    def looked() -> Stamp:
        looks[0] += 1
        return stamp()

    monkeypatch.setattr(store, "stamp", looked)
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setattr(store, "_folder", tmp_path / "file")
    try:
        before = looks[0]
        wait_for(lambda: looks[0] > before + 3)
        assert watch.current == {"wanted": ["a"]}
    finally:
        watch.close()
    told = [record.message for record in caplog.records if record.levelno == logging.ERROR]
    assert len(told) == 1
    assert "the lists stay as they were" in told[0]


def test_a_start_with_lists_that_cannot_be_used_tells_all_of_them(tmp_path: Path) -> None:
    store = LibraryStore(tmp_path, Kind.FACES)
    other = EmbeddingModel(id="face-0", sha256="00" * 32)
    saved(store, replace(listing("old"), model=other), listing("bad"))
    store.path("bad").write_bytes(b"bad")
    with pytest.raises(LibraryError, match=r"(?s)bad.npz: is no list.*old.npz: was made with face-0"):
        LibraryWatch(store, MODEL, named)
