"""The topics there are. `streammon topics create` makes them; pure data."""

from __future__ import annotations

TOPICS = {
    "streammon.violations": False,
    "streammon.streams": False,
    "streammon.evidence": False,
    "streammon.incidents": True,
    "streammon.rooms": True,
    "streammon.reviews": False,
    "streammon.feedback": False,
    "streammon.audit": False,
    "streammon.records": False,
    "streammon.dlq": False,
}
"""A topic → whether it is compacted: of each key the last message is kept for ever."""
EVENT_TOPICS = ("streammon.violations", "streammon.streams")
"""What `streammon events tail` shows."""
