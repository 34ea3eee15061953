"""A container opened from bytes as they come: no more of a live stream is read than it takes to know its video."""

from __future__ import annotations

from io import BytesIO

import pytest

from streammon.ingest.media.demux import decodable, open_container
from tests.media import clip

PICTURES_S = 6.0


class Trickle:
    """A file that is handed out in pieces of a tenth of a second, as a live stream comes."""

    def __init__(self, content: bytes) -> None:
        self._file = BytesIO(content)
        self._piece = round(len(content) / PICTURES_S / 10)

    def read(self, size: int) -> bytes:
        return self._file.read(min(size, self._piece))

    @property
    def read_s(self) -> float:
        """How much has been read, in seconds of the stream."""
        return self._file.tell() / self._piece / 10


@pytest.mark.parametrize("container", ["mpegts", "flv"])
def test_a_live_stream_is_opened_by_its_first_pictures(container: str) -> None:
    trickle = Trickle(clip(PICTURES_S, PICTURES_S, container=container))
    with open_container(trickle, options={}) as opened:
        assert decodable(opened.streams.video[0])
        assert trickle.read_s < 0.9
