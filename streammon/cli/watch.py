"""`streammon watch`: one room, until Ctrl-C."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any

import typer

from streammon.cli.options import bootstrap, parse_interval
from streammon.cli.terminal import (
    DEFAULT_MODELS,
    ModelsOption,
    log_level,
    notes,
    print_line,
    stop_on_signal,
    told,
)
from streammon.deliver.config import KafkaConfig
from streammon.entities import Room
from streammon.fleet.config import HttpConfig, Settings, load_settings, merged
from streammon.fleet.room_checks import check_header, check_room_id, check_url, split_command
from streammon.logs import log_to_stderr


def _http(configured: HttpConfig | None, text: str | None) -> HttpConfig | None:
    """The file's section with the host and port of the command line."""
    if text is None:
        return configured
    host, _, port = text.rpartition(":")
    if re.fullmatch(r"[0-9]{1,5}", port) is None or int(port) > 65535:
        raise typer.BadParameter(f"{text!r} should be HOST:PORT")
    section = configured if configured is not None else HttpConfig()
    return section.model_copy(update={"host": host or "127.0.0.1", "port": int(port)})


def watch(  # noqa: PLR0913, PLR0917 - the options of a command
    room: Annotated[str, typer.Option("--room", help="The room's id: what events and metrics call it.")],
    url: Annotated[
        str | None, typer.Argument(help="rtmp://, http:// or https:// stream, or a file, played as if live.")
    ] = None,
    url_command: Annotated[
        str | None, typer.Option("--url-command", help="A command that prints the URL; run before each connection.")
    ] = None,
    header: Annotated[
        list[str] | None, typer.Option("--header", help="A header for HTTP requests, 'Name: value'; may be repeated.")
    ] = None,
    interval: Annotated[
        str | None, typer.Option("--interval", help="Time between samples, such as 2s or 500ms.")
    ] = None,
    kafka: Annotated[
        str | None, typer.Option("--kafka", help="Publish to these brokers, HOST:PORT[,HOST:PORT].")
    ] = None,
    events: Annotated[Path | None, typer.Option("--events", help="Append events to this JSONL file.")] = None,
    policy: Annotated[Path | None, typer.Option("--policy", help="The policy to judge by.")] = None,
    config: Annotated[Path | None, typer.Option("--config", "-c", help="A streammon.yaml.")] = None,
    state: Annotated[Path | None, typer.Option("--state", help="Folder of the spool and the evidence.")] = None,
    http: Annotated[str | None, typer.Option("--http", help="Serve /metrics, /livez, /readyz on HOST:PORT.")] = None,
    allow_network: Annotated[
        list[str] | None, typer.Option("--allow-network", help="Streams may come from it too, such as 10.0.0.0/8.")
    ] = None,
    models: ModelsOption = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log every change of state.")] = False,
) -> None:
    """Watch one room and report what breaks the policy, until Ctrl-C."""
    from streammon.fleet.monitor import Monitor  # noqa: PLC0415 - loads every part; `check` and `models` need none

    target = _room(room, url, url_command, header or [])
    log_to_stderr(log_level(verbose))
    with told():
        given: dict[str, Any] = {
            "interval": None if interval is None else parse_interval(interval),
            "events": events,
            "policy": policy,
            "models": models,
            "state": state,
        }
        settings = _allowing(_watch_settings(config, room, kafka, given), allow_network or [])
        settings = merged(settings, {"http": _http(settings.http, http)})
        stop = stop_on_signal()
        monitor = Monitor(settings, print_line)
        try:
            notes.print("loading the models …", style="dim")
            monitor.warm_up()
            monitor.start([replace(target, interval_s=settings.interval)])
            notes.print(f"watching {room}; Ctrl-C ends", style="dim")
            monitor.wait(stop)
        finally:
            left = monitor.close()
    for kept in left:
        why = f" ({kept.reason})" if kept.reason else ""
        notes.print(
            f"{kept.count} events for {kept.sink} are kept in {settings.state}{why}; the next run delivers them"
        )
    if monitor.failed_rooms():
        raise typer.Exit(1)


def _room(room_id: str, url: str | None, url_command: str | None, headers: list[str]) -> Room:
    if (url is None) == (url_command is None):
        raise typer.BadParameter("give a URL, or --url-command in its place")
    with _blaming("--room"):
        check_room_id(room_id)
    with _blaming("the URL"):
        check_url(url if url is not None else "file")
    with _blaming("--url-command"):
        command = split_command(url_command) if url_command is not None else ()
    return Room(room_id=room_id, url=url or "", url_command=command, headers=dict(map(_header, headers)))


@contextmanager
def _blaming(what: str) -> Iterator[None]:
    """Turns a ValueError into what is wrong with an option."""
    try:
        yield
    except ValueError as error:
        raise typer.BadParameter(f"{what} {error}") from error


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon:
        raise typer.BadParameter(f"--header should be 'Name: value', not {name!r}")
    with _blaming("--header should be 'Name: value':"):
        check_header(name, value.lstrip(" \t"))
    return name, value.lstrip(" \t")


def _watch_settings(config: Path | None, room: str, kafka: str | None, given: dict[str, Any]) -> Settings:
    """The file's settings, then what the command line said, then what neither did."""
    settings = merged(load_settings(config) if config is not None else Settings(), given)
    folder = _folder_name(room)
    rest = {
        "models": settings.models if settings.models is not None else DEFAULT_MODELS,
        "state": settings.state if settings.state is not None else Path("streammon-state") / folder,
        "kafka": _kafka(settings.kafka, kafka),
    }
    return merged(settings, rest)


def _folder_name(room: str) -> str:
    """A plain name for a room's folder; a digest keeps two rooms apart that look alike without their odd characters."""
    plain = re.sub(r"[^A-Za-z0-9_-]", "_", room)[:60]
    return plain if plain == room else f"{plain}-{hashlib.sha256(room.encode()).hexdigest()[:10]}"


def _allowing(settings: Settings, networks: list[str]) -> Settings:
    try:
        more = tuple(ip_network(network) for network in networks)
    except ValueError as error:
        raise typer.BadParameter(f"--allow-network: {error}") from error
    ingest = settings.ingest.model_copy(update={"allow_networks": (*settings.ingest.allow_networks, *more)})
    return merged(settings, {"ingest": ingest})


def _kafka(configured: KafkaConfig, brokers: str | None) -> KafkaConfig:
    return configured if brokers is None else configured.model_copy(update={"bootstrap": bootstrap(brokers)})
