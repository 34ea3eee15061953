"""Which brokers a command means: those of a configuration file, or those named on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from streammon.cli.options import bootstrap
from streammon.deliver.config import KafkaConfig
from streammon.fleet.config import load_settings

ConfigOption = Annotated[Path | None, typer.Option("--config", "-c", help="A streammon.yaml, for its `kafka`.")]
KafkaOption = Annotated[str | None, typer.Option("--kafka", help="These brokers, HOST:PORT[,HOST:PORT].")]


def chosen_brokers(config: Path | None, kafka: str | None) -> tuple[str, KafkaConfig]:
    """The bootstrap address, and how it is reached. `kafka` goes before the file's. Raises ConfigError."""
    configured = load_settings(config).kafka if config is not None else KafkaConfig()
    address = bootstrap(kafka) if kafka is not None else configured.bootstrap
    if address is None:
        raise typer.BadParameter("give --kafka HOST:PORT, or a --config that names kafka.bootstrap")
    return address, configured
