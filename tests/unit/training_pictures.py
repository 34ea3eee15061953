"""Pictures to train heads on: coarse noise with more red in it, or less."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from streammon.entities import Image


def motif(seed: int, *, red: int) -> Image:
    """Coarse noise, of which no two look alike, with more or less red in it."""
    coarse = np.random.default_rng(seed).integers(0, 200, (12, 12, 3), np.uint8)
    coarse[..., 0] = coarse[..., 0] // 4 + red
    return np.asarray(cv2.resize(coarse, (120, 90), interpolation=cv2.INTER_CUBIC))


def save(folder: Path, name: str, image: Image) -> Path:
    folder.mkdir(exist_ok=True)
    cv2.imwrite(str(folder / name), image[..., ::-1])
    return folder / name


def folders(tmp_path: Path, count: int = 24, red: int = 120) -> tuple[Path, Path]:
    for number in range(count):
        save(tmp_path / "yes", f"{number}.png", motif(number, red=red))
        save(tmp_path / "no", f"{number}.png", motif(1000 + number, red=20))
    return tmp_path / "yes", tmp_path / "no"
