"""What viewers write beside the picture: the messages of the topic `streammon.texts`, and their schema."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from streammon.entities import ChatLine, Detection, Source
from streammon.errors import StreammonError
from streammon.events import Utc
from streammon.judge.interpret import interpret
from streammon.judge.policy import Policy

CHAT: Final = "chat"
"""What is named as the detector of what was written."""
MAX_TEXTS = 1000
"""The most lines of one request."""

Name = Annotated[str, Meta(min_length=1, max_length=200)]
Line = Annotated[str, Meta(min_length=1, max_length=2000)]


@dataclass(frozen=True, slots=True, kw_only=True)
class SentText:
    """A line that somebody wrote in a room. `author` is the platform's own id, opaque to us; `time` is when."""

    room_id: Name
    text: Line
    author: Name | None = None
    time: Utc | None = None

    def detection(self) -> Detection:
        """The line as what was read: it says what it says, so the score is 1."""
        return Detection(
            detector=CHAT,
            model=CHAT,
            source=Source.TEXT,
            score=1.0,
            text=self.text,
            chat=ChatLine(author=self.author, sent_at=self.time),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    text: Line
    author: Name | None = None
    time: Utc | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Body:
    texts: Annotated[tuple[_Line, ...], Meta(max_length=MAX_TEXTS)]


def decode_text(message: bytes) -> SentText:
    """A message's JSON. Raises StreammonError that says what is wrong with it, and where."""
    try:
        return _MESSAGE.decode(message)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise StreammonError(f"text is not valid: {error}") from error


def decode_texts(room_id: str, body: bytes) -> list[SentText]:
    """A request's JSON, `{"texts": [{"text", "author", "time"}]}`. Raises StreammonError as `decode_text` does."""
    try:
        lines = _BODY.decode(body).texts
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise StreammonError(f"texts are not valid: {error}") from error
    return [SentText(room_id=room_id, text=line.text, author=line.author, time=line.time) for line in lines]


def text_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a message."""
    return msgspec.json.schema(SentText)


def raises(text: SentText, policy: Policy) -> Sequence[Detection]:
    """The line as what was read, where it can come to anything under the policy; else nothing."""
    read = text.detection()
    return (read,) if interpret((read,), policy) else ()


_MESSAGE = msgspec.json.Decoder(SentText)
_BODY = msgspec.json.Decoder(_Body)
