"""Which class's frame comes in next: each has a share of the work while both wait. In the dispatcher's thread."""

from __future__ import annotations

from collections.abc import Mapping

from streammon.detect.scheduling.request import FrameSource, Request, RequestClass
from streammon.fairness import FairOrder

# What a frame is charged at least, in seconds of work: one that nobody looks at takes some time, too.
_LEAST_WORK_S = 0.001


class Admission:
    """Takes requests from the sources by fair queueing. A class that has nothing waiting leaves its share to others."""

    def __init__(self, sources: Mapping[RequestClass, FrameSource], review_share: float) -> None:
        """`review_share`, 0..1, is the reviews' share of the work while live frames wait as well."""
        self._sources = dict(sources)
        self._shares = {RequestClass.LIVE: 1 - review_share, RequestClass.REVIEW: review_share}
        self._order = FairOrder[RequestClass]()
        self._served = RequestClass.LIVE

    def take(self, lead_s: float) -> Request | None:
        """The next one; None where nothing waits. To be followed by `charge`. `lead_s` is the sources' to use."""
        for request_class, source in self._sources.items():
            if source.waiting():
                self._order.wait(request_class)
            else:
                self._order.leave(request_class)
        while (turn := self._order.pop()) is not None:
            request = self._sources[turn].take(lead_s)
            if request is not None:
                self._served = turn
                return request
        return None

    def charge(self, work_s: float) -> None:
        """What was taken last means so many seconds of work."""
        self._order.charge(self._served, max(work_s, _LEAST_WORK_S) / self._shares[self._served])

    def waiting(self) -> bool:
        """Whether any source has something."""
        return any(source.waiting() for source in self._sources.values())

    def arrived(self) -> int:
        """How many have come since the start, in all sources."""
        return sum(source.arrived() for source in self._sources.values())
