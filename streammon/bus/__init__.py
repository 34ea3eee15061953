"""The only importer of kafka: a producer that waits for its acks, a consumer without a group, and the topics.

Nothing here starts a thread of its own; kafka-python's network threads live inside a `Producer` or `Consumer`.
"""

from __future__ import annotations

from streammon.bus.connection import Security
from streammon.bus.consumer import Consumer
from streammon.bus.message import Message, Published, Received
from streammon.bus.producer import Producer

__all__ = ["Consumer", "Message", "Producer", "Published", "Received", "Security"]
