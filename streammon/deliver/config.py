"""What an operator may set about delivery."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

from streammon.config import FilePath, Section


def _known_ports(bootstrap: str) -> str:
    for broker in bootstrap.split(","):
        if not 0 < int(broker.rpartition(":")[2]) < 65536:
            raise ValueError("should have ports from 1 to 65535")
    return bootstrap


Bootstrap = Annotated[
    str, StringConstraints(pattern=r"^[^\s,:]+:\d{1,5}(,[^\s,:]+:\d{1,5})*$"), AfterValidator(_known_ports)
]


class KafkaConfig(Section):
    """The brokers that events are published to."""

    bootstrap: Bootstrap | None = Field(
        default=None,
        description="host:port, or several joined by commas; null publishes nothing to Kafka",
    )
    client_id: str = Field(default="streammon", min_length=1, max_length=100)


class EvidenceConfig(Section):
    """Where pictures go."""

    folder: FilePath = Path("evidence")
    quality: int = Field(default=85, ge=1, le=100, description="JPEG's")
    public_url: str | None = Field(default=None, description="the prefix under which others reach the files")
