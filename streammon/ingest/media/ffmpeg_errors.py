"""What FFmpeg and PyAV raise, as our errors, by type and phase. No message holds a part of a URL, as theirs do."""

from __future__ import annotations

import av.error

from streammon.errors import SourceEnded, SourceError, SourceNotMedia, SourceStalled, SourceUnreachable

_Kinds = tuple[type[Exception], ...]
# First match first.
_OPEN_ERRORS: tuple[tuple[_Kinds, type[SourceError], str], ...] = (
    (
        (av.error.ExitError,),
        SourceUnreachable,
        "nothing came within {waited_s:g} s; check the address and that it is live",
    ),
    (
        (PermissionError,),
        SourceUnreachable,
        "the server refused the stream; check its name, its key and that it is being published",
    ),
    (
        (av.error.InvalidDataError, av.error.EOFError, IndexError, ValueError),
        SourceNotMedia,
        "the answer is no stream that FFmpeg knows; check that the URL is the stream, not a page",
    ),
    (
        (OSError,),
        SourceUnreachable,
        "cannot connect: {why}; check host, port and network",
    ),
)


def open_error(error: Exception, waited_s: float) -> SourceError:
    """Why a container could not be opened; `waited_s` is how long it was tried, in seconds."""
    for types, kind, message in _OPEN_ERRORS:
        if isinstance(error, types):
            return kind(message.format(why=_why(error), waited_s=round(waited_s, 1)))
    return SourceNotMedia(f"cannot be opened: {_why(error)}; check that the URL is a stream")


def read_error(error: Exception) -> SourceError:
    """Why no more packets could be read."""
    if isinstance(error, av.error.ExitError):
        return SourceStalled("connected, but nothing came any more; it is tried again")
    return SourceEnded(f"the stream broke off: {_why(error)}; it is tried again")


def _why(error: Exception) -> str:
    """What the system calls it; PyAV's own text ends in the URL."""
    return getattr(error, "strerror", None) or type(error).__name__
