"""Keeps the policies: which one a room is judged by, and what they say now that somebody has edited them.

`reload` is for one thread, any one; what it brings is swapped whole, so that others read without a lock.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from streammon.entities import Room
from streammon.errors import ConfigError, Problem, StreammonError
from streammon.judge.config import PoliciesConfig
from streammon.judge.policy import Policy
from streammon.judge.policy_load import load_policy

# A file that was written this lately may be half a file still: it is read the next time.
_SETTLED_S = 1.0

Stamp = tuple[tuple[str, int, int, int], ...]
"""What tells that files have changed: of each its path, size, inode and time of change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reloaded:
    """The ids of the policies that have changed, and all that is wrong with the files as they are now."""

    changed: tuple[str, ...]
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    policy: Policy
    stamp: Stamp


class PolicyBook:
    """The policies of a folder and of single files. A file that breaks, or goes, leaves the policy that it was."""

    def __init__(
        self, config: PoliciesConfig, fallback: Iterable[Path] = (), wall: Callable[[], float] = time.time
    ) -> None:
        """`fallback` are the files where the configuration names none; `wall` is the clock of files, in seconds.

        Raises ConfigError with all that is wrong with any file, and for an id that is there twice or nowhere.
        """
        self._config = config
        self._fallback = tuple(fallback)
        self._wall = wall
        self._read: dict[Path, _Read] = {}
        self._faults: dict[Path, list[Problem]] = {}
        self._policies: dict[str, Policy] = {}
        for path in self._files():
            self._try(path)
        if problems := self._adopt():
            raise ConfigError(problems)

    @property
    def ids(self) -> tuple[str, ...]:
        """Of all policies, in order."""
        return tuple(sorted(self._policies))

    @property
    def policies(self) -> tuple[Policy, ...]:
        """All of them, by id."""
        return tuple(policy for _, policy in sorted(self._policies.items()))

    def choose(self, room: Room) -> Policy:
        """The policy that a room is judged by. Raises StreammonError where it names one that is not known."""
        name = room.policy or self._config.tenants.get(room.tenant, self._config.default)
        policy = self._policies.get(name)
        if policy is None:
            raise StreammonError(f"no policy is called {name!r}; the known ones are {', '.join(self.ids)}")
        return policy

    def reload(self) -> Reloaded:
        """Reads anew what has changed. Cheap where nothing has: it looks at the files' times."""
        before = {name: policy.version for name, policy in self._policies.items()}
        for path in dict.fromkeys((*self._files(), *self._read)):
            known = self._read.get(path)
            files = (path,) if known is None else known.policy.files
            if (known is None or _stamp(files) != known.stamp) and self._settled(files):
                self._try(path)
        problems = self._adopt()
        changed = [name for name, policy in self._policies.items() if policy.version != before.get(name)]
        return Reloaded(changed=tuple(sorted(changed)), problems=tuple(problems))

    def _files(self) -> tuple[Path, ...]:
        folder = self._config.folder
        found = () if folder is None else sorted(folder.glob("*.yaml"))
        return (*found, *self._config.files) or self._fallback

    def _settled(self, files: Iterable[Path]) -> bool:
        """Whether no file was written just now. A time to come is a wrong clock's, and says nothing."""
        written = [path.stat().st_mtime for path in files if path.exists()]
        return not any(0 <= self._wall() - at < _SETTLED_S for at in written)

    def _try(self, path: Path) -> None:
        """Reads a file; where it is not valid, notes why and keeps what was read of it before."""
        try:
            policy = load_policy(path)
        except ConfigError as error:
            self._faults[path] = error.problems
            return
        self._faults.pop(path, None)
        # What was written while it was read has a stamp that is worth nothing: it is read again when it has settled.
        stamp = _stamp(policy.files) if self._settled(policy.files) else ()
        self._read[path] = _Read(policy=policy, stamp=stamp)

    def _adopt(self) -> list[Problem]:
        """Swaps in what was read. Returns all that is wrong."""
        policies: dict[str, Policy] = {}
        problems = [problem for faults in self._faults.values() for problem in faults]
        for path, read in self._read.items():
            other = policies.setdefault(read.policy.id, read.policy)
            if other is not read.policy:
                problems.append(_problem(path, f"stands in {other.files[0]} already", read.policy.id))
        for name, policy in self._policies.items():
            if name not in policies:
                policies[name] = policy
                problems.append(_problem(policy.files[0], "is called otherwise now; its rooms keep it as it was", name))
        self._policies = policies
        return [*problems, *self._unknown()]

    def _unknown(self) -> Iterator[Problem]:
        """The names in the configuration that no policy has."""
        named = {"default": self._config.default, **{f"tenants.{t}": p for t, p in self._config.tenants.items()}}
        for key, name in named.items():
            if name not in self._policies:
                yield Problem(file="policies", line=1, key=key, reason="no policy has this id", value=name)


def _stamp(files: Iterable[Path]) -> Stamp:
    stamps = []
    for path in files:
        try:
            stat = path.stat()
        except OSError:
            stamps.append((str(path), -1, 0, 0))
        else:
            stamps.append((str(path), stat.st_size, stat.st_ino, stat.st_mtime_ns))
    return tuple(stamps)


def _problem(path: Path, reason: str, value: object) -> Problem:
    return Problem(file=str(path), line=1, key="id", reason=reason, value=value)
