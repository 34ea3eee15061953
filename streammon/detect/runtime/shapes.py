"""Which input shapes a model has run in: a provider that compiles per shape should meet no new one while rooms wait."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence

log = logging.getLogger(__name__)

_MOST = 256

Shapes = tuple[tuple[int, ...], ...]


class ShapeBook:
    """The shapes of one model's inputs. Used by every thread."""

    def __init__(self, model: str, provider: str) -> None:
        self._model = model
        self._provider = provider
        self._lock = threading.Lock()
        self._seen: set[Shapes] = set()
        self._warm = False

    def warmed_up(self) -> None:
        """From here on a new shape is told, once."""
        self._warm = True

    def note(self, shapes: Sequence[tuple[int, ...]]) -> None:
        """The model is about to run in these."""
        key = tuple(shapes)
        with self._lock:
            if key in self._seen or len(self._seen) >= _MOST:
                return
            self._seen.add(key)
        if self._warm:
            told = ", ".join("x".join(map(str, shape)) for shape in key)
            log.warning("model %s meets the new shape %s: %s compiles it anew", self._model, told, self._provider)
