"""How much of what a room should have had examined was examined: told where it falls too low, and where it is back."""

from __future__ import annotations

_WINDOW_S = 30.0
# Of fewer samples no share can be told.
_ENOUGH = 5
_SPARSE_BELOW = 0.8
_FULL_FROM = 0.95


class Coverage:
    """One room's, over windows of 30 s. `sparse`: in the last one that had enough samples it was too low."""

    def __init__(self, now_s: float) -> None:
        self.sparse = False
        self._since_s = now_s
        self._examined = 0
        self._lost = 0

    def examined(self) -> None:
        """One more sample was shown to the detectors."""
        self._examined += 1

    def lost(self, samples: int) -> None:
        """So many more were thrown away unseen, because the engine or the way to it was full."""
        self._lost += samples

    def tick(self, now_s: float) -> float | None:
        """Time has passed. The share of the window that has ended, 0..1, where it changes what is told of the room."""
        if now_s - self._since_s < _WINDOW_S:
            return None
        samples, share = self._examined + self._lost, self._share()
        self._since_s, self._examined, self._lost = now_s, 0, 0
        if samples < _ENOUGH:
            return None
        sparse = share < (_FULL_FROM if self.sparse else _SPARSE_BELOW)
        if sparse is self.sparse:
            return None
        self.sparse = sparse
        return share

    def _share(self) -> float:
        return self._examined / max(1, self._examined + self._lost)
