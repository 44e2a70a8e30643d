"""A chat on the loopback address that answers at once and notes what came when: `python sink.py PORT`.

It takes Slack's Web API calls and Alertmanager's webhook alike. `/__arrivals` tells what came, `/__reset` forgets
it, `/__fault?kind=429&seconds=5` (or 503, or dead: no answer at all) lets every post fail for a while.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from urllib.parse import parse_qs, urlsplit

MARK = re.compile(rb"evid-(\d+)-")
LENGTH = re.compile(rb"content-length:\s*(\d+)", re.IGNORECASE)
USER = re.compile(rb'(?:user=|"user": ?")(U\w+)')
TEAM = "T1"  # the workspace of twokey's own test people


class Chat:
    """What arrived, and which fault is on."""

    def __init__(self) -> None:
        self.arrivals: list[tuple[int, str, list[int], int, int]] = []
        self.posts = 0
        self.kind, self.until = "", 0.0

    def answer(self, path: str, body: bytes) -> tuple[int, bytes, str] | None:
        """Return status, body and more headers; None is silence."""
        if path.startswith("/__"):
            return 200, self._asked(path), ""
        path, _, query = path.partition("?")
        method = path.rpartition("/")[2]
        is_post = method in ("chat.postMessage", "chat.update", "chat.postEphemeral") or "/services/" in path
        fault = self.kind if is_post and time.monotonic() < self.until else ""
        status = {"": 200, "429": 429, "503": 503}.get(fault, 0)
        if is_post:
            marks = sorted({int(found) for found in MARK.findall(body)})
            self.arrivals.append((time.monotonic_ns(), method, marks, len(body), status))
        if fault == "dead":
            return None
        if fault:
            return (
                status,
                b'{"ok":false,"error":"ratelimited"}',
                "Retry-After: 1\r\n" if status == 429 else "",
            )
        return 200, self._said(method, body or query.encode()), ""

    def _said(self, method: str, body: bytes) -> bytes:
        if method == "users.info":
            found = USER.search(body)
            user = found.group(1).decode() if found else "U0BENCH"
            return json.dumps({"ok": True, "user": {"id": user, "team_id": TEAM, "name": user}}).encode()
        if method == "conversations.info":
            return b'{"ok":true,"channel":{"id":"C0BENCH","is_ext_shared":false}}'
        if method == "auth.test":
            known = {
                "team_id": TEAM,
                "user_id": "U0BOT",
                "bot_id": "B0BOT",
                "user": "twokey",
                "team": "bench",
            }
            return json.dumps({"ok": True, "url": "http://127.0.0.1/", **known}).encode()
        self.posts += 1
        stamp = f"1700000000.{self.posts:06d}"
        return json.dumps({"ok": True, "channel": "C0BENCH", "ts": stamp, "view": {"id": "V1"}}).encode()

    def _asked(self, path: str) -> bytes:
        asked = urlsplit(path)
        if asked.path == "/__arrivals":
            return json.dumps(self.arrivals).encode()
        if asked.path == "/__count":
            return str(len(self.arrivals)).encode()
        if asked.path == "/__reset":
            self.arrivals.clear()
            self.kind, self.until = "", 0.0
        if asked.path == "/__fault":
            given = parse_qs(asked.query)
            self.kind, self.until = given["kind"][0], time.monotonic() + float(given["seconds"][0])
        return b"{}"


class Connection(asyncio.Protocol):
    """HTTP/1.1 with lengths (and the chunks that some clients send), kept alive; nothing else."""

    def __init__(self, chat: Chat) -> None:
        self._chat, self._held = chat, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        assert isinstance(transport, asyncio.Transport)
        self._way = transport

    def data_received(self, data: bytes) -> None:
        """Answer every request that is complete."""
        self._held += data
        while (end := self._held.find(b"\r\n\r\n")) >= 0:
            head = self._held[:end]
            if b"transfer-encoding" in head.lower():
                last = self._held.find(b"0\r\n\r\n", end + 4)
                if last < 0:
                    return
                body, self._held = self._held[end + 4 : last], self._held[last + 5 :]
            else:
                found = LENGTH.search(head)
                until = end + 4 + (int(found.group(1)) if found else 0)
                if len(self._held) < until:
                    return
                body, self._held = self._held[end + 4 : until], self._held[until:]
            self._reply(self._chat.answer(head.split(b" ", 2)[1].decode(), body))

    def _reply(self, answer: tuple[int, bytes, str] | None) -> None:
        if answer is None:
            return
        status, body, more = answer
        head = f"HTTP/1.1 {status} -\r\nContent-Type: application/json\r\n{more}Content-Length: {len(body)}\r\n\r\n"
        self._way.write(head.encode() + body)


async def run(port: int) -> None:
    """Listen until the process ends."""
    chat = Chat()
    server = await asyncio.get_running_loop().create_server(lambda: Connection(chat), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(run(int(sys.argv[1])))
