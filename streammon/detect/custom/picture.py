"""Pictures into a model's input tensor, and boxes back from it. Pure; any thread."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from streammon.entities import Box, Image

Resize = Literal["letterbox", "stretch", "centre_crop"]
INTERPOLATIONS: Mapping[str, int] = {
    "linear": cv2.INTER_LINEAR,
    "area": cv2.INTER_AREA,
    "cubic": cv2.INTER_CUBIC,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where a frame lies in the input: a frame's x pixel is at `x * scale_x + left_px`, and y alike."""

    scale_x: float
    scale_y: float
    left_px: float
    top_px: float
    frame_width: int
    frame_height: int

    def box(self, corners: NDArray[np.float32]) -> Box | None:
        """The frame's part of a box (x1, y1, x2, y2 in pixels of the input); None where it lies outside."""
        x1, x2 = ((corners[0::2] - self.left_px) / (self.scale_x * self.frame_width)).clip(0.0, 1.0).tolist()
        y1, y2 = ((corners[1::2] - self.top_px) / (self.scale_y * self.frame_height)).clip(0.0, 1.0).tolist()
        return Box(x=x1, y=y1, w=x2 - x1, h=y2 - y1) if x2 > x1 and y2 > y1 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class InputPlan:
    """How the input tensor is made. `gain` and `offset` are per channel, in the model's order: `x * gain + offset`."""

    height: int
    width: int
    nchw: bool
    bgr: bool
    dtype: np.dtype[Any]
    resize: Resize
    interpolation: int
    pad: int
    gain: tuple[float, float, float]
    offset: tuple[float, float, float]

    def place(self, image: Image) -> tuple[Image, Placement]:
        """`image` as height x width x 3, uint8 RGB, and where it went."""
        if self.resize == "letterbox":
            return self._letterboxed(image)
        if self.resize == "centre_crop":
            return self._cropped(image)
        return self._resized(image, self.width, self.height), self._placement(image, self.width, self.height)

    def tensor(self, pictures: Sequence[Image]) -> NDArray[Any]:
        """N placed pictures as N x 3 x height x width, or N x height x width x 3."""
        stacked = np.stack(pictures)[..., ::-1] if self.bgr else np.stack(pictures)
        if self.dtype == np.uint8:
            return np.ascontiguousarray(stacked.transpose(0, 3, 1, 2) if self.nchw else stacked)
        count, height, width, _ = stacked.shape
        out = np.empty((count, 3, height, width) if self.nchw else (count, height, width, 3), np.float32)
        planes = out if self.nchw else out.transpose(0, 3, 1, 2)
        for channel in range(3):
            np.multiply(stacked[..., channel], np.float32(self.gain[channel]), out=planes[:, channel])
            planes[:, channel] += np.float32(self.offset[channel])
        return out.astype(self.dtype, copy=False)

    def _letterboxed(self, image: Image) -> tuple[Image, Placement]:
        height, width = image.shape[:2]
        scale = min(self.width / width, self.height / height)
        inner_width, inner_height = max(1, round(width * scale)), max(1, round(height * scale))
        left, top = (self.width - inner_width) // 2, (self.height - inner_height) // 2
        canvas = np.full((self.height, self.width, 3), self.pad, np.uint8)
        canvas[top : top + inner_height, left : left + inner_width] = self._resized(image, inner_width, inner_height)
        return canvas, self._placement(image, inner_width, inner_height, left, top)

    def _cropped(self, image: Image) -> tuple[Image, Placement]:
        """Cut first, then resized: a very long picture would become enormous the other way round."""
        height, width = image.shape[:2]
        scale = max(self.width / width, self.height / height)
        cut_width, cut_height = max(1, round(self.width / scale)), max(1, round(self.height / scale))
        left, top = (width - cut_width) // 2, (height - cut_height) // 2
        cut = image[top : top + cut_height, left : left + cut_width]
        scale_x, scale_y = self.width / cut_width, self.height / cut_height
        placement = Placement(
            scale_x=scale_x,
            scale_y=scale_y,
            left_px=-left * scale_x,
            top_px=-top * scale_y,
            frame_width=width,
            frame_height=height,
        )
        return self._resized(cut, self.width, self.height), placement

    def _resized(self, image: Image, width: int, height: int) -> Image:
        return cv2.resize(image, (width, height), interpolation=self.interpolation).astype(np.uint8, copy=False)

    @staticmethod
    def _placement(image: Image, width: int, height: int, left: int = 0, top: int = 0) -> Placement:
        frame_height, frame_width = image.shape[:2]
        return Placement(
            scale_x=width / frame_width,
            scale_y=height / frame_height,
            left_px=left,
            top_px=top,
            frame_width=frame_width,
            frame_height=frame_height,
        )
