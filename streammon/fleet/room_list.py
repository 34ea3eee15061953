"""Reads the rooms file: the rooms to watch, every fault of the file at once, by line, key and cure."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, ValidationInfo, field_validator, model_validator

from streammon.config import Section, load_yaml
from streammon.deliver.secret import Secret
from streammon.entities import Room
from streammon.errors import ConfigError, Problem
from streammon.fleet.config import Interval
from streammon.fleet.room_checks import (
    check_header,
    check_room_id,
    check_url,
    is_file,
    plain_passthrough,
    split_command,
)

# What stands under other keys may be a secret, or an address that holds one.
_SHOWN = re.compile(r"version|rooms\[\d+\]\.(id|tenant|policy|interval|priority|every(\..*)?)")
_ADDRESS = re.compile(r"[\w+.-]+://[^\s,]+")


class RoomSource(Protocol):
    """Where the rooms to watch come from."""

    def rooms(self) -> Sequence[Room]:
        """All of them now. Raises ConfigError with all that is wrong with them."""


def _section(value: object) -> object:
    """What is no section is refused here, where it is not shown: it may be an address."""
    if not isinstance(value, dict):
        raise ValueError("should be a section, keys with values")  # noqa: TRY004 - pydantic takes only ValueError
    return value


def _not_empty(value: object) -> object:
    if value == []:
        raise ValueError("should have at least one room")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("should be text")  # noqa: TRY004
    return value


def _located(url: str, info: ValidationInfo) -> str:
    base: Path = (info.context or {}).get("base", Path())
    return str(base / url) if is_file(check_url(url)) else url


def _headers(headers: dict[str, Any]) -> dict[str, str]:
    for name, value in headers.items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise ValueError(f"{name} should have text as its value: put it in quotes")  # noqa: TRY004
        check_header(name, value)
    return {str(name): str(value) for name, value in headers.items()}


def _command(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return split_command(value)
    if not isinstance(value, list) or not value or not all(isinstance(word, str) for word in value):
        raise ValueError("should be a command: one text, or a list of its words")
    return tuple(map(str, value))


class RoomEntry(Section):
    """One room of the file. Of `url`, `url_from` and `url_command` there is exactly one."""

    id: Annotated[str, AfterValidator(check_room_id)]
    url: Annotated[str, BeforeValidator(_text), AfterValidator(_located)] | None = Field(default=None, repr=False)
    url_from: Secret | None = Field(default=None, description="the URL, where it holds a secret: {env: …} or {file: …}")
    url_command: Annotated[tuple[str, ...], BeforeValidator(_command)] = ()
    tenant: Annotated[str, Field(min_length=1, max_length=200)] = "default"
    policy: str = ""
    interval: Interval | None = Field(default=None, description="null: the interval of streammon.yaml")
    priority: int = Field(default=0, ge=-100, le=100)
    headers: Annotated[dict[Any, Any], AfterValidator(_headers)] = Field(default={}, repr=False)
    headers_from: dict[str, Secret] = Field(default={}, description="header: where its value is")
    passthrough: Annotated[dict[str, Any], AfterValidator(plain_passthrough)] = Field(default={})
    every: dict[str, Interval] = Field(default={}, description="detector: the least time between its looks")

    @model_validator(mode="after")
    def _one_url(self) -> RoomEntry:
        if sum((self.url is not None, self.url_from is not None, bool(self.url_command))) != 1:
            raise ValueError("should have one of `url`, `url_from` and `url_command`")
        return self


class RoomFile:
    """The static list: a RoomSource. `policies` and `detectors` are the names that a room may use."""

    def __init__(
        self, path: Path, interval_s: float, *, policies: Collection[str] | None, detectors: Collection[str]
    ) -> None:
        """`interval_s` is for rooms that name none; `policies` None: they cannot be told now, and are not checked."""
        self._path = path
        self._interval_s = interval_s
        self._policies = policies
        self._detectors = detectors

    def rooms(self) -> list[Room]:
        """See RoomSource."""
        try:
            read = load_yaml(self._path, _file_model(self._policies, self._detectors), [])
        except ConfigError as error:
            raise ConfigError([_without_secrets(problem) for problem in error.problems]) from None
        entries: tuple[RoomEntry, ...] = read.rooms  # type: ignore[attr-defined]
        problems: list[Problem] = []
        listed = [self._listed(index, entry, problems) for index, entry in enumerate(entries)]
        if problems:
            raise ConfigError(problems)
        return listed

    def _listed(self, index: int, entry: RoomEntry, problems: list[Problem]) -> Room:
        """The room, its secrets read; what cannot be read is added to `problems`."""
        key = f"rooms[{index}]"
        read = {name: _secret(place, f"{key}.headers_from.{name}", problems)
                for name, place in entry.headers_from.items()}  # fmt: skip
        url = entry.url or ""
        if entry.url_from is not None:
            url = _secret(entry.url_from, f"{key}.url_from", problems)
        try:
            if entry.url_from is not None and url:
                check_url(url)
            for name, value in read.items():
                check_header(name, value)
        except ValueError as error:
            problems.append(Problem(file=str(self._path), line=1, key=key, reason=f"a secret {error}"))
        return Room(
            room_id=entry.id,
            url=url,
            tenant=entry.tenant,
            policy=entry.policy,
            url_command=entry.url_command,
            interval_s=entry.interval if entry.interval is not None else self._interval_s,
            priority=entry.priority,
            every_s=entry.every,
            headers={**entry.headers, **read},
            passthrough=entry.passthrough,
        )


def _secret(place: Secret, key: str, problems: list[Problem]) -> str:
    try:
        return place.read(key)
    except ConfigError as error:
        problems += error.problems
        return ""


def _file_model(policies: Collection[str] | None, detectors: Collection[str]) -> type[BaseModel]:
    """The file's shape. Its validators know what is known here, so that one reading tells every fault."""
    seen: set[str] = set()

    class Entry(RoomEntry):
        @field_validator("id")
        @classmethod
        def _new(cls, room_id: str) -> str:
            if room_id in seen:
                raise ValueError("stands in the list already")
            seen.add(room_id)
            return room_id

        @field_validator("policy")
        @classmethod
        def _known_policy(cls, name: str) -> str:
            if name and policies is not None and name not in policies:
                raise ValueError(f"no policy has this id; the known ones are {', '.join(sorted(policies))}")
            return name

        @field_validator("every")
        @classmethod
        def _known_detectors(cls, every: dict[str, float]) -> dict[str, float]:
            if unknown := [name for name in every if name not in detectors]:
                raise ValueError(f"no detector is called {', '.join(unknown)}; those of `detectors` are "
                                 f"{', '.join(detectors)}")  # fmt: skip
            return every

    class File(Section):
        version: Literal[1]
        # Not by its length after validation: then a list of faulty rooms would be called empty as well.
        rooms: Annotated[tuple[Annotated[Entry, BeforeValidator(_section)], ...], BeforeValidator(_not_empty)]

    return File


def _without_secrets(problem: Problem) -> Problem:
    value = problem.value if _SHOWN.fullmatch(problem.key) else None
    key, reason = (_ADDRESS.sub("…", text) for text in (problem.key, problem.reason))
    return replace(problem, key=key, reason=reason, value=value)
