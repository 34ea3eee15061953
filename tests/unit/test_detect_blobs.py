"""Compiled blobs on disk: kept once they have been tried, dropped where they were not, and never the end of a start."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from streammon.detect.runtime.blobs import BlobCache, processor


def compiled(cache: BlobCache, sha256: str = "a" * 64, build: str = "openvino-1") -> Path:
    folder = cache.folder(sha256, build)
    assert folder is not None
    (folder / "1.blob").write_bytes(b"code")
    return folder


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_has_run_is_there_at_the_next_start(tmp_path: Path) -> None:
    cache = BlobCache(tmp_path / "blobs")
    folder = compiled(cache)
    cache.settle()
    assert names(folder) == ["1.blob"]
    assert BlobCache(tmp_path / "blobs").folder("a" * 64, "openvino-1") == folder
    assert "1.blob" in names(folder)


def test_what_was_never_tried_to_the_end_is_dropped(tmp_path: Path) -> None:
    folder = compiled(BlobCache(tmp_path / "blobs"))
    assert BlobCache(tmp_path / "blobs").folder("a" * 64, "openvino-1") == folder
    assert names(folder) == ["unfinished"]


def test_a_model_opened_twice_in_one_start_keeps_what_it_has(tmp_path: Path) -> None:
    cache = BlobCache(tmp_path / "blobs")
    folder = compiled(cache)
    assert cache.folder("a" * 64, "openvino-1") == folder
    assert "1.blob" in names(folder)


def test_builds_and_files_have_a_folder_each(tmp_path: Path) -> None:
    cache = BlobCache(tmp_path / "blobs")
    assert len({compiled(cache), compiled(cache, build="openvino-2"), compiled(cache, sha256="b" * 64)}) == 3


def test_what_is_not_in_use_any_more_goes(tmp_path: Path) -> None:
    old = BlobCache(tmp_path / "blobs")
    gone = [compiled(old), compiled(old, sha256="b" * 64, build="openvino-2")]
    old.settle()
    new = BlobCache(tmp_path / "blobs")
    kept = compiled(new, sha256="c" * 64, build="openvino-2")
    new.settle()
    assert not any(folder.exists() for folder in gone)
    assert not gone[0].parent.exists()
    assert names(kept) == ["1.blob"]


def test_blobs_that_do_not_load_are_dropped_once(tmp_path: Path) -> None:
    cache = BlobCache(tmp_path / "blobs")
    folder = compiled(cache)
    assert cache.discard(folder)
    assert not folder.exists()
    assert not cache.discard(folder)
    cache.settle()


def test_a_folder_that_cannot_be_written_costs_the_cache_and_no_more(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "blobs").write_text("a file stands where the folder should")
    cache = BlobCache(tmp_path / "blobs")
    with caplog.at_level(logging.WARNING):
        assert cache.folder("a" * 64, "openvino-1") is None
    assert "cannot be kept" in caplog.text
    cache.settle()


def test_nobody_else_may_write_what_is_loaded_as_code(tmp_path: Path) -> None:
    compiled(BlobCache(tmp_path / "blobs"))
    assert (tmp_path / "blobs").stat().st_mode & 0o777 == 0o700


def test_nothing_compiled_is_nothing_to_settle(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        BlobCache(tmp_path / "none").settle()
    assert caplog.text == ""


def test_another_processor_is_another_build(tmp_path: Path) -> None:
    told = []
    for name, text in {
        "a": "model name: X\nMHz: 1\n\nmodel",
        "b": "model name: X\nMHz: 2\n",
        "c": "model name: Y",
    }.items():
        (tmp_path / name).write_text(text)
        told.append(processor(tmp_path / name))
    assert told[0] == told[1] != told[2]
    assert len(processor(tmp_path / "missing")) == 8
