"""A client that posts prepared bodies, one connection or many: `python load.py URL BODIES`.

BODIES holds one body a line. It prints JSON: seconds in all, each body's start (monotonic nanoseconds), how long its
answer took in milliseconds, and the answers that were no 2xx. A process of its own, so that it measures nobody else.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from pathlib import Path
from urllib.parse import urlsplit


class Client:
    """One kept connection that has one request out at a time."""

    def __init__(self, url: str, headers: str) -> None:
        place = urlsplit(url)
        self._host, self._port = place.hostname or "127.0.0.1", place.port or 80
        self._head = (
            f"POST {place.path or '/'} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{headers}"
        )
        self._reader: asyncio.StreamReader | None = None

    async def post(self, body: bytes) -> int:
        """Post one body and return the answer's status."""
        if self._reader is None:
            self._reader, self._writer = await asyncio.open_connection(self._host, self._port)
        self._writer.write(f"{self._head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        head = await self._reader.readuntil(b"\r\n\r\n")
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                await self._reader.readexactly(int(line.partition(b":")[2]))
        if b"connection: close" in head.lower():
            self._writer.close()
            self._reader = None
        return int(head.split(b" ", 2)[1])


async def burst(clients: list[Client], bodies: list[bytes]) -> dict[str, object]:
    """Post everything as fast as the answers come."""
    left = iter(enumerate(bodies))
    starts, took, bad = [0] * len(bodies), [0.0] * len(bodies), 0

    async def work(client: Client) -> None:
        nonlocal bad
        for number, body in left:
            starts[number] = time.monotonic_ns()
            status = await client.post(body)
            took[number] = (time.monotonic_ns() - starts[number]) / 1e6
            bad += not 200 <= status < 300

    begin = time.perf_counter()
    await asyncio.gather(*(work(client) for client in clients))
    return {"seconds": time.perf_counter() - begin, "starts": starts, "took_ms": took, "bad": bad}


async def paced(client: Client, bodies: list[bytes], per_second: float) -> dict[str, object]:
    """Post at a pace; a late answer does not let two requests be out at once."""
    starts, took, bad = [], [], 0
    begin = time.perf_counter()
    for number, body in enumerate(bodies):
        await asyncio.sleep(max(0.0, begin + number / per_second - time.perf_counter()))
        starts.append(time.monotonic_ns())
        status = await client.post(body)
        took.append((time.monotonic_ns() - starts[-1]) / 1e6)
        bad += not 200 <= status < 300
    return {"seconds": time.perf_counter() - begin, "starts": starts, "took_ms": took, "bad": bad}


def main() -> None:
    """Post what the options say, and print what was seen."""
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("bodies", type=Path)
    parser.add_argument("--connections", type=int, default=1)
    parser.add_argument("--pace", type=float, default=0.0)
    given = parser.parse_args()
    bodies = given.bodies.read_bytes().splitlines()
    clients = [Client(given.url, "") for _ in range(given.connections)]
    work = paced(clients[0], bodies, given.pace) if given.pace else burst(clients, bodies)
    print(json.dumps(asyncio.run(work)))


if __name__ == "__main__":
    main()
