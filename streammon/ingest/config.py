"""What an operator may set about pulling streams."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, IPvAnyNetwork

from streammon.config import FilePath, Seconds, Section
from streammon.ingest.net.authorities import check_authorities


class IngestConfig(Section):
    """Time-outs, back-off and bounds of the ingest process."""

    open_timeout: Seconds = Field(default=10.0, gt=0, le=120, description="longest wait for a stream to open")
    stall_after: Seconds = Field(default=10.0, gt=0, le=120, description="no packet for this long ends a connection")
    backoff_first: Seconds = Field(default=0.5, gt=0, description="longest wait before the first reconnect")
    backoff_cap: Seconds = Field(default=30.0, gt=0, description="longest wait before any reconnect")
    longest_side_px: int = Field(default=1280, ge=160, le=3840, description="larger pictures are scaled down to this")
    max_height: int = Field(default=720, ge=144, le=4320, description="the HLS rendition to take: the best up to this")
    allow_networks: tuple[IPvAnyNetwork, ...] = Field(
        default=(), description="networks that streams may come from beside public addresses, such as 10.0.0.0/8"
    )
    ca_file: Annotated[FilePath, AfterValidator(check_authorities)] | None = Field(
        default=None, description="PEM authorities to trust beside the system's"
    )
    slots_per_room: int = Field(default=4, ge=1, le=32, description="samples a room may have waiting for the engine")
    max_rooms: int = Field(default=150, ge=1, le=1000, description="rooms in one ingest process")

    max_picture_px: int = Field(
        default=4096 * 2304, ge=160 * 90, description="a stream whose picture has more pixels is refused"
    )
    max_packet_bytes: int = Field(default=16 << 20, ge=1 << 16, description="longest compressed picture")
    max_hung: int = Field(
        default=3, ge=1, le=100, description="threads that do not come back before the process is replaced"
    )
    memory_bytes: int = Field(default=8 << 30, ge=1 << 28, description="what one ingest process may allocate")
    picture_after: Seconds = Field(
        default=10.0, gt=0, le=3600, description="a picture is told to be black, frozen or of one colour after this"
    )
    jitter: float = Field(
        default=0.0, ge=0.0, le=0.5, description="how far sampling instants vary at random, as a share of the interval"
    )
    quarantine: Seconds = Field(
        default=900.0, gt=0, description="how long a room whose stream crashed the process again is left alone"
    )

    @property
    def slot_bytes(self) -> int:
        """Room for one RGB picture of the largest shape, in bytes."""
        return self.longest_side_px * self.longest_side_px * 3
