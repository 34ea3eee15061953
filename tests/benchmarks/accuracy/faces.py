"""Who is who: `EVAL_DIR/faces`, pairs and a watch-list, and what frames with 0, 1 and 5 faces cost.

A pair is of the half of its pictures' names; pairs whose two pictures are on different sides are left out of both. The
strangers of the held-out half are all pairs of FairFace's portraits there (`EVAL_DIR/age`): people of all ages and
origins, no two of them the same. Nothing was tuned on the watch-list of enrolled and probed pictures.
"""

from __future__ import annotations

import itertools
import json
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from streammon.entities import Image
from tests.benchmarks.accuracy.halves import held_out, told
from tests.benchmarks.accuracy.people import models, portraits

REVIEW, SURE = 0.70, 0.78
_WIDTH_PX, _HEIGHT_PX = 1280, 720

Vector = NDArray[np.float32]


def measure(eval_dir: Path | None) -> dict[str, float | int | None]:
    """Pairs told right at the default threshold, and strangers taken for each other."""
    figures: dict[str, float | int | None] = {
        "face_pair_accuracy": None, "face_pairs_n": 0, "face_true_match": None, "face_false_match": None,
        "face_strangers_n": 0, "watchlist_right": None, "watchlist_n": 0,
    }  # fmt: skip
    if eval_dir is None:
        return figures
    vectors = _vectors(eval_dir / "faces")
    for held in (False, True):
        figures |= _pairs(eval_dir / "faces", vectors, held=held)
    figures |= _strangers(eval_dir / "age") | _watchlist(eval_dir / "faces")
    return figures | _costs(eval_dir / "age")


def _vector(image: Image, face: Any) -> Vector:
    embedder = models().embedder
    return np.asarray(embedder.vectors([embedder.chip(image, face.points)])[0])


def _vectors(folder: Path) -> dict[str, Vector]:
    return {str(item["file"]): _vector(image, face) for item, image, face in portraits(folder) if face is not None}


def _pairs(folder: Path, vectors: dict[str, Vector], *, held: bool) -> dict[str, float | int | None]:
    """A pair without a face in one of its pictures is told wrong where it is of one person."""
    listed = json.loads((folder / "pairs.json").read_text(encoding="utf-8"))
    pairs = [p for p in listed if held_out(p["a"]) == held_out(p["b"]) == held and (folder / p["a"]).exists()]
    alike = [_similarity(vectors.get(p["a"]), vectors.get(p["b"])) >= REVIEW for p in pairs]
    right = sum(said == p["same"] for said, p in zip(alike, pairs, strict=True))
    same = [said for said, p in zip(alike, pairs, strict=True) if p["same"]]
    print(f"{'held out' if held else 'develop':<9} pairs told right {told(right, len(pairs))}; "
          f"one person {told(sum(same), len(same))}")  # fmt: skip
    if not pairs:
        return {}
    return {
        "face_pair_accuracy": round(right / len(pairs), 4), "face_pairs_n": len(pairs),
        "face_true_match": round(sum(same) / len(same), 4) if same else None,
    }  # fmt: skip


def _similarity(one: Vector | None, other: Vector | None) -> float:
    return -1.0 if one is None or other is None else float(one @ other)


def _strangers(folder: Path) -> dict[str, float | int | None]:
    halves: dict[bool, list[Vector]] = {False: [], True: []}
    for item, image, face in portraits(folder):
        if face is not None:
            halves[held_out(str(item["file"]))].append(_vector(image, face))
    for name, half in (("develop", halves[False]), ("held out", halves[True])):
        rows = np.array(half)
        similar = (rows @ rows.T)[np.triu_indices(len(rows), 1)]
        taken, sure = int((similar >= REVIEW).sum()), int((similar >= SURE).sum())
        print(
            f"{name:<9} strangers taken for each other {told(taken, len(similar))}; surely {told(sure, len(similar))}"
        )
    return {"face_false_match": round(taken / len(similar), 6), "face_strangers_n": len(similar)}


def _watchlist(folder: Path) -> dict[str, float | int | None]:
    """Each face of the probes is told right where the best match is one of those that are in it, or there is none."""
    enrolled: dict[str, list[Vector]] = {}
    probes = []
    for item, image, face in portraits(folder):
        role, people = item.get("role"), item.get("identities")
        if role == "enrol" and face is not None and isinstance(people, list):
            enrolled.setdefault(people[0], []).append(_vector(image, face))
        if role == "probe":
            probes.append((people, image))
    right = n = 0
    for people, image in probes:
        faces = models().locator.locate(image)
        seen = {_best(enrolled, _vector(image, face)) for face in faces}
        right += (seen - {None}) == set(people if isinstance(people, list) else ())
        n += 1
    print(f"watch-list of {len(enrolled)} people: probes told right {told(right, n)}")
    return {"watchlist_right": right, "watchlist_n": n}


def _best(enrolled: dict[str, list[Vector]], vector: Vector) -> str | None:
    near = {name: max(float(row @ vector) for row in rows) for name, rows in enrolled.items()}
    name = max(near, key=near.__getitem__)
    return name if near[name] >= REVIEW else None


def _costs(folder: Path) -> dict[str, float | int | None]:
    """Core-milliseconds of a 720p frame with so many faces of some 90 px: found, cut out, told apart, their ages."""
    tiles = [cv2.resize(image, (240, 240), interpolation=cv2.INTER_AREA)
             for item, image, _ in itertools.islice(portraits(folder), 5)]  # fmt: skip
    figures: dict[str, float | int | None] = {}
    for count in (0, 1, 5):
        frame = np.full((_HEIGHT_PX, _WIDTH_PX, 3), 90, np.uint8)
        for place, tile in enumerate(tiles[:count]):
            frame[200:440, 250 * place : 250 * place + 240] = tile
        took_ms = min(_look_ms(frame) for _ in range(5))
        print(f"{count} faces: {took_ms:.0f} core-ms")
        figures[f"faces_{count}_core_ms"] = round(took_ms, 1)
    return figures


def _look_ms(frame: Image) -> float:
    run, started_s = models(), time.process_time()
    faces = run.locator.locate(frame)
    run.embedder.vectors([run.embedder.chip(frame, face.points) for face in faces])
    run.ages.distributions([run.ages.chip(frame, face.points) for face in faces])
    return 1000 * (time.process_time() - started_s)
