"""Lists under load and under fire, and at work: many people, a writer that is killed, a room that is being watched."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import cv2
import numpy as np
from typer.testing import CliRunner

from sample_streams.live_hls import LiveHls
from streammon.cli import app
from streammon.library.list_file import read_list, write_list
from streammon.library.listing import Kind
from streammon.library.matching import Matcher
from streammon.library.store import LibraryStore
from tests.integration.watching import CLIP, Watching
from tests.unit.library_making import entry, filled, listing, vectors

MANY = 100_000

# Writes a list of 20,000 again and again, in which all vectors say how often it was.
WRITER = """
import sys
from dataclasses import replace
from pathlib import Path
import numpy as np
from streammon.library.listing import Kind
from streammon.library.store import LibraryStore
store = LibraryStore(Path(sys.argv[1]), Kind.FACES)
made = store.read("wanted")
for round in range(1, 10_000):
    with store.writing():
        store.save(replace(made, arrays={"vectors": np.full_like(made.vectors, round)}))
    print(round, flush=True)
"""


def test_a_hundred_thousand_people_are_read_within_a_second_and_searched(tmp_path: Path) -> None:
    rows = vectors(MANY, size=128)
    people = tuple(entry(f"p{number}") for number in range(MANY))
    write_list(tmp_path / "many.npz", listing(size=128, entries=people, arrays={"vectors": rows}))

    start_s = time.process_time()
    many = read_list(tmp_path / "many.npz", Kind.FACES)
    assert time.process_time() - start_s < 2.0  # 0.3 s on a quiet machine

    matcher = Matcher([many])
    start_s = time.process_time()
    found = [matcher.find(rows[row])[0].entry.id for row in range(0, MANY, 1000)]
    assert (time.process_time() - start_s) / len(found) < 0.025  # 1.5 ms
    assert found == [f"p{row}" for row in range(0, MANY, 1000)]


def test_a_writer_that_is_killed_leaves_a_whole_list(tmp_path: Path) -> None:
    store = LibraryStore(tmp_path, Kind.FACES)
    with store.writing():
        store.save(filled({"all": {"vectors": np.zeros((20_000, 128), np.float32)}}, listing(size=128)))
    left_over = 0
    for attempt in range(8):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        assert writer.stdout is not None
        with writer.stdout as said:
            assert said.readline() == "1\n"
            time.sleep(0.013 * attempt)  # at another point of a write each time
            writer.send_signal(signal.SIGKILL)
            written = 1 + len(said.readlines())
        writer.wait(10)
        values = np.unique(store.read("wanted").vectors)
        assert len(values) == 1, "half of one list and half of another"
        assert written <= values[0] <= written + 1
        left_over += any((tmp_path / "faces").glob(".unfinished-*"))
    assert left_over, "it was never killed in the middle"
    with store.writing(wait_s=0.0):  # the lock went with the process
        assert not any((tmp_path / "faces").glob(".unfinished-*"))


POLICY = """
version: 1
id: pictures
labels:
  politics.flag: {review: 0.7, block: 0.95}
"""
SETTINGS = """
version: 1
interval: 1s
policy: policy.yaml
detectors: [pictures]
detect:
  library: lists
"""


def test_a_picture_that_is_added_while_a_room_is_watched_is_reported_with_its_entry(tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text(POLICY)
    (tmp_path / "streammon.yaml").write_text(SETTINGS)
    with av.open(str(CLIP)) as clip:
        shown = next(clip.decode(video=0)).to_ndarray(format="bgr24")
    cv2.imwrite(str(tmp_path / "room.jpg"), cv2.resize(shown, (480, 270)), [cv2.IMWRITE_JPEG_QUALITY, 60])
    events = tmp_path / "events.jsonl"
    options = ("--config", str(tmp_path / "streammon.yaml"), "--events", str(events))
    with LiveHls(CLIP) as live, Watching(tmp_path, live.url, "r", *options) as watching:
        watching.wait_until_said("streaming", 40.0)
        added = CliRunner().invoke(
            app, ["library", "images", "add", "rooms", "This room", str(tmp_path / "room.jpg"), "--label",
                  "politics.flag", "--library", str(tmp_path / "lists")],
        )  # fmt: skip
        assert added.exit_code == 0, added.output
        watching.wait_until_said("START", 40.0)
        assert watching.interrupt() == 0
    start = next(
        event["data"]
        for event in map(json.loads, events.read_text(encoding="utf-8").splitlines())
        if event["data"].get("phase") == "start"
    )
    assert (start["label"], start["subject"], start["source"]) == ("politics.flag", "this-room", "library")
    known = start["hits"][0]["library"]
    assert (known["library"], known["entry"]) == ("rooms", "this-room")
    assert known["similarity"] > 0.7
