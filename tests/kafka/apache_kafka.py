"""Apache Kafka, one node in KRaft mode, as a child process on loopback. tests/install-servers fetches it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sample_streams.child import ServerProcess, free_port
from streammon.bus.topics import create_topics
from streammon.errors import DeliveryError, StreammonError

ROOT = Path(__file__).resolve().parents[2]
JARS = ROOT / ".cache" / "apache-kafka"

_CLUSTER = "c3RyZWFtbW9uLXRlc3RzIQ"
"""Any 16 bytes in base64."""
# Two cores are shared with the tests: no compiler that takes longer than what it compiles runs.
_JAVA = ("-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn")
_START_S = 40.0


def missing_kafka() -> str | None:
    """What keeps Apache Kafka from running here, None where nothing does."""
    if shutil.which("java") is None:
        return "no Java (17 or newer): run tests/install-servers"
    return None if (JARS / "pom.xml").exists() else "its jars have not been fetched: run tests/install-servers"


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """Who may come in, by SASL PLAIN and by SCRAM-SHA-512, and the server's certificate with its key, in one PEM."""

    username: str
    password: str = field(repr=False)
    certificate: Path


class ApacheKafka(ServerProcess):
    """A running broker. `bootstrap` is plain; `secure` is SASL_SSL, for the `login`. Topics are not made by themselves.

    What it has acknowledged survives `kill()`: it is in the kernel's hands. Raises StreammonError where it does not
    answer within 40 s.
    """

    def __init__(self, login: Login) -> None:
        self.bootstrap, self.secure, self._controller = (f"127.0.0.1:{free_port()}" for _ in range(3))
        self._login = login
        super().__init__(self._formatted, ready=lambda: _answers(self.bootstrap), start_s=_START_S)

    def _formatted(self, folder: Path) -> Sequence[str]:
        """The command that runs it, in a folder that is made ready the first time."""
        settings = folder / "server.properties"
        if not settings.exists():
            lines = [f"{name}={value}" for name, value in self._settings(folder).items()]
            settings.write_text("\n".join(lines), encoding="utf-8")
            user = f"SCRAM-SHA-512=[name={self._login.username},password={self._login.password}]"
            _run("kafka.tools.StorageTool", "format", "-t", _CLUSTER, "-c", str(settings), "--add-scram", user)
        return _java("kafka.Kafka", str(settings))

    def _settings(self, folder: Path) -> dict[str, str]:
        """See https://kafka.apache.org/documentation/#brokerconfigs."""
        listeners = f"PLAINTEXT://{self.bootstrap},SASL_SSL://{self.secure}"
        modules = "org.apache.kafka.common.security"
        login = self._login
        return {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.voters": f"1@{self._controller}",
            "controller.listener.names": "CONTROLLER",
            "listeners": f"{listeners},CONTROLLER://{self._controller}",
            "advertised.listeners": listeners,
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL,CONTROLLER:PLAINTEXT",
            "log.dirs": str(folder / "log"),
            "auto.create.topics.enable": "false",
            "offsets.topic.replication.factor": "1",
            # One that was killed is let in again only when the session of its former life is over.
            "broker.session.timeout.ms": "3000",
            "broker.heartbeat.interval.ms": "500",
            "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-512",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(login.certificate),
            "listener.name.sasl_ssl.plain.sasl.jaas.config": (
                f'{modules}.plain.PlainLoginModule required user_{login.username}="{login.password}";'
            ),
            "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config": f"{modules}.scram.ScramLoginModule required;",
        }


def _answers(bootstrap: str) -> bool:
    try:
        create_topics(bootstrap, [])
    except DeliveryError:
        return False
    return True


def _java(*arguments: str) -> list[str]:
    return ["java", *_JAVA, "-cp", f"{JARS}/*", *arguments]


def _run(*arguments: str) -> None:
    done = subprocess.run(_java(*arguments), capture_output=True, text=True, timeout=_START_S, check=False)
    if done.returncode:
        raise StreammonError(f"{arguments[0]}: {(done.stdout + done.stderr)[-500:].strip()}")
