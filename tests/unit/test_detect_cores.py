"""Usable cores: affinity and every kind of cgroup quota, read from folders laid out like the kernel's."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from streammon.detect.runtime.cores import usable_cores

CORES = len(os.sched_getaffinity(0))


def cgroup(root: Path, membership: str, files: dict[str, str]) -> int:
    (root / "membership").write_text(membership)
    for name, text in files.items():
        path = root / "fs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return usable_cores(root / "fs", root / "membership")


@pytest.fixture
def eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))


@pytest.mark.usefixtures("eight_cores")
@pytest.mark.parametrize(
    ("membership", "files", "cores"),
    [
        ("0::/\n", {"cpu.max": "300000 100000\n"}, 3),
        ("0::/\n", {"cpu.max": "max 100000\n"}, 8),
        ("0::/\n", {"cpu.max": "50000 100000\n"}, 1),
        ("0::/\n", {"cpu.max": "250000 100000\n"}, 3),
        ("0::/\n", {"cpu.max": "9900000 100000\n"}, 8),
        ("0::/a/b\n", {"a/b/cpu.max": "max 100000\n", "a/cpu.max": "200000 100000\n"}, 2),
        ("0::/not/in/here\n", {"cpu.max": "400000 100000\n"}, 4),
        ("4:memory:/\n3:cpu,cpuacct:/\n", {"cpu/cpu.cfs_quota_us": "200000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 2),
        ("3:cpu:/x\n", {"cpu/x/cpu.cfs_quota_us": "-1\n", "cpu/x/cpu.cfs_period_us": "100000\n"}, 8),
        ("3:cpuset:/\n", {"cpu.max": "100000 100000\n"}, 8),
        ("", {}, 8),
    ],
)
def test_the_smallest_quota_counts(tmp_path: Path, membership: str, files: dict[str, str], cores: int) -> None:
    assert cgroup(tmp_path, membership, files) == cores


def test_without_cgroups_the_affinity_counts(tmp_path: Path) -> None:
    assert usable_cores(tmp_path, tmp_path / "none") == CORES


def test_this_process_has_at_least_one() -> None:
    assert 1 <= usable_cores() <= CORES
