"""A real server that speaks S3, on a free port of this machine: PyPI's `moto`, as a process of its own."""

from __future__ import annotations

import sys
import urllib.error
import urllib.request
from importlib.util import find_spec

from sample_streams.child import ServerProcess, free_port
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


class S3Server(ServerProcess):
    """Holds its buckets in memory: what it held is gone when it is stopped."""

    def __init__(self) -> None:
        port = free_port()
        self.endpoint = f"http://127.0.0.1:{port}"
        super().__init__(
            lambda _: [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
            ready=self._answers,
            start_s=_UP_WITHIN_S,
        )

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
