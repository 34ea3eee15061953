"""What the ingest process's resolver says of names under `.rebind.test`, which no real resolver here would say.

Python imports this at its start where the folder is on PYTHONPATH. A name lists its answers after its first part, with
dashes for dots: of `a.127-0-0-1.127-0-0-2.rebind.test` the first lookup gives the first address, every later one the
last. All other names, and all of streammon, are as they are. FFmpeg does not ask Python, so to it such a name is
unknown.
"""

from __future__ import annotations

import socket
from typing import Any

_ZONE = ".rebind.test"
_asked: dict[str, int] = {}
_really = socket.getaddrinfo


def _getaddrinfo(host: Any, *rest: Any, **named: Any) -> Any:
    if not isinstance(host, str) or not host.endswith(_ZONE):
        return _really(host, *rest, **named)
    answers = host.removesuffix(_ZONE).split(".")[1:]
    turn = _asked.get(host, 0)
    _asked[host] = turn + 1
    return _really(answers[min(turn, len(answers) - 1)].replace("-", "."), *rest, **named)


socket.getaddrinfo = _getaddrinfo
