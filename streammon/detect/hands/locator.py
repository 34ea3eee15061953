"""Finds hands in a picture, by the detector of dynamic_gestures. Stateless but for the session: any thread."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from streammon.detect.runtime.session import Session
from streammon.entities import Box, Image
from streammon.errors import ModelError

_SIZE_PX = (320, 240)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hand:
    """Where a hand is, in pixels of the picture, within it: [x1, x2) and [y1, y2). `score` is 0..1."""

    x1: int
    y1: int
    x2: int
    y2: int
    score: float

    @property
    def side_px(self) -> int:
        """The longer side."""
        return max(self.x2 - self.x1, self.y2 - self.y1)

    def box(self, image: Image) -> Box:
        """In fractions of `image`."""
        height, width = image.shape[:2]
        return Box(x=self.x1 / width, y=self.y1 / height, w=(self.x2 - self.x1) / width, h=(self.y2 - self.y1) / height)

    def square(self, image: Image) -> Image:
        """The picture's part about the hand, as square as the picture's edges let it be: what the classifier knows."""
        height, width = image.shape[:2]
        left = (self.x1 + self.x2 - self.side_px) // 2
        top = (self.y1 + self.y2 - self.side_px) // 2
        return image[max(0, top) : min(height, top + self.side_px), max(0, left) : min(width, left + self.side_px)]


class HandLocator:
    """Its graph ends in suppression, and answers for one picture at a time."""

    def __init__(self, session: Session, min_score: float) -> None:
        self._session = session
        self._min_score = min_score

    def find(self, image: Image) -> list[Hand]:
        """The hands in H x W x 3 uint8 RGB, the largest first. Raises ModelError where the model does not run."""
        blob = pixels([image], _SIZE_PX)
        corners, _, scores = self._session.run({self._session.input_name: blob})
        if not (np.isfinite(corners).all() and np.isfinite(scores).all()):
            raise ModelError(f"{self._session.name}: its boxes are not numbers; try another provider")
        height, width = image.shape[:2]
        inside = corners.clip(0.0, 1.0) * np.array([width, height, width, height], np.float32)
        rows = zip(inside.round().astype(int).tolist(), scores.tolist(), strict=True)
        found = [Hand(x1=x1, y1=y1, x2=x2, y2=y2, score=score) for (x1, y1, x2, y2), score in rows]
        hands = [hand for hand in found if hand.x2 > hand.x1 and hand.y2 > hand.y1 and hand.score >= self._min_score]
        return sorted(hands, key=lambda hand: -hand.side_px)


def pixels(images: list[Image], size_px: tuple[int, int]) -> NDArray[Any]:
    """N pictures as N x 3 x height x width float32, `(x - 127) / 128`. `size_px` is (width, height)."""
    resized = np.stack([cv2.resize(image, size_px, interpolation=cv2.INTER_LINEAR) for image in images])
    return ((resized.astype(np.float32) - 127) / 128).transpose(0, 3, 1, 2)
