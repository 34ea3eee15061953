"""How much a stream may bring at once, so that none takes the memory of all: a picture's pixels, a packet's bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from streammon.errors import SourceTooLarge
from streammon.ingest.config import IngestConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """The most that a stream may bring at once: pixels of a picture, and bytes of a packet of any kind."""

    picture_px: int
    packet_bytes: int

    @classmethod
    def of(cls, config: IngestConfig) -> Self:
        """What is configured."""
        return cls(picture_px=config.max_picture_px, packet_bytes=config.max_packet_bytes)

    def check_picture(self, width: int, height: int) -> None:
        """Raises SourceTooLarge for a picture of more pixels, and of none: that is a size which a decoder refused."""
        if not 0 < width * height <= self.picture_px:
            raise SourceTooLarge(
                f"the picture has more than the {self.picture_px} pixels that it may have; publish a smaller one, or"
                " raise `ingest.max_picture_px`"
            )

    def check_packet(self, size: int) -> None:
        """Raises SourceTooLarge for a packet of more bytes."""
        if size > self.packet_bytes:
            raise SourceTooLarge(
                f"a packet is larger than the {self.packet_bytes >> 10} KiB that it may be; publish at a lower bit"
                " rate, or raise `ingest.max_packet_bytes`"
            )


USUAL_BOUNDS = Bounds.of(IngestConfig())
"""What holds where nothing is configured."""
