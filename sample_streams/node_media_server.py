"""npm's node-media-server (RTMP, HTTP-FLV): found, installed, configured."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from sample_streams.node_package import Node, find_node, installed

Command = Callable[[Path, int, int], Sequence[str]]
"""Given a server's own folder, its RTMP port and its HTTP port: the argument list that runs it in the foreground."""

_VERSION = "4.4.3"


def node_media_server() -> Command | None:
    """How to start it, None where there is no node. The command installs it first where it never did."""
    node = find_node()
    return None if node is None else partial(_command, node)


def _command(node: Node, folder: Path, rtmp_port: int, http_port: int) -> list[str]:
    app = installed(node, "node-media-server", _VERSION) / "bin" / "app.js"
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
    return [node.program, str(app), "-c", str(folder / "config.json")]
