"""Reading a body from somebody who may be hostile: bounded in size, time and memory, never unpacked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from twokey.core.signals import NOT_TAKEN


class BodyError(Exception):
    """The body is not taken; `status` says why."""

    def __init__(self, status: int) -> None:
        self.status = status
        super().__init__(str(status))


@dataclass(slots=True)
class BodyBudget:
    """How many bytes of bodies one route may hold at the same time; each route has its own."""

    free: int


# Whoever sends is told, but nobody sends again after these: the note is all that is left.
_FINAL = {413: "larger than {limit} bytes", 415: "packed"}


def note_of(request: Request, declined: BodyError, max_bytes: int) -> bytes | None:
    """Return what is kept in place of a body that was not taken for good; None when its sender comes again."""
    if declined.status not in _FINAL:
        return None
    declared = request.headers.get("content-length", "")
    size = declared[:20] if declared.isascii() and declared.isdigit() else "unknown"
    why = _FINAL[declined.status].format(limit=max_bytes)
    return f"{NOT_TAKEN}: it is {why} (declared size: {size})".encode()


def closing(status: int) -> Response:
    """Answer without having read the body: the connection cannot be used again."""
    return Response(status_code=status, headers={"connection": "close"})


@asynccontextmanager
async def body_of(
    request: Request, budget: BodyBudget, *, max_bytes: int, within_s: float
) -> AsyncIterator[bytes]:
    """Hold the whole body while the block runs, or raise BodyError.

    413 too large, 408 too slow, 415 packed, 400 cut short, 503 no room just now.
    """
    packed = request.headers.get("content-encoding", "identity").strip().lower()
    if packed not in ("", "identity"):
        raise BodyError(415)
    declared = request.headers.get("content-length", "")
    if declared.isascii() and declared.isdigit() and int(declared[:20]) > max_bytes:
        raise BodyError(413)
    body = bytearray()
    try:
        try:
            async with asyncio.timeout(within_s):
                async for chunk in request.stream():
                    if len(body) + len(chunk) > max_bytes:
                        raise BodyError(413)
                    if len(chunk) > budget.free:
                        raise BodyError(503)
                    budget.free -= len(chunk)
                    body += chunk
        except TimeoutError:
            raise BodyError(408) from None
        except ClientDisconnect:
            raise BodyError(400) from None
        yield bytes(body)
    finally:
        budget.free += len(body)
