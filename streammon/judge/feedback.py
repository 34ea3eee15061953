"""What people, or their tools, say of incidents: the messages of the topic `streammon.feedback`, and their schema."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from streammon.errors import StreammonError
from streammon.events import FeedbackAction, Utc
from streammon.taxonomy import load_taxonomy

_LONGEST_MUTE_S = 30 * 86400.0

Name = Annotated[str, Meta(min_length=1, max_length=200)]
Seconds = Annotated[float, Meta(gt=0, le=_LONGEST_MUTE_S)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Feedback:
    """Something said of a room's incidents: of one by its id, or of all of a label, a group or a category.

    Of a label, `subject` may name one. `seconds` is how long to mute, counted from `at`. `by` is who says it.
    """

    action: FeedbackAction
    room_id: Name
    by: Name
    at: Utc
    incident_id: Annotated[str, Meta(max_length=100)] | None = None
    label: Annotated[str | None, Meta(description="A label, group or category of the taxonomy.")] = None
    subject: Annotated[str, Meta(max_length=4096)] | None = None
    seconds: Seconds | None = None
    note: Annotated[str, Meta(max_length=2000)] | None = None

    def __post_init__(self) -> None:
        """Raises ValueError where the fields do not go together."""
        if (self.incident_id is None) == (self.label is None):
            raise ValueError("should name either `incident_id` or `label`")
        if self.label is not None and not load_taxonomy().expand(self.label):
            raise ValueError(f"`label` {self.label!r} is no label, group or category of the taxonomy")
        if self.subject is not None and self.label is None:
            raise ValueError("`subject` goes with `label`; an incident has its own")
        if (self.action is FeedbackAction.MUTE) != (self.seconds is not None):
            raise ValueError("`seconds` should be there for `mute`, and for nothing else")

    def means(self, incident_id: str, label: str, subject: str | None) -> bool:
        """Whether it is about this incident."""
        if self.label is None:
            return incident_id == self.incident_id
        return label in load_taxonomy().expand(self.label) and self.subject in {None, subject}


def decode_feedback(message: bytes) -> Feedback:
    """A message's JSON. Raises StreammonError that says what is wrong with it, and where."""
    try:
        return msgspec.json.decode(message, type=Feedback)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise StreammonError(f"feedback is not valid: {error}") from error


def encode_feedback(feedback: Feedback) -> bytes:
    """Its JSON."""
    return msgspec.json.encode(feedback)


def feedback_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a message. What it cannot say, `decode_feedback` checks."""
    return msgspec.json.schema(Feedback)
