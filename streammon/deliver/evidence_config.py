"""What an operator may set about evidence."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated
from urllib.parse import unquote

from pydantic import AfterValidator, BeforeValidator, ByteSize, Field, ValidationInfo, model_validator

from streammon.config import FilePath, Section, parse_duration
from streammon.deliver.evidence_path import DEFAULT_TEMPLATE, PathTemplate

_DAYS = re.compile(r"(\d+(?:\.\d+)?)\s*d")
_BUCKET = re.compile(r"(?:s3|gs|az)://[A-Za-z0-9][A-Za-z0-9._-]*(?:/[A-Za-z0-9][A-Za-z0-9._=-]*)*/?")
_ENDPOINT = r"^https?://[^\s?#@]+$"


def _place(text: str, info: ValidationInfo) -> str:
    """A bucket's URL as it is, a folder as a path: of `file:///…` the path, of a relative one that beside the file."""
    if _BUCKET.fullmatch(text):
        return text.rstrip("/")
    path = unquote(text.removeprefix("file://")) if text.startswith("file://") else text
    if path != text and not path.startswith("/"):
        raise ValueError("should have three slashes: file:///var/lib/evidence")
    if "://" in path or not path:
        raise ValueError(
            "should be a folder, file:///folder, s3://bucket/prefix, gs://bucket/prefix or az://container/prefix"
        )
    base: Path = (info.context or {}).get("base", Path())
    return str(base / path)


def _template(text: str) -> str:
    PathTemplate(text)
    return text


def _long(value: object) -> object:
    match = _DAYS.fullmatch(value.strip()) if isinstance(value, str) else None
    return float(match[1]) * 86400 if match else parse_duration(value)


Age = Annotated[float, BeforeValidator(_long), Field(ge=60)]


class EvidenceConfig(Section):
    """Which pictures are taken, where they go, and for how long."""

    store: Annotated[str, AfterValidator(_place)] | None = Field(
        default=None, description="a folder or a bucket's URL; null is `evidence` in the state folder"
    )
    endpoint: Annotated[str, Field(pattern=_ENDPOINT)] | None = Field(
        default=None,
        description="where a server that speaks S3 or Azure's protocol is reached; null is the cloud's own",
    )
    path: Annotated[str, AfterValidator(_template)] = DEFAULT_TEMPLATE
    public_url: str | None = Field(default=None, description="the prefix under which others reach the files")
    quality: int = Field(default=85, ge=1, le=100, description="JPEG's")
    per_incident: int = Field(default=3, ge=0, le=100, description="snapshots of an incident; 0 takes none")
    rise: float = Field(
        default=0.1,
        ge=0.0,
        le=1.0,
        description="how much higher than at the last snapshot the peak must be for the next",
    )
    annotated: bool = Field(default=True, description="also keep a copy with what was seen drawn in")
    blurred: bool = Field(default=False, description="also keep a copy blurred past knowing, for reviewers")
    font: FilePath | None = Field(default=None, description="for annotated copies; null finds one, for CJK if it can")
    keep: Age | None = Field(default=30 * 86400.0, description="pictures older than this are deleted; null keeps all")
    max_bytes: ByteSize | None = Field(default=None, gt=0, description="of all pictures; the oldest are deleted beyond")
    spool_max_bytes: ByteSize = Field(
        default=ByteSize(2 << 30), gt=0, description="of pictures that wait for the store; the oldest are lost beyond"
    )

    @model_validator(mode="after")
    def _endpoint_is_used(self) -> EvidenceConfig:
        if self.endpoint is not None and not (self.store or "").startswith(("s3://", "az://")):
            raise ValueError("`endpoint` is for s3:// and az:// only")
        return self


def placed(config: EvidenceConfig, state: Path) -> EvidenceConfig:
    """The configuration with a store in any case: `evidence` in the state folder where it names none."""
    return config if config.store is not None else config.model_copy(update={"store": str(state / "evidence")})


def deletions_folder(state: Path) -> Path:
    """Where requests to delete wait, below the state folder."""
    return state / "evidence-deletions"
