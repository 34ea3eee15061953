"""The sink that posts events to a web address, signed, as CloudEvents in JSON. On its deliverer's thread.

CloudEvents HTTP protocol binding 1.0.2, structured mode (3.2) or batched (3.3).
"""

from __future__ import annotations

import hashlib
import hmac
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import quote, urlsplit

import httpcore

from streammon import __version__
from streammon.deliver.envelope import Envelope
from streammon.deliver.sinks import Refusal
from streammon.errors import DeliveryError

SIGNATURE = "Streammon-Signature"
TRY_AGAIN = {401, 403, 404, 407, 408, 429}
"""What somebody can mend at the receiver's end, or passes: every event waits for that. Other 4xx mean this event."""
LONGEST_WAIT_S = 600.0
"""Of what a receiver asks for by Retry-After."""
ANSWER_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Clocks:
    """UTC epoch seconds, for signatures and dates, and monotonic ones, for waits."""

    utc_s: Callable[[], float] = time.time
    monotonic_s: Callable[[], float] = time.monotonic


@dataclass(frozen=True, slots=True, kw_only=True)
class Receiver:
    """Where events are posted, and how. `secret` None does not sign; `batch` is events per request, at least 1.

    `timeout_s` bounds connecting, and each wait for bytes.
    """

    url: str
    secret: str | None = None
    batch: int = 1
    timeout_s: float = 10.0
    ca_file: Path | None = None

    def __repr__(self) -> str:
        return f"Receiver({urlsplit(self.url).hostname})"


class WebhookSink:
    """Posts in order and waits for the answer: 2xx takes events, `TRY_AGAIN` and 5xx want them again, other 4xx refuse.

    Redirects are not followed. Where the receiver asks for a pause (Retry-After), nothing is sent until that is over.
    Nothing of the address but its host is ever told. Raises DeliveryError where `ca_file` cannot be used.
    """

    name = "webhook"

    def __init__(self, receiver: Receiver, *, clocks: Clocks | None = None) -> None:
        self._receiver = receiver
        self._host = urlsplit(receiver.url).hostname
        self._clocks = clocks if clocks is not None else Clocks()
        self._not_before_s = 0.0
        try:
            context = ssl.create_default_context(cafile=receiver.ca_file)
        except OSError as error:
            raise DeliveryError(f"webhook {self._host}: {receiver.ca_file} cannot be used: {error.strerror}") from error
        self._pool = httpcore.ConnectionPool(ssl_context=context, max_connections=1)

    def send(self, envelopes: Sequence[Envelope]) -> int | Refusal:
        """Post the leading events in one request; see `Sink.send`."""
        pause_s = self._not_before_s - self._clocks.monotonic_s()
        if pause_s > 0:
            raise DeliveryError(f"webhook {self._host}: asks for a pause, {pause_s:.0f} s more")
        leading = envelopes[: self._receiver.batch]
        status = self._post(leading)
        if 400 <= status < 500 and len(leading) > 1:
            # For which of them? The first is asked about alone, then goes on by batches.
            leading = envelopes[:1]
            status = self._post(leading)
        return Refusal(reason=f"HTTP status {status}") if status >= 400 else len(leading)

    def close(self) -> None:
        """Close the connection. May be called twice."""
        self._pool.close()

    def _post(self, envelopes: Sequence[Envelope]) -> int:
        """The status: 2xx or a refusal. Raises DeliveryError for all others, and where there is no answer."""
        body, headers = self._request(envelopes)
        timeout_s = self._receiver.timeout_s
        timeouts = dict.fromkeys(("connect", "read", "write", "pool"), timeout_s)
        try:
            with self._pool.stream(
                "POST", self._receiver.url, headers=headers, content=body, extensions={"timeout": timeouts}
            ) as response:
                self._drain(response)
        except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError, OSError) as error:
            raise DeliveryError(f"webhook {self._host}: {type(error).__name__} {error}".rstrip()) from error
        status = response.status
        if 200 <= status < 300 or (400 <= status < 500 and status not in TRY_AGAIN):
            return status
        if 300 <= status < 400:
            raise DeliveryError(f"webhook {self._host}: status {status}, a redirect: name the address it leads to")
        self._note_pause({name.lower(): value for name, value in response.headers}.get(b"retry-after"))
        raise DeliveryError(f"webhook {self._host}: status {status}")

    def _request(self, envelopes: Sequence[Envelope]) -> tuple[bytes, list[tuple[str, str]]]:
        headers = [("User-Agent", f"streammon/{__version__}")]
        if self._receiver.batch > 1:
            body = b"[" + b",".join(envelope.structured() for envelope in envelopes) + b"]"
            headers.append(("Content-Type", "application/cloudevents-batch+json; charset=UTF-8"))
        else:
            body = envelopes[0].structured()
            headers.append(("Content-Type", "application/cloudevents+json; charset=UTF-8"))
            headers.append(("Idempotency-Key", quote(envelopes[0].event_id)))
        if self._receiver.secret is not None:
            headers.append((SIGNATURE, sign(self._receiver.secret, int(self._clocks.utc_s()), body)))
        return body, headers

    def _drain(self, response: httpcore.Response) -> None:
        """Read a short answer, so that the connection can be used again; a long one is cut off with it."""
        left = ANSWER_BYTES
        for part in response.iter_stream():
            left -= len(part)
            if left < 0:
                return

    def _note_pause(self, retry_after: bytes | None) -> None:
        if retry_after is not None:
            wait_s = min(_seconds(retry_after.decode("latin-1"), self._clocks.utc_s()), LONGEST_WAIT_S)
            self._not_before_s = self._clocks.monotonic_s() + wait_s


def sign(secret: str, at_s: int, body: bytes) -> str:
    """The signature's header: `t=<UTC epoch seconds>,v1=<hex>`, of HMAC-SHA256 over `<seconds>.<body>`."""
    mac = hmac.new(secret.encode(), f"{at_s}.".encode() + body, hashlib.sha256)
    return f"t={at_s},v1={mac.hexdigest()}"


def _seconds(retry_after: str, now_s: float) -> float:
    """What Retry-After says (RFC 9110, 10.2.3), a number or a date; 0 where it says nothing that makes sense."""
    if retry_after.strip().isdecimal():
        return float(retry_after)
    try:
        until = parsedate_to_datetime(retry_after)
    except ValueError:
        return 0.0
    aware = until if until.tzinfo is not None else until.replace(tzinfo=UTC)
    return max(0.0, (aware - datetime.fromtimestamp(now_s, UTC)).total_seconds())
