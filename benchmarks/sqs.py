"""An SQS queue on the loopback address, as much of it as one reader needs, and quick enough to be measured against."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections import deque
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Queue:
    """Messages that wait, with the moment (monotonic ns) at which each was handed out and deleted.

    `before_delete` is asked with a body before a delete is answered; what it raises is kept in `faults`.
    """

    def __init__(self, before_delete: Callable[[bytes], None] | None = None) -> None:
        self._waiting: deque[bytes] = deque()
        self._more = threading.Condition()
        self._bodies: dict[str, bytes] = {}
        self._before_delete = before_delete
        self.handed: dict[bytes, int] = {}
        self.deleted: dict[bytes, int] = {}
        self.faults: list[str] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"
        self.url = f"{self.endpoint}/123456789012/findings"

    def __enter__(self) -> Queue:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def put(self, bodies: list[bytes]) -> None:
        """Let messages arrive."""
        with self._more:
            self._waiting.extend(bodies)
            self._more.notify_all()

    def _receive(self, asked: dict[str, Any]) -> dict[str, Any]:
        with self._more:
            self._more.wait_for(lambda: bool(self._waiting), timeout=float(asked.get("WaitTimeSeconds", 0)))
            most = min(int(asked.get("MaxNumberOfMessages", 1)), len(self._waiting))
            bodies = [self._waiting.popleft() for _ in range(most)]
        messages = []
        for body in bodies:
            digest = hashlib.md5(body).hexdigest()  # what SQS itself says of a body
            handle = f"{digest}-{len(self._bodies)}"
            self._bodies[handle] = body
            self.handed[body] = time.monotonic_ns()
            known = {"MessageId": digest, "ReceiptHandle": handle, "MD5OfBody": digest}
            messages.append({**known, "Body": body.decode()})
        return {"Messages": messages} if messages else {}

    def _delete(self, asked: dict[str, Any]) -> dict[str, Any]:
        done = []
        for entry in asked["Entries"]:
            body = self._bodies[entry["ReceiptHandle"]]
            try:
                if self._before_delete:
                    self._before_delete(body)
            except Exception as fault:  # told by the benchmark: this thread has nobody to tell
                self.faults.append(str(fault))
            self.deleted[body] = time.monotonic_ns()
            done.append({"Id": entry["Id"]})
        return {"Successful": done, "Failed": []}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        queue = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # headers and body are two sends: else an answer waits 40 ms

            def do_POST(self) -> None:
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])) or b"{}")
                operation = self.headers.get("X-Amz-Target", "").rpartition(".")[2]
                known = {"ReceiveMessage": queue._receive, "DeleteMessageBatch": queue._delete}
                answer = json.dumps(known[operation](asked) if operation in known else {}).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/x-amz-json-1.0")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        return Handler
