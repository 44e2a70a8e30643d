"""Socket Mode: the app's WebSocket connections, envelopes out, acknowledgements in."""

from __future__ import annotations

import asyncio
import json
import secrets
import threading
import time

from aiohttp import WSMsgType, web

from .background import BackgroundLoop
from .delivery import Attempt, Delivery
from .model import Json


class SocketMode:
    """Delivers to one connected client at a time, in turn."""

    def __init__(self, background: BackgroundLoop, app_id: str) -> None:
        self._background = background
        self._app_id = app_id
        self._lock = threading.Lock()
        self._connections: list[web.WebSocketResponse] = []
        self._waiting: dict[str, list[Attempt]] = {}
        self._tickets: set[str] = set()
        self._turn = 0
        self.ack_timeout = 3.0
        self.connect_timeout = 5.0
        self.connections_made = 0
        self.stray_acks: list[Json] = []

    def new_url(self, host: str) -> str:
        """Return an address for apps.connections.open."""
        ticket = secrets.token_hex(16)
        self._tickets.add(ticket)
        return f"ws://{host}/link/?ticket={ticket}&app_id={self._app_id}"

    @property
    def connected(self) -> int:
        """Count the clients that are connected now."""
        with self._lock:
            return len(self._connections)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Hold one connection until either side ends it."""
        if request.query.get("ticket") not in self._tickets:
            raise web.HTTPForbidden
        socket = web.WebSocketResponse(autoping=True)
        await socket.prepare(request)
        with self._lock:
            self._connections.append(socket)
            self.connections_made += 1
            number = len(self._connections)
        try:
            await socket.send_json(
                {
                    "type": "hello",
                    "num_connections": number,
                    "debug_info": {
                        "host": "applink-fake",
                        "build_number": 1,
                        "approximate_connection_time": 18060,
                    },
                    "connection_info": {"app_id": self._app_id},
                }
            )
            async for message in socket:
                if message.type == WSMsgType.TEXT:
                    self._acknowledged(message.data)
        finally:
            self._forget(socket)
        return socket

    def _acknowledged(self, data: str) -> None:
        try:
            acknowledgement = json.loads(data)
        except ValueError:
            return
        attempts = self._waiting.get(acknowledgement.get("envelope_id", ""), [])
        attempt = next((a for a in attempts if not a.done.is_set()), None)
        if attempt is None:
            self.stray_acks.append(acknowledgement)
            return
        attempt.answer(200, acknowledgement.get("payload") or {})

    def _forget(self, socket: web.WebSocketResponse) -> None:
        with self._lock:
            if socket in self._connections:
                self._connections.remove(socket)

    def send(self, delivery: Delivery, attempt: Attempt) -> None:
        """Put an envelope on a connection and wait for its acknowledgement."""
        envelope: Json = {
            "envelope_id": delivery.envelope_id,
            "type": delivery.kind,
            "accepts_response_payload": delivery.kind != "events_api",
            "payload": delivery.payload,
        }
        if delivery.kind == "events_api" or attempt.retry:
            envelope |= {"retry_attempt": attempt.retry, "retry_reason": attempt.reason}
        socket = self._next_connection()
        self._waiting.setdefault(delivery.envelope_id, []).append(attempt)
        attempt.sent_at = time.monotonic()
        try:
            self._background.run(socket.send_json(envelope))
        except ConnectionError as error:
            attempt.error = str(error)
            return
        attempt.done.wait(self.ack_timeout)

    def _next_connection(self) -> web.WebSocketResponse:
        until = time.monotonic() + self.connect_timeout
        while time.monotonic() < until:
            with self._lock:
                if self._connections:
                    self._turn += 1
                    return self._connections[self._turn % len(self._connections)]
            time.sleep(0.01)
        raise AssertionError("no app is connected through Socket Mode")

    def disconnect(self, reason: str = "refresh_requested") -> None:
        """Ask every client to come back: `warning`, `refresh_requested` or `link_disabled`."""
        self._background.run(self._disconnect(reason))

    async def _disconnect(self, reason: str) -> None:
        for socket in list(self._connections):
            await socket.send_json(
                {
                    "type": "disconnect",
                    "reason": reason,
                    "debug_info": {"host": "applink-fake"},
                }
            )
            if reason != "warning":
                self._forget(socket)

    def drop(self) -> None:
        """Cut every connection without a word."""
        self._background.run(self._drop())

    async def _drop(self) -> None:
        for socket in list(self._connections):
            self._forget(socket)
            transport = socket._req.transport if socket._req is not None else None
            if transport is not None:
                transport.abort()
        await asyncio.sleep(0)

    async def close(self) -> None:
        """Close every connection."""
        for socket in list(self._connections):
            await socket.close()
