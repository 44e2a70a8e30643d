"""Reading a body from somebody who may be hostile: bounded in size and time, never unpacked."""

from __future__ import annotations

import asyncio

from starlette.requests import ClientDisconnect, Request


class BodyError(Exception):
    """The body is not taken; `status` says why."""

    def __init__(self, status: int) -> None:
        self.status = status
        super().__init__(str(status))


async def read_body(request: Request, max_bytes: int, within_s: float) -> bytes:
    """Return the whole body, or raise BodyError: 413 too large, 408 too slow, 415 packed, 400 cut short."""
    packed = request.headers.get("content-encoding", "identity").strip().lower()
    if packed not in ("", "identity"):
        raise BodyError(415)
    declared = request.headers.get("content-length", "")
    if declared.isascii() and declared.isdigit() and int(declared[:20]) > max_bytes:
        raise BodyError(413)
    body = bytearray()
    try:
        async with asyncio.timeout(within_s):
            async for chunk in request.stream():
                body += chunk
                if len(body) > max_bytes:
                    raise BodyError(413)
    except TimeoutError:
        raise BodyError(408) from None
    except ClientDisconnect:
        raise BodyError(400) from None
    return bytes(body)
