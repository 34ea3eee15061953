"""A stage with a real server: a clip published to nginx-rtmp or node-media-server, and pulled through a fault proxy."""

from __future__ import annotations

import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlsplit, urlunsplit
from urllib.request import urlopen

from sample_streams.live_rtmp import LiveRtmp
from sample_streams.rtmp_server import RtmpServer
from tests.faults.clips import flv
from tests.faults.fault import Servers
from tests.faults.proxy import FaultProxy

_LOOPS = 30
_FIRST_PLAYLIST_S = 10.0
_NUMBERS = count(1)


class Broadcast:
    """One stream of one server. `url` is how the room pulls it, through `proxy`."""

    def __init__(self, server: RtmpServer, name: str, folder: Path, proxy: FaultProxy, url: str) -> None:
        self.server = server
        self.proxy = proxy
        self.url = url
        self._name = name
        self._folder = folder
        self._clips = 0
        self._publisher: LiveRtmp | None = None

    def publish(self, content: bytes | None = None) -> None:
        """A publisher comes, with this FLV."""
        self._clips += 1
        clip = self._folder / f"{self._clips}.flv"
        clip.write_bytes(content if content is not None else flv())
        self._publisher = LiveRtmp(clip, self.server.rtmp_url(self._name), _LOOPS)

    def leave(self) -> None:
        """The publisher says goodbye."""
        if self._publisher is not None:
            self._publisher.close()
            self._publisher = None

    def die(self) -> None:
        """The publisher is gone without a word."""
        self._signal(signal.SIGKILL)

    def stall(self) -> None:
        """The publisher stands still, with its connection open."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """It goes on where it stood still."""
        self._signal(signal.SIGCONT)

    def restart(self) -> None:
        """The server is back after its death, and so is the publisher."""
        self.server.restart()
        self.leave()
        self.publish()

    def wrong(self) -> str | None:
        """See Stage."""
        return None

    def close(self) -> None:
        """Ends the publisher, one that stands still too."""
        if self._publisher is not None:
            self.resume()
            self.leave()

    def _signal(self, number: signal.Signals) -> None:
        assert self._publisher is not None
        os.kill(self._publisher.pid, number)


def through(url: str, host: str, proxy: FaultProxy) -> str:
    """The URL by way of the proxy, which is called `host`."""
    return urlunsplit(urlsplit(url)._replace(netloc=f"{host}:{proxy.port}"))


def broadcast(
    transport: str, content: Callable[[], bytes] | None = flv, *, host: str | None = "127.0.0.1"
) -> Callable[[Servers], AbstractContextManager[Broadcast]]:
    """The stage of a row: a stream of its own, published as it begins unless `content` is None.

    `host` is what the room calls the proxy; None: it goes to the server itself.
    """
    return partial(_broadcast, transport, content, host)


@contextmanager
def _broadcast(
    transport: str, content: Callable[[], bytes] | None, host: str | None, servers: Servers
) -> Iterator[Broadcast]:
    name = f"s{next(_NUMBERS)}"  # of its own for each row, so that nothing is left of the last one
    server, url = _address(transport, servers, name)
    with ExitStack() as opened:
        proxy = opened.enter_context(FaultProxy(urlsplit(url).port or 0))
        folder = opened.enter_context(tempfile.TemporaryDirectory(prefix="faults-"))
        live = Broadcast(server, name, Path(folder), proxy, url if host is None else through(url, host, proxy))
        opened.callback(live.close)
        if content is not None:
            live.publish(content())
        if content is not None and url.endswith(".m3u8"):
            _until_served(url)
        yield live


def _address(transport: str, servers: Servers, name: str) -> tuple[RtmpServer, str]:
    match transport:
        case "RTMP, nginx":
            return servers.nginx, servers.nginx.rtmp_url(name)
        case "HLS, nginx":
            return servers.nginx, _there(servers.nginx.hls_url(name))
        case "RTMP, node":
            return servers.node, servers.node.rtmp_url(name)
    return servers.node, _there(servers.node.flv_url(name))


def _there(url: str | None) -> str:
    assert url is not None, "another kind of server than the rows are for"
    return url


def _until_served(url: str) -> None:
    """Waits for the first playlist, which nginx writes some seconds after the stream began."""
    give_up_s = time.monotonic() + _FIRST_PLAYLIST_S
    while True:
        try:
            with urlopen(url, timeout=1.0):
                return
        except HTTPError:
            assert time.monotonic() < give_up_s, "there is no playlist"
            time.sleep(0.1)
