"""A stage that is a scripted HTTP server behind a fault proxy, beside a host that no room may connect to."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial

from tests.faults.clips import FLV_HEAD_BYTES, flv_tags, tag_times_s
from tests.faults.fault import Servers
from tests.faults.proxy import FaultProxy
from tests.integration.scripted_http import Page, Reply, ScriptedServer, Talk


class Trap:
    """A port of 127.0.0.2, which no room may connect to: whether somebody did."""

    def __init__(self, port: int) -> None:
        self._listening = socket.create_server(("127.0.0.2", port))
        self._listening.setblocking(False)
        self.port: int = self._listening.getsockname()[1]
        self._connections = 0

    def connections(self) -> int:
        """How many were made so far."""
        while True:
            try:
                connected, _ = self._listening.accept()
            except BlockingIOError:
                return self._connections
            connected.close()
            self._connections += 1

    def url(self, path: str = "/x", scheme: str = "http") -> str:
        """An address there."""
        return f"{scheme}://127.0.0.2:{self.port}{path}"

    def close(self) -> None:
        """Listens no more."""
        self._listening.close()


class Site:
    """See Stage. `pages` are the server's and may be changed at any time; the room's URL is `/live`, unless set."""

    def __init__(self, server: ScriptedServer, proxy: FaultProxy, trap: Trap) -> None:
        self.server = server
        self.pages = server.pages
        self.proxy = proxy
        self.trap = trap
        self.url = f"http://127.0.0.1:{proxy.port}/live"

    def page(self, page: Page) -> None:
        """What is at the room's URL from now on."""
        self.pages["/live"] = page

    def wrong(self) -> str | None:
        """See Stage."""
        touched = self.trap.connections()
        return f"{touched} connections to a forbidden address" if touched else None


def flv_page(content: bytes, *, spoil: Callable[[bytes], bytes] = bytes, then: bytes = b"") -> Page:
    """HTTP-FLV: the stream's tags by the wall clock, those after the first second spoiled, `then` that, and the end."""

    def page(talk: Talk) -> None:
        talk.send(b"HTTP/1.1 200 OK\r\nContent-Type: video/x-flv\r\n\r\n" + content[:FLV_HEAD_BYTES])
        tags = flv_tags(content)
        began_s = time.monotonic()
        for tag, due_s in zip(tags, tag_times_s(tags), strict=True):
            if not talk.wait(max(0.0, began_s + due_s - time.monotonic())):
                return
            talk.send(tag if due_s < 1.0 else spoil(tag))
        talk.send(then)

    return page


def broken_off(content: bytes) -> Page:
    """Half of what was promised, and the end."""

    def page(talk: Talk) -> None:
        talk.send(Reply(body=content).encode()[: -len(content) // 2])

    return page


def page_of(
    make: Callable[[Site], Page] = lambda _: Reply(), address: Callable[[Site], str] | None = None
) -> Callable[[Servers], AbstractContextManager[Site]]:
    """A stage with one page, made when the row begins; `address` where the room looks for it, if not there."""
    return partial(_page_stage, make, address)


@contextmanager
def site() -> Iterator[Site]:
    """The server, the proxy and the trap."""
    with ExitStack() as opened:
        server = opened.enter_context(ScriptedServer())
        proxy = opened.enter_context(FaultProxy(server.port))
        trap = Trap(proxy.port)
        opened.callback(trap.close)
        yield Site(server, proxy, trap)


@contextmanager
def _page_stage(
    make: Callable[[Site], Page], address: Callable[[Site], str] | None, servers: Servers
) -> Iterator[Site]:
    with site() as made:
        made.page(make(made))
        if address is not None:
            made.url = address(made)
        yield made
