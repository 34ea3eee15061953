"""The monitor's configuration file: composed of the parts' own sections, read whole, every fault at once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ByteSize, Field, ValidationInfo, model_validator

from streammon.config import FilePath, Seconds, Section, load_yaml
from streammon.deliver.config import DeliverConfig, KafkaConfig
from streammon.deliver.evidence_config import EvidenceConfig
from streammon.deliver.secret import Secret
from streammon.detect.config import DetectConfig
from streammon.detect.packs import known_pack, load_packs
from streammon.detect.registry import check_detectors, detector_names, no_such_detector
from streammon.errors import ConfigError, Problem
from streammon.fleet.pace_config import PaceConfig
from streammon.ingest.config import IngestConfig
from streammon.judge.config import PoliciesConfig
from streammon.judge.policy_load import load_policy


def _valid_policy(path: Path, info: ValidationInfo) -> Path:
    """Reads the policy that a file names, so that its faults are told in the same go."""
    if info.context is not None:
        try:
            load_policy(path)
        except ConfigError as error:
            info.context["others"] += error.problems
    return path


def _known_detector(name: str, info: ValidationInfo) -> str:
    """With the rest of the file's faults, where `detect`, which may bring detectors, has none itself."""
    detect = info.data.get("detect")
    if detect is not None and name not in (known := detector_names(detect)):
        raise ValueError(no_such_detector(known))
    return name


def _distinct(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(names)) < len(names):
        raise ValueError("names a detector twice, so each of its hits would count twice")
    return names


PackName = Annotated[str, AfterValidator(known_pack)]
PolicyPath = Annotated[FilePath, AfterValidator(_valid_policy)]
DetectorNames = Annotated[
    tuple[Annotated[str, AfterValidator(_known_detector)], ...], Field(min_length=1), AfterValidator(_distinct)
]
Interval = Annotated[Seconds, Field(ge=0.1, le=600)]


class HttpConfig(Section):
    """Where /metrics, /livez, /readyz, feedback and updates of models are served."""

    host: str = "127.0.0.1"
    port: int = Field(default=9464, ge=0, le=65535, description="0 takes a free one")
    token: Secret | None = Field(
        default=None,
        description="who gives feedback or updates models must show it; null takes either only on a loopback `host`",
    )


class SupervisorConfig(Section):
    """How `streammon run` looks after its engine."""

    max_restarts: int = Field(default=5, ge=0, le=1000, description="of a dead or hung engine; one more ends the run")
    restarts_within: Annotated[Seconds, Field(ge=1, le=86400)] = Field(
        default=600.0, description="the time in which they are counted"
    )
    start_within: Annotated[Seconds, Field(ge=1, le=3600)] = Field(
        default=300.0, description="from an engine's start to its first sign of life"
    )
    hung_after: Annotated[Seconds, Field(ge=1, le=600)] = Field(
        default=30.0, description="no sign of life for so long gets the engine killed"
    )
    stop_within: Annotated[Seconds, Field(ge=1, le=600)] = Field(
        default=30.0, description="for ending what is open and delivering it; then the engine is killed"
    )


class RecordsConfig(Section):
    """Where what the detectors saw is recorded, for audits, for tuning, and for `streammon policy test`."""

    file: FilePath | None = Field(default=None, description="a JSON line per frame; null writes no file")
    topic: str | None = Field(
        default=None,
        pattern="^[A-Za-z0-9._-]{1,249}$",
        description="the same lines to this Kafka topic, keyed by the room; null publishes none",
    )
    max_bytes: ByteSize = Field(default=ByteSize(1 << 30), ge=10_000, description="of the file, which is begun anew")
    keep: int = Field(default=3, ge=1, le=1000, description="former files that are kept, as FILE.1, FILE.2, …")


class Settings(Section):
    """`streammon.yaml`."""

    version: Literal[1] = 1
    interval: Interval = 2.0
    policy: PolicyPath | None = Field(default=None, description="one policy, the default; see `policies` for more")
    pack: PackName = Field(default="default", description="a ready choice of detectors, in place of what is left out")
    detect: DetectConfig = DetectConfig()  # before `detectors`, which it may bring
    detectors: DetectorNames = load_packs()["default"].detectors
    models: FilePath | None = Field(default=None, description="the folder that `streammon models pull` filled")
    state: FilePath | None = Field(default=None, description="the folder of the spool and, unless set, of evidence")
    worker: str = Field(default="", max_length=100, description="the monitor's name in events; the host's if empty")
    policies: PoliciesConfig = PoliciesConfig()
    kafka: KafkaConfig = KafkaConfig()
    deliver: DeliverConfig = DeliverConfig()
    events: FilePath | None = None
    evidence: EvidenceConfig = EvidenceConfig()
    records: RecordsConfig = RecordsConfig()
    http: HttpConfig | None = None
    rooms: FilePath | None = Field(default=None, description="the list that `streammon run` watches")
    supervisor: SupervisorConfig = SupervisorConfig()
    ingest: IngestConfig = IngestConfig()
    pace: PaceConfig = PaceConfig()

    @model_validator(mode="before")
    @classmethod
    def _pack_says_the_rest(cls, given: object) -> object:
        """What a pack says of detectors, where the file is silent. A pack that there is not is told with the rest."""
        name = given.get("pack", "default") if isinstance(given, dict) else None
        pack = load_packs().get(name) if isinstance(name, str) else None
        if pack is None or not isinstance(given, dict):
            return given
        detect = given.get("detect", {})
        merged = {"detect": pack.under(detect)} if isinstance(detect, dict) else {}
        return {"detectors": pack.detectors, **given, **merged}

    @model_validator(mode="after")
    def _detectors_are_known(self) -> Settings:
        check_detectors(self.detectors, self.detect)
        return self


def load_settings(path: Path) -> Settings:
    """The settings in a file. Raises ConfigError with every problem of it and of the policy that it names."""
    of_policy: list[Problem] = []
    settings = load_yaml(path, Settings, of_policy)
    if of_policy:
        raise ConfigError(of_policy)
    return settings


def merged(settings: Settings, given: Mapping[str, Any]) -> Settings:
    """The settings with what the command line said (what it left out is None) in place of the file's."""
    said = {key: value for key, value in given.items() if value is not None}
    return settings.model_copy(update=said)
