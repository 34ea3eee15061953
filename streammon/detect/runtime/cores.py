"""How many CPU cores this process may use: its affinity and its cgroup's quota, not what the machine has."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path


def usable_cores(cgroup_root: Path = Path("/sys/fs/cgroup"), membership: Path = Path("/proc/self/cgroup")) -> int:
    """Cores to start threads for, at least 1; half a core of quota counts as one.

    Reads cgroup v2 (`cpu.max`) and v1 (`cpu.cfs_quota_us`), of the process's own group and of all above it.
    """
    quotas = [quota for folder in _groups(cgroup_root, membership) if (quota := _quota(folder)) is not None]
    return max(1, math.ceil(min([float(len(os.sched_getaffinity(0))), *quotas])))


def _groups(root: Path, membership: Path) -> Iterator[Path]:
    """The folders of the groups the process is in. In a container its own path may not exist below the mount."""
    try:
        lines = membership.read_text(encoding="ascii").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        mount = root / "cpu" if controllers else root
        own = mount / path.lstrip("/")
        yield own
        yield from (parent for parent in own.parents if parent.is_relative_to(mount))


def _quota(folder: Path) -> float | None:
    """Cores' worth of time that the group may take, None where it has no limit."""
    try:
        if (folder / "cpu.max").exists():
            quota, period = (folder / "cpu.max").read_text(encoding="ascii").split()
        else:
            quota = (folder / "cpu.cfs_quota_us").read_text(encoding="ascii").strip()
            period = (folder / "cpu.cfs_period_us").read_text(encoding="ascii").strip()
    except OSError:
        return None
    return None if quota in {"max", "-1"} else int(quota) / int(period)
