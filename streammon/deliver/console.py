"""The sinks that print one line per event: readable for people, or as JSON."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from streammon.deliver.envelope import AUDIT_SCHEMA, EVIDENCE_SCHEMA, VIOLATION_SCHEMA, Envelope
from streammon.events import AuditEvent, EvidenceEvent, Phase, StreamChange, StreamEvent, ViolationEvent


class ConsoleSink:
    """Prints through `write`, which takes one line without its end."""

    name = "console"

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write

    def send(self, envelopes: Sequence[Envelope]) -> int:
        """Prints them all; see `Sink.send`."""
        for envelope in envelopes:
            self._write(describe(envelope.dataschema, envelope.value))
        return len(envelopes)

    def close(self) -> None:
        """Nothing is held."""


class StdoutSink:
    """Prints each event as a CloudEvent in JSON through `write`, which takes one line without its end."""

    name = "stdout"

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write

    def send(self, envelopes: Sequence[Envelope]) -> int:
        """Prints them all; see `Sink.send`."""
        for envelope in envelopes:
            self._write(envelope.structured().decode())
        return len(envelopes)

    def close(self) -> None:
        """Nothing is held."""


def describe(dataschema: str, value: bytes) -> str:
    """One line for people of an event's JSON."""
    if dataschema == VIOLATION_SCHEMA:
        return _violation(msgspec.json.decode(value, type=ViolationEvent))
    if dataschema == EVIDENCE_SCHEMA:
        return _evidence(msgspec.json.decode(value, type=EvidenceEvent))
    if dataschema == AUDIT_SCHEMA:
        return _audit(msgspec.json.decode(value, type=AuditEvent))
    return _stream(msgspec.json.decode(value, type=StreamEvent))


def _violation(event: ViolationEvent) -> str:
    moment = event.first if event.phase is Phase.START else event.last
    parts = [
        f"{event.processed_at:%H:%M:%S}",
        f"{event.phase.value.upper():<6}",
        f"{event.verdict.value:<6}",
        f"{event.label:<24}",
        event.room_id,
        f"at {_clock(moment.pts_s)}",
        f"confidence {event.peak_confidence:.2f}",
    ]
    if event.phase is Phase.END:
        parts.append(f"{event.end_reason} after {event.sampling.hits} hits in {event.sampling.inferences} looks")
    if event.subject is not None:
        parts.append(f"[{event.subject}]")
    parts += [f"«{hit.text}»" for hit in event.hits[:1] if hit.text]
    return printable("  ".join(parts))


def _stream(event: StreamEvent) -> str:
    if event.change is not StreamChange.STATE:
        picture = "-" if event.picture is None else event.picture.value
        return printable(f"{event.at:%H:%M:%S}  PICTURE {picture:<11}  {event.room_id}  {event.width}x{event.height}")
    line = f"{event.at:%H:%M:%S}  ROOM    {event.state.value:<11}  {event.room_id}  session {event.session}"
    if event.reason:
        line += f"  ({event.reason})"
    if event.detail:
        line += f"  {event.detail}"
    return printable(line)


def _evidence(event: EvidenceEvent) -> str:
    line = f"{event.at:%H:%M:%S}  PICTURE {event.status.value:<11}  {event.room_id}  {event.kind.value}"
    if event.reason:
        line += f"  ({event.reason})"
    return printable(line)


def _audit(event: AuditEvent) -> str:
    line = f"{event.processed_at:%H:%M:%S}  SAID    {event.action.value:<11}  {event.room_id}"
    line += f"  {event.outcome.value}, by {event.by}"
    about = ", ".join(sorted({incident.label for incident in event.incidents})) or event.label
    return printable(line if about is None else f"{line}  ({about})")


def _clock(seconds: float) -> str:
    """Minutes and seconds, rounded before they are parted: 59.96 s are 1:00.0, not 0:60.0."""
    minutes, tenths = divmod(round(seconds * 10), 600)
    return f"{minutes}:{tenths / 10:04.1f}"


def printable(text: str) -> str:
    """The text without control characters: what a stranger wrote must not steer the terminal."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)
