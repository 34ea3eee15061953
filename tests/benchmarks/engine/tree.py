"""What a process and all that it started has used, read from /proc."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_USER_TIME, _SYSTEM_TIME = 11, 12
"""Places in /proc/PID/stat, counted from what follows the name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """CPU seconds since they began, and memory now: resident, and with what is shared counted once (PSS)."""

    cpu_s: float
    rss_bytes: int
    pss_bytes: int


def usage(roots: Iterable[int]) -> Usage:
    """Of these processes and their descendants that are alive."""
    processes = {pid for root in roots for pid in _family(root)}
    memory = [_memory(pid) for pid in processes]
    return Usage(
        cpu_s=sum(_cpu_s(pid) for pid in processes),
        rss_bytes=sum(one.get("Rss", 0) for one in memory),
        pss_bytes=sum(one.get("Pss", 0) for one in memory),
    )


def busy_s() -> float:
    """CPU seconds that the whole machine has worked since it was started, all cores together."""
    line = _read(Path("/proc/stat")).partition("\n")[0]
    user, nice, system, _idle, _waiting, interrupts, soft, *_ = map(int, line.split()[1:])
    return (user + nice + system + interrupts + soft) / _TICKS_PER_S


def _family(pid: int) -> Iterator[int]:
    yield pid
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in _read(task).split():
            yield from _family(int(child))


def _cpu_s(pid: int) -> float:
    fields = _read(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
    return (int(fields[_USER_TIME]) + int(fields[_SYSTEM_TIME])) / _TICKS_PER_S if fields else 0.0


def _memory(pid: int) -> dict[str, int]:
    """Bytes by field."""
    lines = (line.split() for line in _read(Path(f"/proc/{pid}/smaps_rollup")).splitlines()[1:])
    return {fields[0].rstrip(":"): int(fields[1]) * 1024 for fields in lines}


def _read(path: Path) -> str:
    """Empty where the process has gone."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""
