"""What every route that takes a body does with a request: reads it within a bound, or says why not."""

from __future__ import annotations

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response


async def read_body(request: Request, most_bytes: int) -> bytes | Response:
    """The body, or what to answer where it is too large or broke off."""
    body = b""
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > most_bytes:
                return refused(413, f"should be at most {most_bytes} bytes")
    except ClientDisconnect:
        return refused(400, "the request broke off")
    return body


def refused(status: int, reason: str, headers: dict[str, str] | None = None) -> Response:
    """An answer that says why nothing came of a request."""
    return JSONResponse({"error": reason}, status_code=status, headers=headers)
