"""Where in a live playlist we are: which segment is next, how it follows the one before, and what was missed. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from streammon.ingest.hls.playlist_entities import MediaPlaylist, Segment
from streammon.ingest.sampling.timeline import bears_out

# Reloads in a row that show an older window, before it is believed that the publisher began to count anew.
_OLDER_RELOADS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """How a segment follows the one that was taken before it.

    `begins_run`: timestamps, codec or init section may differ. `skipped_s`: what lies between the two, in seconds; 0
    where they meet, where that is not known, and for the first. `behind_s`: from its start to the playlist's end.
    """

    begins_run: bool
    skipped_s: float
    behind_s: float


class Following:
    """Follows a playlist that was loaded at `loaded_s` on the monotonic clock, from its newest segment on.

    `from_start`: from its oldest. `ended`: the publisher says that no segment will be added.
    """

    def __init__(self, playlist: MediaPlaylist, loaded_s: float, *, from_start: bool) -> None:
        self._pending = deque(playlist.segments if from_start else playlist.segments[-1:])
        self._pending_s = _length_s(self._pending)
        self._breaks = _breaks(playlist)
        self._next_sequence = _end(playlist)
        self._ends_at = playlist.segments[-1].ends_at if playlist.segments else None
        self._target_duration_s = playlist.target_duration_s
        self._changed = True
        self._older = 0
        self._broken = True
        self._skipped_s = 0.0
        self._taken: Segment | None = None
        self.loaded_s = loaded_s
        self.ended = playlist.ended

    def next(self) -> Segment | None:
        """The next segment, to be taken or skipped; None where the playlist must be loaded again."""
        if not self._pending:
            return None
        segment = self._pending.popleft()
        self._pending_s -= segment.duration_s
        return segment

    def skip(self, segment: Segment) -> None:
        """This segment is not to be had."""
        self._broken = True
        self._skipped_s += segment.duration_s

    def take(self, segment: Segment) -> Step:
        """This segment comes next in what is watched."""
        step = Step(
            begins_run=self._broken or segment.sequence in self._breaks,
            skipped_s=self._skipped_before(segment),
            behind_s=segment.duration_s + max(self._pending_s, 0.0),
        )
        self._broken, self._skipped_s, self._taken = False, 0.0, segment
        return step

    def reload_after_s(self) -> float:
        """How long to wait before loading it again.

        Half of what RFC 8216 (6.3.4) asks for, a target duration after a playlist that had news and half of one after
        others, since the wait begins when the last segment has been watched and not when the playlist was asked for.
        """
        wait_s = self._target_duration_s if self._changed else self._target_duration_s / 2
        return min(max(wait_s / 2, 0.2), 5.0)

    def reload_failed(self) -> None:
        """It could not be loaded again this time."""
        self._changed = False

    def update(self, playlist: MediaPlaylist, loaded_s: float) -> None:
        """Takes a reloaded playlist in, once there is no next segment."""
        self._target_duration_s = playlist.target_duration_s
        if _end(playlist) < self._next_sequence:
            self._take_older(playlist, loaded_s)
            return
        self._older = 0
        self.ended = playlist.ended
        since_s, self.loaded_s = loaded_s - self.loaded_s, loaded_s
        fresh = [segment for segment in playlist.segments if segment.sequence >= self._next_sequence]
        self._changed = bool(fresh)
        if not fresh:
            return
        breaks = _breaks(playlist)
        if fresh[0].sequence > self._next_sequence:
            most_s = self._skipped_s + since_s + 2 * self._target_duration_s
            self._skipped_s += self._slid_out_s(playlist, fresh[0].sequence)
            self._ends_at = None
            fresh = self._jump(fresh)
            # A stream does not grow faster than time passes: a count that claims more is no count.
            self._skipped_s = min(self._skipped_s, most_s)
        elif fresh[0] is playlist.segments[0] and self._is_other_stretch(fresh[0]):
            breaks.add(fresh[0].sequence)
        self._breaks = breaks
        self._await(self._dated(fresh), _end(playlist))

    def _await(self, fresh: Sequence[Segment], end: int) -> None:
        self._pending, self._pending_s, self._next_sequence = deque(fresh), _length_s(fresh), end
        self._ends_at = fresh[-1].ends_at

    def _jump(self, fresh: list[Segment]) -> list[Segment]:
        """Segments were missed: what is live now counts, not the backlog."""
        for segment in fresh[:-1]:
            self.skip(segment)
        self._broken = True
        return fresh[-1:]

    def _slid_out_s(self, playlist: MediaPlaylist, first_sequence: int) -> float:
        """How long the segments were that no playlist showed us: as long as those of this one on average."""
        mean_s = _length_s(playlist.segments) / len(playlist.segments)
        return (first_sequence - self._next_sequence) * mean_s

    def _is_other_stretch(self, segment: Segment) -> bool:
        """Whether a discontinuity whose tag has slid out stood before it."""
        return self._taken is not None and segment.discontinuity_sequence != self._taken.discontinuity_sequence

    def _dated(self, fresh: Iterable[Segment]) -> list[Segment]:
        """Dates what has no date by the last playlist's end: the one date of a stretch may have slid out."""
        dated, clock = [], self._ends_at
        for segment in fresh:
            if segment.program_at is None and segment.sequence not in self._breaks:
                segment = replace(segment, program_at=clock)  # noqa: PLW2901
            dated.append(segment)
            clock = segment.ends_at
        return dated

    def _skipped_before(self, segment: Segment) -> float:
        """By the publisher's clock where it bears the segments' lengths out, since those are rounded or estimated."""
        said_s = self._skipped_s
        before = self._taken.ends_at if self._taken is not None else None
        if self._taken is None or not said_s:
            return 0.0
        clock_s = _seconds_between(before, segment.program_at)
        return clock_s if clock_s is not None and bears_out(clock_s, said_s) else said_s

    def _take_older(self, playlist: MediaPlaylist, loaded_s: float) -> None:
        """From a CDN node that is behind, or a publisher that counts anew."""
        self._changed = False
        self._older += 1
        if self._older < _OLDER_RELOADS:
            return
        self.ended = playlist.ended
        if not playlist.segments:
            return
        self._older, self._changed, self._broken = 0, True, True
        self._breaks, self.loaded_s = set(), loaded_s
        self._await(playlist.segments[-1:], _end(playlist))


def _seconds_between(before: datetime | None, after: datetime | None) -> float | None:
    return (after - before).total_seconds() if before is not None and after is not None else None


def _length_s(segments: Iterable[Segment]) -> float:
    return sum(segment.duration_s for segment in segments)


def _end(playlist: MediaPlaylist) -> int:
    """The number of the segment that comes after its last."""
    return playlist.segments[-1].sequence + 1 if playlist.segments else playlist.media_sequence


def _breaks(playlist: MediaPlaylist) -> set[int]:
    """The numbers of the segments that a discontinuity stands before.

    Told by their neighbours: many servers leave EXT-X-DISCONTINUITY-SEQUENCE out, and then count from the playlist's
    beginning, so that the same segment has another count as soon as an earlier discontinuity has slid out.
    """
    counts = [playlist.discontinuity_sequence, *(segment.discontinuity_sequence for segment in playlist.segments)]
    return {
        segment.sequence
        for before, segment in zip(counts, playlist.segments, strict=False)
        if segment.discontinuity_sequence != before
    }
