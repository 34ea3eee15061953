"""Model directories as the official paddleocr package wants them, laid out of the weights that are in the store.

Such a directory has the weights as `inference.onnx`, a hard link where the file system has them, and `inference.yml`:
what the package does before and behind the model, and for a reader of text the characters, which its ONNX file carries.
"""

from __future__ import annotations

import io
import os
import shutil
from pathlib import Path
from typing import Any

import onnx
from ruamel.yaml import YAML

from streammon.errors import ModelCorrupt, ModelMissing
from streammon.models.catalog import Model, Task
from streammon.models.manifest import sha256_of
from streammon.models.staging import put

WEIGHTS, SETTINGS = "inference.onnx", "inference.yml"
_FOLDER = "paddle"
# What PaddleX 3.7 writes itself for these models (`inference_meta.py`): PP-OCR's detection by DB, recognition by CTC.
_READ_IMAGE = {"DecodeImage": {"channel_first": False, "img_mode": "BGR"}}
_DETECTION: dict[str, Any] = {
    "PreProcess": {
        "transform_ops": [
            _READ_IMAGE,
            {"DetResizeForTest": None},
            {
                "NormalizeImage": {
                    "mean": [0.485, 0.456, 0.406],
                    "order": "hwc",
                    "scale": "1./255.",
                    "std": [0.229, 0.224, 0.225],
                }
            },
            {"ToCHWImage": None},
        ]
    },
    "PostProcess": {
        "name": "DBPostProcess",
        "thresh": 0.3,
        "box_thresh": 0.6,
        "max_candidates": 1000,
        "unclip_ratio": 1.5,
    },
}
_RECOGNITION: dict[str, Any] = {
    "PreProcess": {"transform_ops": [_READ_IMAGE, {"RecResizeImg": {"image_shape": [3, 48, 320]}}]},
    "PostProcess": {"name": "CTCLabelDecode"},
}


def directory_of(model: Model, weights: Path) -> Path:
    """Where the directory of a model belongs whose weights are these. The model has a `paddle` name."""
    return weights.parent / _FOLDER / str(model.paddle)


def lay_out(model: Model, weights: Path, folder: Path) -> None:
    """Make the directory's files in `folder`, an empty one of the store's own, and move them to their place.

    Raises ModelCorrupt where the weights lack what is needed, OSError.
    """
    made, place = folder / WEIGHTS, directory_of(model, weights)
    try:
        os.link(weights.resolve(), made)
    except OSError:
        shutil.copyfile(weights, made)
    (folder / SETTINGS).write_text(_settings(model, weights), encoding="utf-8")
    place.mkdir(parents=True, exist_ok=True)
    # A crash between the two leaves a pair that does not agree, which the next pull replaces.
    put(made, place / WEIGHTS)
    put(folder / SETTINGS, place / SETTINGS)


def directory_fault(model: Model, weights: Path) -> str | None:
    """Why the directory must not be used, or None. Both files are read. Raises what `lay_out` raises."""
    place = directory_of(model, weights)
    try:
        copied, settings = place / WEIGHTS, (place / SETTINGS).read_bytes()
        same = copied.samefile(weights) or sha256_of(copied) == sha256_of(weights)
    except FileNotFoundError as error:
        return f"{_FOLDER}/{place.name}/{Path(error.filename).name} is missing"
    if not same:
        return f"{_FOLDER}/{place.name}/{WEIGHTS} is of other weights"
    if settings != _settings(model, weights).encode():
        return f"{_FOLDER}/{place.name}/{SETTINGS} is not what it was made as"
    return None


def check_directory(model: Model, weights: Path) -> Path:
    """The directory, checked. Raises ModelMissing or ModelCorrupt with the cure."""
    place = directory_of(model, weights)
    cure = f"run `streammon models pull {model.name}`"
    if not place.is_dir():
        raise ModelMissing(f"{place} is not there: {cure}")
    try:
        fault = directory_fault(model, weights)
    except OSError as error:
        fault = f"cannot be read: {error.strerror}"
    if fault is not None:
        raise ModelCorrupt(f"{place} is not usable, {fault}: {cure}")
    return place


def _settings(model: Model, weights: Path) -> str:
    told = _DETECTION
    if model.task is Task.TEXT_RECOGNITION:
        told = {**_RECOGNITION, "PostProcess": {**_RECOGNITION["PostProcess"], "character_dict": _characters(weights)}}
    yaml = YAML(typ="safe", pure=True)
    yaml.allow_unicode, yaml.default_flow_style = True, False
    text = io.StringIO()
    yaml.dump({"Global": {"model_name": model.paddle}, **told}, text)
    return text.getvalue()


def _characters(weights: Path) -> list[str]:
    """The model's characters in the order of its outputs, of the ONNX file's metadata. Raises ModelCorrupt."""
    carried = onnx.load(weights, load_external_data=False).metadata_props
    characters: str = next((entry.value for entry in carried if entry.key == "character"), "")
    if not characters:
        raise ModelCorrupt(f"{weights} carries no list of characters")
    return characters.splitlines()
