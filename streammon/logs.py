"""How every process of ours writes its log: to stderr, a line per change of state, with whom it is about at its end."""

from __future__ import annotations

import logging

_FIELDS = ("room_id", "reason")


class _Formatter(logging.Formatter):
    """Appends the fields that a record carries: a room's id is never a part of the message."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's own name
        """One line; a traceback comes after it."""
        told = [(name, getattr(record, name, None)) for name in _FIELDS]
        fields = "".join(f" {name}={str(value)!r}" for name, value in told if value is not None)
        return super().formatMessage(record) + fields


def log_to_stderr(level: int | str) -> None:
    """From now on, all that is of this level or above. Does nothing where logging was set up already."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s"))
    logging.basicConfig(level=level, handlers=[handler])
