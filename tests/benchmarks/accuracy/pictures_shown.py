"""Pictures of the material as a room would show them: each the first frame of a room of its own."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
from PIL import Image as Pictures

from streammon.entities import Frame, Image, Moment
from streammon.ingest.config import IngestConfig


def shown(path: Path) -> Frame:
    """The picture in a file, scaled down as ingest would scale it."""
    with Pictures.open(path) as opened:
        image = np.ascontiguousarray(opened.convert("RGB"))
    return frame_of(image, room_id=path.name)


def frame_of(image: Image, *, room_id: str) -> Frame:
    """A frame that shows `image`."""
    height, width = image.shape[:2]
    shrunk = IngestConfig().longest_side_px / max(height, width)
    if shrunk < 1:
        size = max(1, round(width * shrunk)), max(1, round(height * shrunk))
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    image.flags.writeable = False
    return Frame(
        room_id=room_id, moment=Moment(session=1, pts_s=0.0, received_at=datetime(2026, 1, 1, tzinfo=UTC)), seq=1,
        key_frame=True, width=width, height=height, image=image, received_s=0.0, deadline_s=1.0,
    )  # fmt: skip
