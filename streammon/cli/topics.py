"""`streammon topics`: the topics that events need."""

from __future__ import annotations

from typing import Annotated

import typer

from streammon.cli.brokers import ConfigOption, KafkaOption, chosen_brokers
from streammon.cli.terminal import print_line, told
from streammon.deliver.topics import TOPICS

topics_app = typer.Typer(help="The Kafka topics that events go to.", no_args_is_help=True)


@topics_app.command()
def create(
    config: ConfigOption = None,
    kafka: KafkaOption = None,
    partitions: Annotated[
        int | None, typer.Option("--partitions", min=1, help="Of each topic.  [default: the broker's]")
    ] = None,
    replication: Annotated[
        int | None, typer.Option("--replication", min=1, help="Copies of each.  [default: the broker's]")
    ] = None,
) -> None:
    """Create the topics that are missing; say what is there with other settings, and leave it so."""
    from streammon.bus.topics import Topic, create_topics  # noqa: PLC0415 - loads kafka; other commands need none
    from streammon.deliver.kafka import kafka_security  # noqa: PLC0415

    with told():
        bootstrap, configured = chosen_brokers(config, kafka)
        wanted = [
            Topic(name=name, partitions=partitions, replication=replication, compacted=compacted)
            for name, compacted in TOPICS.items()
        ]
        security = kafka_security(configured)
        for report in create_topics(bootstrap, wanted, client_id=configured.client_id, security=security):
            state = "created" if report.created else "there already"
            print_line(": ".join([f"{report.name:<22}  {state}", *report.differences]))
