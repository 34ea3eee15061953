"""What an operator may set about delivery."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from streammon.config import FilePath, Section


class KafkaConfig(Section):
    """The brokers that events are published to."""

    bootstrap: str | None = Field(
        default=None,
        pattern=r"^[^\s,:]+:\d{1,5}(,[^\s,:]+:\d{1,5})*$",
        description="host:port, or several joined by commas; null publishes nothing to Kafka",
    )
    client_id: str = Field(default="streammon", min_length=1, max_length=100)


class EvidenceConfig(Section):
    """Where pictures go."""

    folder: FilePath = Path("evidence")
    quality: int = Field(default=85, ge=1, le=100, description="JPEG's")
    public_url: str | None = Field(default=None, description="the prefix under which others reach the files")
