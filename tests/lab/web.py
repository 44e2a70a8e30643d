"""The web door of this process, served for a test by a real uvicorn on the loopback address."""

from __future__ import annotations

import asyncio
import http.client
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from twokey.demo.slack.background import BackgroundLoop
from twokey.web import serve


@dataclass(frozen=True)
class Served:
    """A door that answers."""

    port: int

    def post(
        self, path: str, body: bytes, headers: Mapping[str, str] | None = None, *, patience_s: float = 120
    ) -> int:
        """Send a body and return the status of the answer, 0 when the door cut the connection without a word."""
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=patience_s)
        try:
            link.request("POST", path, body=body, headers=dict(headers or {}))
            answer = link.getresponse()
            answer.read()
            return answer.status
        except (ConnectionError, http.client.RemoteDisconnected):
            return 0
        finally:
            link.close()


@contextmanager
def served(app: Any, **options: Any) -> Iterator[Served]:
    """Serve an application in a thread of its own while the block runs."""
    with BackgroundLoop("web door") as background:
        stop, ready = asyncio.Event(), background.loop.create_future()

        async def run() -> None:
            await serve(app, "127.0.0.1", 0, stop, on_ready=ready.set_result, **options)

        async def port() -> int:
            return int(await ready)

        serving = asyncio.run_coroutine_threadsafe(run(), background.loop)
        try:
            yield Served(background.run(port()))
        finally:
            background.loop.call_soon_threadsafe(stop.set)
            serving.result(60)
