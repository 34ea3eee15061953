"""Known pictures are found again, whole and as parts of a frame; others are not."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
import pytest

from streammon.detect.config import DetectConfig
from streammon.detect.parts import Parts
from streammon.detect.pictures.alignment import alikeness, correlation
from streammon.detect.pictures.config import PicturesConfig
from streammon.detect.pictures.detector import PicturesDetector
from streammon.detect.pictures.finder import PictureFinder
from streammon.detect.pictures.fingerprint import MODEL, blank, detail, fingerprint, shrunk
from streammon.detect.registry import build_detectors
from streammon.detect.runtime.runtime import Runtime
from streammon.entities import Box, Frame, Image, LibraryMatch, Moment, Source
from streammon.errors import LibraryError
from streammon.judge.report import hit_of
from streammon.library.listing import Kind, Listing, Thresholds
from streammon.library.store import LibraryStore
from tests.unit.library_making import filled, listing, scene

KNOWN = {f"known-{seed}": scene(seed) for seed in range(6)}
WANTED = KNOWN["known-2"]
LABEL = "politics.flag"


def pictures(name: str = "symbols", images: dict[str, Image] | None = None, *, allow: bool = False) -> Listing:
    made = listing(
        name, kind=Kind.IMAGES, label=LABEL, model=MODEL, thresholds=Thresholds(review=0.55, sure=0.7), allow=allow,
        arrays=blank(),
    )  # fmt: skip
    return filled({key: fingerprint(image) for key, image in (KNOWN if images is None else images).items()}, made)


FINDER = PictureFinder([pictures()])


def jpeg(image: Image, quality: int) -> Image:
    done, written = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert done
    return np.asarray(cv2.imdecode(written, cv2.IMREAD_COLOR), np.uint8)


def written_on(image: Image) -> Image:
    out = image.copy()
    for row in range(5):
        at = (10 + 30 * row, (row + 1) * image.shape[0] // 6)
        cv2.putText(out, "come and see us now", at, cv2.FONT_HERSHEY_SIMPLEX, 0.9, (255, 255, 60), 2, cv2.LINE_AA)
    return out


def pasted(image: Image, into: Image, box: tuple[int, int, int, int]) -> Image:
    left, top, width, height = box
    out = into.copy()
    out[top : top + height, left : left + width] = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    return out


def sides(box: Box | None) -> tuple[float, float, float, float]:
    assert box is not None
    return box.x, box.y, box.w, box.h


CHANGES: dict[str, Callable[[Image], Image]] = {
    "as it is": lambda image: image,
    "small": lambda image: cv2.resize(image, None, fx=0.3, fy=0.3, interpolation=cv2.INTER_AREA).astype(np.uint8),
    "large": lambda image: cv2.resize(image, None, fx=1.5, fy=1.5).astype(np.uint8),
    "squeezed": lambda image: cv2.resize(image, (400, 500), interpolation=cv2.INTER_AREA).astype(np.uint8),
    "jpeg 30": lambda image: jpeg(image, 30),
    "cropped": lambda image: np.ascontiguousarray(image[10:335, 30:460]),
    "dark": lambda image: (image * 0.6).astype(np.uint8),
    "light": lambda image: (image.astype(np.float32) * 1.3).clip(0, 255).astype(np.uint8),
    "written on": written_on,
    "all": lambda image: jpeg(written_on(np.ascontiguousarray(image[10:335, 30:460])), 30),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_known_picture_is_found_again(change: str) -> None:
    found = FINDER.find(CHANGES[change](WANTED))
    assert [sighting.match.entry.id for sighting in found] == ["known-2"]


def test_a_known_picture_is_found_as_a_part_and_where_it_is() -> None:
    frame = jpeg(pasted(WANTED, scene(99, 1280, 720), (700, 60, 480, 360)), 60)
    (sighting,) = FINDER.find(frame)
    assert sighting.match.entry.id == "known-2"
    assert sighting.match.similarity > 0.9
    assert sides(sighting.box) == pytest.approx((700 / 1280, 60 / 720, 480 / 1280, 360 / 720), abs=0.02)
    assert FINDER.find(frame, parts=False) == ()


@pytest.mark.parametrize("seed", range(40, 60))
def test_other_pictures_are_not(seed: int) -> None:
    assert FINDER.find(scene(seed, 640, 360)) == ()


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((360, 640, 3), np.uint8),
        np.full((1, 1, 3), 7, np.uint8),
        np.full((10, 2000, 3), 200, np.uint8),
        np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 100, 0).repeat(3, 2),
    ],
)
def test_a_picture_with_nothing_in_it_is_none_of_them(image: Image) -> None:
    assert FINDER.find(np.ascontiguousarray(image)) == ()


def test_what_an_allow_list_knows_as_well_is_nothing() -> None:
    fine = pictures("fine", {"ours": WANTED}, allow=True)
    finder = PictureFinder([pictures(), fine])
    assert finder.find(WANTED) == ()
    assert finder.labels == {LABEL}
    worse = written_on(KNOWN["known-4"])
    both = pasted(worse, pasted(WANTED, scene(99, 1280, 720), (40, 60, 480, 360)), (700, 300, 480, 360))
    assert [one.match.entry.id for one in finder.find(both)] == ["known-4"]
    assert {one.match.entry.id for one in finder.find(both, allowed=True)} == {"ours", "known-2", "known-4"}


def test_what_an_allow_list_knows_less_well_stays() -> None:
    fine = pictures("fine", {"ours": written_on(WANTED)}, allow=True)
    (sighting,) = PictureFinder([pictures(), fine]).find(WANTED)
    assert sighting.match.entry.id == "known-2"


@pytest.mark.parametrize(
    ("image", "says"),
    [
        (np.full((200, 200, 3), 130, np.uint8), "too little in it"),
        (np.zeros((31, 400, 3), np.uint8), "400 x 31 pixels"),
    ],
)
def test_a_picture_that_could_not_be_told_apart_is_refused(image: Image, says: str) -> None:
    with pytest.raises(LibraryError, match=says):
        fingerprint(image)


def test_alikeness_is_of_what_is_in_it_not_of_its_light() -> None:
    small = shrunk(WANTED, 64)
    assert correlation(small, small) == pytest.approx(1.0)
    assert correlation(small, (small * 0.5).astype(np.uint8)) > 0.9
    assert correlation(small, 255 - small) == 0.0
    covered = small.copy()
    covered[20:36] = scene(70)[100:116, 100:164]
    assert correlation(small, covered) > 0.9
    assert alikeness(small, np.zeros_like(small)) == 0.0
    assert detail(np.full((64, 64, 3), 90, np.uint8)).std() == pytest.approx(0.0, abs=1e-3)


def test_a_library_without_entries_finds_nothing() -> None:
    assert PictureFinder([]).find(WANTED) == ()
    assert PictureFinder([pictures(images={})]).find(WANTED) == ()


def frame_of(image: Image) -> Frame:
    moment = Moment(session=1, pts_s=0.0, received_at=datetime(2026, 1, 1, tzinfo=UTC))
    return Frame(
        room_id="r", moment=moment, seq=1, key_frame=True, width=image.shape[1], height=image.shape[0], image=image,
        received_s=0.0, deadline_s=2.0,
    )  # fmt: skip


def saved(root: Path, *listings: Listing) -> None:
    store = LibraryStore(root, Kind.IMAGES)
    with store.writing():
        for one in listings:
            store.save(one)


def test_a_detection_names_the_list_and_its_entry(tmp_path: Path) -> None:
    saved(tmp_path, pictures())
    config = DetectConfig(provider="cpu", library=tmp_path)
    (detector,) = build_detectors(
        ["pictures"], Parts(weights=Path, label_maps={}, config=config, runtime=Runtime(config))
    )
    try:
        detector.warm_up()
        (found,), nothing = detector.detect([frame_of(WANTED), frame_of(scene(50))])
    finally:
        detector.close()
    assert nothing == ()
    assert (found.detector, found.model, found.source) == ("pictures", "pictures-1", Source.LIBRARY)
    assert (found.label, found.subject, found.box) == (LABEL, "known-2", None)
    assert found.library is not None
    assert found.library == LibraryMatch(library="symbols", entry="known-2", similarity=found.library.similarity)
    assert found.score >= 0.95
    assert hit_of(found).library == found.library


def test_the_detector_follows_the_lists(tmp_path: Path) -> None:
    detector = PicturesDetector(tmp_path, PicturesConfig())
    try:
        assert detector.labels == frozenset()
        assert detector.detect([frame_of(WANTED)]) == [()]
        saved(tmp_path, pictures())
        detector._lists.look()
        assert detector.labels == {LABEL}
        assert len(detector.detect([frame_of(WANTED)])[0]) == 1
    finally:
        detector.close()
        detector.close()


def test_no_more_is_reported_than_is_asked_for(tmp_path: Path) -> None:
    saved(tmp_path, pictures(), pictures("again"))
    detector = PicturesDetector(tmp_path, PicturesConfig(max_matches=1))
    try:
        assert len(detector.detect([frame_of(WANTED)])[0]) == 1
    finally:
        detector.close()


def test_a_box_is_within_the_frame() -> None:
    frame = pasted(WANTED, scene(99, 1280, 720), (0, 0, 480, 360))
    (sighting,) = FINDER.find(np.ascontiguousarray(frame[20:, 24:]))
    assert sides(sighting.box) == pytest.approx((0, 0, 456 / 1256, 340 / 700), abs=0.02)
