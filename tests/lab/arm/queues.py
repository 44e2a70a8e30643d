"""Storage queues on this machine, as the queue service's REST pages describe them, for the real SDK over TLS."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from types import TracebackType
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

from tests.lab.arm.tls import Serving

_TIME = "Fri, 20 Nov 2026 03:10:25 GMT"


@dataclass
class Message:
    """One message, and until when nobody sees it."""

    text: str
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    receipt: str = ""
    hidden_until: float = 0.0
    dequeued: int = 0


@dataclass
class StorageQueues:
    """Start with `with StorageQueues(token) as queues:`; `queues.put("events", text)` is Event Grid."""

    token: str
    now: Callable[[], float] = time.monotonic
    queues: dict[str, list[Message]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    fails: list[tuple[str, int, str]] = field(default_factory=list)  # method, status, code: each once
    base_url: str = ""
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def __enter__(self) -> StorageQueues:
        self._serving = Serving(_handler(self))
        self.base_url, self.ca_bundle = self._serving.base_url, self._serving.ca_bundle
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._serving.stop()

    def put(self, queue: str, *texts: str) -> None:
        """Put messages into a queue."""
        with self._lock:
            self.queues.setdefault(queue, []).extend(Message(text) for text in texts)

    def left(self, queue: str) -> list[str]:
        """Return what has not been deleted."""
        with self._lock:
            return [message.text for message in self.queues.get(queue, [])]

    def answer(self, method: str, path: str, query: dict[str, str], token: str) -> tuple[int, str, str]:
        """Answer one request: status, body, error code."""
        with self._lock:
            self.calls.append(f"{method} {path}")
            if token != f"Bearer {self.token}":
                return 403, "", "AuthorizationPermissionMismatch"
            for fault in self.fails:
                if fault[0] == method:
                    self.fails.remove(fault)
                    return fault[1], "", fault[2]
            queue, _, rest = path.strip("/").partition("/")
            if queue not in self.queues:
                return 404, "", "QueueNotFound"
            if method == "GET" and rest == "messages":
                return 200, self._given(self.queues[queue], query), ""
            if method == "DELETE" and rest.startswith("messages/"):
                return self._deleted(self.queues[queue], rest.partition("/")[2], query.get("popreceipt", ""))
            return 400, "", "UnsupportedHttpVerb"

    def _given(self, messages: list[Message], query: dict[str, str]) -> str:
        wanted, invisible = int(query.get("numofmessages", "1")), float(query.get("visibilitytimeout", "30"))
        shown = [message for message in messages if message.hidden_until <= self.now()][:wanted]
        for message in shown:
            message.hidden_until = self.now() + invisible
            message.receipt, message.dequeued = uuid.uuid4().hex, message.dequeued + 1
        return (
            '<?xml version="1.0" encoding="utf-8"?><QueueMessagesList>'
            + "".join(_shown(message) for message in shown)
            + "</QueueMessagesList>"
        )

    @staticmethod
    def _deleted(messages: list[Message], id: str, receipt: str) -> tuple[int, str, str]:
        found = next((message for message in messages if message.id == id), None)
        if found is None:
            return 404, "", "MessageNotFound"
        if found.receipt != receipt:
            return 400, "", "PopReceiptMismatch"
        messages.remove(found)
        return 204, "", ""


def _shown(message: Message) -> str:
    return (
        f"<QueueMessage><MessageId>{message.id}</MessageId><InsertionTime>{_TIME}</InsertionTime>"
        f"<ExpirationTime>{_TIME}</ExpirationTime><PopReceipt>{message.receipt}</PopReceipt>"
        f"<TimeNextVisible>{_TIME}</TimeNextVisible><DequeueCount>{message.dequeued}</DequeueCount>"
        f"<MessageText>{escape(message.text)}</MessageText></QueueMessage>"
    )


def _handler(queues: StorageQueues) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # headers and body are two sends: else an answer waits 40 ms
        timeout = 30

        def do_GET(self) -> None:
            self._handle()

        def do_DELETE(self) -> None:
            self._handle()

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing: the calls are on record."""

        def _handle(self) -> None:
            parts = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            token = self.headers.get("Authorization", "")
            status, body, code = queues.answer(self.command, unquote(parts.path), query, token)
            if code:
                body = (
                    f'<?xml version="1.0" encoding="utf-8"?><Error><Code>{code}</Code>'
                    f"<Message>{code}</Message></Error>"
                )
            data = body.encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/xml")
            self.send_header("Content-Length", str(len(data)))
            self.send_header("x-ms-version", self.headers.get("x-ms-version", ""))
            if code:
                self.send_header("x-ms-error-code", code)
            self.end_headers()
            self.wfile.write(data)

    return Handler
