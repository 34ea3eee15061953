"""A real RTMP server as a child process on loopback: nginx with its RTMP module, else npm's node-media-server.

nginx serves HLS beside RTMP, node-media-server HTTP-FLV.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from functools import partial
from pathlib import Path
from typing import Literal

from sample_streams.child import ServerProcess, free_port, listens
from sample_streams.node_media_server import Command, node_media_server
from streammon.errors import StreammonError

Kind = Literal["nginx", "node"]

_CURES: dict[Kind, str] = {
    "nginx": "nginx with its RTMP module is not installed: apt-get install nginx-light libnginx-mod-rtmp",
    "node": "no node and npm: pip install 'streammon[demo]', or apt-get install nginx-light libnginx-mod-rtmp instead",
}
_NGINX_CONF = """\
load_module {module};
daemon off;
master_process off;
error_log stderr error;
pid nginx.pid;
events {{ worker_connections 256; }}
rtmp {{
  access_log off;
  server {{
    listen 127.0.0.1:{rtmp_port};
    application live {{
      live on;
      idle_streams off;
      hls on;
      hls_path hls;
      hls_fragment 1s;
      hls_playlist_length 10s;
    }}
  }}
}}
http {{
  access_log off;
  client_body_temp_path tmp/client_body;
  proxy_temp_path tmp/proxy;
  fastcgi_temp_path tmp/fastcgi;
  uwsgi_temp_path tmp/uwsgi;
  scgi_temp_path tmp/scgi;
  types {{ application/vnd.apple.mpegurl m3u8; video/mp2t ts; }}
  server {{
    listen 127.0.0.1:{http_port};
    location /hls/ {{ root .; add_header Cache-Control no-cache; }}
  }}
}}
"""


class RtmpServer(ServerProcess):
    """A running RTMP server. Streams are published to and pulled from `rtmp_url(name)`.

    Raises StreammonError where it does not start within 20 s.
    """

    def __init__(self, kind: Kind, command: Command) -> None:
        self.kind = kind
        self.rtmp_port, self.http_port = free_port(), free_port()
        super().__init__(
            lambda folder: command(folder, self.rtmp_port, self.http_port),
            ready=lambda: listens(self.rtmp_port) and listens(self.http_port),
            start_s=20.0,
        )

    def rtmp_url(self, name: str) -> str:
        """Where the stream `name` is published to, and pulled from."""
        return f"rtmp://127.0.0.1:{self.rtmp_port}/live/{name}"

    def hls_url(self, name: str) -> str | None:
        """The stream's HLS playlist, there a few seconds after it began; None where this kind serves no HLS."""
        return f"http://127.0.0.1:{self.http_port}/hls/{name}.m3u8" if self.kind == "nginx" else None

    def flv_url(self, name: str) -> str | None:
        """The stream as HTTP-FLV; None where this kind serves none."""
        return f"http://127.0.0.1:{self.http_port}/live/{name}.flv" if self.kind == "node" else None


def rtmp_server(prefer: Kind | None = None) -> RtmpServer:
    """Starts an RTMP server of the kind `prefer`; None takes nginx where it is installed, else node-media-server.

    The first start of the latter installs it, which takes seconds and the network. Raises StreammonError naming the
    cure where the kind (or, with None, neither) can be had.
    """
    if prefer != "node" and (nginx := _nginx()) is not None:
        return RtmpServer("nginx", nginx)
    if prefer != "nginx" and (node := node_media_server()) is not None:
        return RtmpServer("node", node)
    raise StreammonError(_CURES[prefer or "node"])


def what_is_missing(kind: Kind) -> str | None:
    """What keeps this machine from running the kind, and the cure; None where nothing does."""
    command = _nginx() if kind == "nginx" else node_media_server()
    return _CURES[kind] if command is None else None


def _nginx() -> Command | None:
    """How to start nginx, None where it or its RTMP module is not installed."""
    # Debian keeps the binary where only root's PATH leads
    nginx = shutil.which("nginx", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")
    if nginx is None:
        return None
    built = subprocess.run([nginx, "-V"], capture_output=True, text=True, check=False, timeout=10).stderr
    named = re.search(r"--modules-path=(\S+)", built)
    module = Path(named[1] if named else "/usr/lib/nginx/modules") / "ngx_rtmp_module.so"
    return partial(_nginx_command, nginx, module) if module.is_file() else None


def _nginx_command(nginx: str, module: Path, folder: Path, rtmp_port: int, http_port: int) -> list[str]:
    for name in ("hls", "tmp"):
        (folder / name).mkdir(exist_ok=True)
    conf = _NGINX_CONF.format(module=module, rtmp_port=rtmp_port, http_port=http_port)
    (folder / "nginx.conf").write_text(conf, encoding="utf-8")
    return [nginx, "-p", str(folder), "-e", "stderr", "-c", "nginx.conf"]
