"""Serving: uvicorn inside the program's own event loop, bounded, and stopped by the program."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable, Iterator
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from twokey.core.errors import Unavailable
from twokey.web.connection_limits import ConnectionLimit
from twokey.web.secrets import Hide, HideSecrets

MAX_HEADER_BYTES = 16 * 1024
AT_ONCE = 128  # so many are taken in at once, before any of those who sent nothing is closed
# So many wait in the system's queue to be taken in. When it is full, Linux resets whoever comes, signed or not.
QUEUE = 4096
MAX_PENDING = 400  # connections whose request has not wholly come; with all else below 1,024 open files


class ImpatientProtocol(H11Protocol):
    """HTTP/1.1 that closes a connection whose request head does not come: uvicorn waits for ever."""

    head_s = 5.0
    pending = ConnectionLimit(MAX_PENDING)  # of all connections of one server
    _head_due: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start waiting for the first request."""
        super().connection_made(transport)
        self.pending.add(self, transport.close)
        self._expect_head()

    def data_received(self, data: bytes) -> None:
        """Take data; the clock runs from a request's first byte until its head is complete."""
        cycle_before = self.cycle
        if self._head_due is None and self._is_between_requests():
            self._expect_head()
        super().data_received(data)
        if self.cycle is not cycle_before:
            self._head_came()
        if not self._is_between_requests() and not self.cycle.more_body:
            self.pending.remove(self)

    def on_response_complete(self) -> None:
        """Wait for the next request, counted again among those who have sent none."""
        super().on_response_complete()
        if not self.transport.is_closing():
            self.pending.add(self, self.transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the clock, and the connection."""
        self._head_came()
        self.pending.remove(self)
        super().connection_lost(exc)

    def _is_between_requests(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _expect_head(self) -> None:
        self._head_due = self.loop.call_later(self.head_s, self._give_up)

    def _head_came(self) -> None:
        if self._head_due is not None:
            self._head_due.cancel()
            self._head_due = None

    def _give_up(self) -> None:
        self._head_due = None
        if self._is_between_requests() and not self.transport.is_closing():
            self.transport.close()


class _Server(uvicorn.Server):
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, or say that it did not: uvicorn would leave the whole program."""
        try:
            await super().startup(sockets)
        except SystemExit:
            raise Unavailable("web.did_not_start", host=self.config.host, port=self.config.port) from None
        for listener in sockets or ():
            listener.listen(QUEUE)  # asyncio has one number for this and for what it takes in at once

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the program."""
        yield


async def serve(
    app: ASGIApp,
    host: str,
    port: int,
    stop: asyncio.Event,
    *,
    hide: Hide = str,
    on_ready: Callable[[int], None] | None = None,
    max_pending: int = MAX_PENDING,
    limit_concurrency: int = 800,
    graceful_s: int = 8,
    head_s: float = 5.0,
    **more: Any,
) -> None:
    """Serve until `stop` is set; requests in hand are answered first, for at most `graceful_s`.

    `max_pending` connections may have sent no whole request; `limit_concurrency` with those who wait for an answer.
    `hide` takes secrets out of what the server logs. `on_ready` is told the port (useful with port 0). `more`
    goes to uvicorn.Config, e.g. certificates.
    """
    listener = _listen(host, port)
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        http=type(
            "Protocol", (ImpatientProtocol,), {"head_s": head_s, "pending": ConnectionLimit(max_pending)}
        ),
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        limit_concurrency=limit_concurrency,
        backlog=AT_ONCE,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=graceful_s,
        h11_max_incomplete_event_size=MAX_HEADER_BYTES,
        **more,
    )
    for name in ("uvicorn.error", "uvicorn.access", "uvicorn.asgi", "twokey.web"):
        logger = logging.getLogger(name)
        for known in [known for known in logger.filters if isinstance(known, HideSecrets)]:
            logger.removeFilter(known)  # an earlier server of this process knew other addresses
        logger.addFilter(HideSecrets(hide))
    server = _Server(config)
    stopper = asyncio.create_task(_stop_when(stop, server), name="web-stop")
    serving = asyncio.create_task(server.serve(sockets=[listener]), name="web-serve")
    try:
        while not server.started and not serving.done():
            await asyncio.sleep(0.01)
        if server.started and on_ready:
            on_ready(listener.getsockname()[1])
        # Without the one that waits for `stop` nobody could end the other: it ends too.
        await asyncio.wait([serving, stopper], return_when=asyncio.FIRST_COMPLETED)
        server.should_exit = True
        await serving
    finally:
        stopper.cancel()
        listener.close()


async def _stop_when(stop: asyncio.Event, server: uvicorn.Server) -> None:
    await stop.wait()
    server.should_exit = True


def _listen(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server(
            (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=QUEUE
        )
    except OSError as fault:
        raise Unavailable(
            "web.cannot_listen", host=host, port=port, reason=fault.strerror or type(fault).__name__
        ) from None
