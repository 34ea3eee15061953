"""What an operator may set about delivery."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, ByteSize, Field, StringConstraints, model_validator

from streammon.config import FilePath, Seconds, Section
from streammon.deliver.secret import Secret


def _known_ports(bootstrap: str) -> str:
    for broker in bootstrap.split(","):
        if not 0 < int(broker.rpartition(":")[2]) < 65536:
            raise ValueError("should have ports from 1 to 65535")
    return bootstrap


Bootstrap = Annotated[
    str, StringConstraints(pattern=r"^[^\s,:]+:\d{1,5}(,[^\s,:]+:\d{1,5})*$"), AfterValidator(_known_ports)
]


class SaslConfig(Section):
    """Whom the brokers shall take us for."""

    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]
    username: str = Field(min_length=1)
    password: Secret


class TlsConfig(Section):
    """Certificates, as PEM files."""

    ca_file: FilePath | None = Field(default=None, description="who vouches for them; null: the system's authorities")
    cert_file: FilePath | None = Field(default=None, description="what we show in return")
    key_file: FilePath | None = None


class KafkaConfig(Section):
    """The brokers that events are published to."""

    bootstrap: Bootstrap | None = Field(
        default=None,
        description="host:port, or several joined by commas; null publishes nothing to Kafka",
    )
    client_id: str = Field(default="streammon", min_length=1, max_length=100)
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl: SaslConfig | None = None
    tls: TlsConfig = TlsConfig()
    compression: Literal["gzip", "none", "lz4", "zstd"] = Field(
        default="gzip", description="lz4 and zstd need the packages lz4 and zstandard"
    )
    structured: bool = Field(default=False, description="the whole CloudEvent in the value, nothing in headers")
    message_bytes: ByteSize = Field(
        default=ByteSize(1_000_000), ge=10_000, description="larger events go to streammon.dlq"
    )

    @model_validator(mode="after")
    def _fits_together(self) -> KafkaConfig:
        if self.security_protocol.startswith("SASL") != (self.sasl is not None):
            raise ValueError("`sasl` and a security_protocol of SASL_PLAINTEXT or SASL_SSL belong together")
        if not self.security_protocol.endswith("SSL") and self.tls != TlsConfig():
            raise ValueError("`tls` and a security_protocol of SSL or SASL_SSL belong together")
        return self


def _web_address(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("should begin with https:// or http:// and name a host")
    if parts.username is not None or parts.password is not None:
        raise ValueError("should hold no user and password; `secret` signs what is sent")
    return url


class WebhookConfig(Section):
    """A web address that events are posted to."""

    url: Annotated[str, AfterValidator(_web_address)] = Field(repr=False)
    secret: Secret | None = Field(default=None, description="what requests are signed with; null does not sign")
    batch: int = Field(default=1, ge=1, le=100, description="events in a request; with 1, each is a request of its own")
    timeout: Annotated[Seconds, Field(ge=1, le=60)] = 10.0
    ca_file: FilePath | None = Field(default=None, description="PEM; null: the system's authorities")


class SpoolConfig(Section):
    """The file in which events wait for their sinks."""

    max_bytes: ByteSize = Field(default=ByteSize(2 << 30), ge=1 << 20, description="of events; see docs/events.md")


class DeliverConfig(Section):
    """Delivery, but for Kafka and evidence, which have sections of their own."""

    spool: SpoolConfig = SpoolConfig()
    events_max_bytes: ByteSize | None = Field(
        default=None, ge=10_000, description="of the JSONL file, which is then begun anew; null never does"
    )
    events_keep: int | None = Field(default=None, ge=1, description="former JSONL files that are kept; null keeps all")
    webhook: WebhookConfig | None = None
    stdout: bool = Field(default=False, description="print events to stdout, one CloudEvent as JSON a line")
