"""A real server that speaks S3, on a free port of this machine: PyPI's `moto`, as a process of its own."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from importlib.util import find_spec
from types import TracebackType
from typing import Self

from tests.needs import need

_UP_WITHIN_S = 30.0
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_REGION": "us-east-1",
}
"""Any will do; without them the client would look for a cloud's own."""


def require_s3() -> None:
    """Skips the test where the server is not installed; in CI that is a failure."""
    missing = [name for name in ("moto", "flask", "obstore") if find_spec(name) is None]
    need("an S3 server", f"not installed: {', '.join(missing)}" if missing else None)


class S3Server:
    """Holds its buckets in memory. Use as a context manager; `stop` and `start` for one that goes and comes back."""

    def __init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self._port = probe.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._port}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Returns when it answers."""
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self._port)]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        give_up_s = time.monotonic() + _UP_WITHIN_S
        while not self._answers():
            assert self._process.poll() is None, "the S3 server has died"
            assert time.monotonic() < give_up_s, "the S3 server does not answer"
            time.sleep(0.05)

    def stop(self) -> None:
        """Ends it; what it held is gone."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()

    def begin_anew(self, bucket: str) -> None:
        """Forget all, and make one empty bucket."""
        self._request("POST", "/moto-api/reset")
        self._request("PUT", f"/{bucket}")

    def get(self, bucket: str, key: str) -> tuple[bytes, str]:
        """An object's content and its type."""
        import obstore  # noqa: PLC0415 - where it is missing these tests are skipped
        from obstore.store import from_url  # noqa: PLC0415

        store = from_url(f"s3://{bucket}", endpoint=self.endpoint, client_options={"allow_http": True}, config={})
        found = obstore.get(store, key)
        return bytes(found.bytes()), found.attributes.get("Content-Type", "")

    def _request(self, method: str, path: str) -> None:
        request = urllib.request.Request(f"{self.endpoint}{path}", method=method)
        with urllib.request.urlopen(request, timeout=5.0) as answer:
            answer.read()

    def _answers(self) -> bool:
        try:
            self._request("GET", "/moto-api/")
        except (urllib.error.URLError, OSError):
            return False
        return True
