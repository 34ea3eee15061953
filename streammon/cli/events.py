"""`streammon events`: what is published, as people read it."""

from __future__ import annotations

import time
from typing import Annotated

import msgspec
import typer

from streammon.cli.brokers import ConfigOption, KafkaOption, chosen_brokers
from streammon.cli.terminal import notes, print_line, stop_on_signal, told
from streammon.config import parse_duration
from streammon.deliver.console import describe
from streammon.deliver.envelope import Envelope
from streammon.deliver.topics import EVENT_TOPICS

events_app = typer.Typer(help="The events that were published.", no_args_is_help=True)

_LOOK_S = 3600.0
"""How long one look at the topics lasts; then comes the next."""


class _Label(msgspec.Struct):
    """The only field of an event that is looked at to choose it."""

    label: str | None = None


@events_app.command()
def tail(
    config: ConfigOption = None,
    kafka: KafkaOption = None,
    room: Annotated[str | None, typer.Option("--room", help="Only of this room.")] = None,
    label: Annotated[
        str | None, typer.Option("--label", help="Only violations of this label or category, such as advertising.")
    ] = None,
    since: Annotated[
        str, typer.Option("--since", help="Begin with those that were published so long ago, such as 10m.")
    ] = "0s",
    as_json: Annotated[bool, typer.Option("--json", help="Print each as a CloudEvent in JSON.")] = False,
) -> None:
    """Print events as they are published, until Ctrl-C."""
    from streammon.bus import Consumer  # noqa: PLC0415 - loads kafka; other commands need none
    from streammon.deliver.kafka import kafka_security  # noqa: PLC0415

    since_s = time.time() - _duration(since)
    stop = stop_on_signal()
    with told():
        bootstrap, configured = chosen_brokers(config, kafka)
        security = kafka_security(configured)
        consumer = Consumer(bootstrap, EVENT_TOPICS, client_id=configured.client_id, security=security, since_s=since_s)
        notes.print(f"events of {bootstrap}; Ctrl-C ends", style="dim")
        try:
            while not stop.is_set():
                for message in consumer.messages(_LOOK_S, stop=stop):
                    envelope = _envelope(message.topic, message.key, message.headers, message.value)
                    if envelope is not None and _is_wanted(envelope, room, label):
                        print_line(envelope.structured().decode() if as_json else _readable(envelope))
        finally:
            consumer.close()


def _envelope(topic: str, key: bytes, headers: tuple[tuple[str, bytes], ...], value: bytes | None) -> Envelope | None:
    """The event in a message, None where it is none of ours, which is noted."""
    try:
        return Envelope.received(topic, key, headers, value or b"")
    except ValueError as error:
        notes.print(f"a message in {topic} {error}", style="dim")
        return None


def _is_wanted(envelope: Envelope, room: str | None, label: str | None) -> bool:
    return (room is None or envelope.key == room) and (label is None or _has_label(envelope, label))


def _has_label(envelope: Envelope, wanted: str) -> bool:
    try:
        label = msgspec.json.decode(envelope.value, type=_Label).label
    except msgspec.DecodeError:
        return False
    return label is not None and (label == wanted or label.startswith(f"{wanted}."))


def _readable(envelope: Envelope) -> str:
    try:
        return describe(envelope.dataschema, envelope.value)
    except msgspec.DecodeError:  # of a newer streammon
        return envelope.structured().decode()


def _duration(text: str) -> float:
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise typer.BadParameter(f"--since {text!r} {error}") from error
    assert isinstance(seconds, float)  # noqa: S101 - text gives seconds or raises
    return seconds
