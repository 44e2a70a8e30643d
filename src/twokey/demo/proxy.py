"""A proxy between the bot and an emulated cloud: logs every call, and loses answers after their effect."""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True)
class Call:
    """One request that went through. `operation` is the API's own name for it, as far as it can be told."""

    method: str
    path: str
    operation: str
    body: bytes
    status: int = 0
    at: float = field(default_factory=time.time, compare=False)

    def line(self) -> str:
        """Return it as a line of the cloud's own log, as the history checker reads it."""
        request = f"{self.path} {self.body.decode('utf-8', 'replace')}"
        at = datetime.fromtimestamp(self.at, UTC).isoformat()
        return json.dumps(
            {"at": at, "operation": self.operation, "status": self.status, "request": request[:20_000]}
        )


Hook = Callable[[Call], bool]
"""Called after the upstream answered, before the answer is passed on; False loses the answer."""


@dataclass
class CloudProxy:
    """`with CloudProxy("http://127.0.0.1:4566") as proxy:` and give `proxy.url` to the SDK.

    `before` hooks see a call that has not been passed on yet; False drops it (the effect never happens).
    `after` hooks see a call whose effect has happened; False cuts the connection instead of answering.
    """

    upstream: str
    calls: list[Call] = field(default_factory=list)
    before: list[Hook] = field(default_factory=list)
    after: list[Hook] = field(default_factory=list)
    answers: dict[str, tuple[int, bytes]] = field(
        default_factory=dict
    )  # operation -> status, body: not passed on
    _server: ThreadingHTTPServer = field(init=False, repr=False)

    def __enter__(self) -> CloudProxy:
        proxy = self

        class Handler(_Handler):
            owner = proxy

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, name="cloud-proxy", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        """Return the address to use in place of the cloud's."""
        host, port = self._server.server_address[:2]
        return f"http://{host!s}:{port}"

    def operations(self, *names: str) -> list[Call]:
        """Return the answered calls of these operations, in order; all of them without a name."""
        return [call for call in self.calls if not names or call.operation in names]


class _Handler(BaseHTTPRequestHandler):
    owner: CloudProxy
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # headers and body are two sends: without this every answer waits 40 ms

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the calls are on record."""

    def _forward(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        call = Call(
            self.command, self.path, _operation(self.command, self.path, dict(self.headers), body), body
        )
        if not _pass(self.owner.before, call):
            self._cut()
            return
        if call.operation in self.owner.answers:
            self._say(*self.owner.answers[call.operation])
            return
        parts = urlsplit(self.owner.upstream)
        upstream = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=60)
        with contextlib.closing(upstream):
            # The Host header is part of the signature, so it is passed on as it came.
            upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in ("connection", "expect"):
                    upstream.putheader(name, value)
            upstream.endheaders(body)
            answer = upstream.getresponse()
            content = answer.read()
        call = Call(call.method, call.path, call.operation, body, answer.status)
        self.owner.calls.append(call)
        if not _pass(self.owner.after, call):
            self._cut()
            return
        self.send_response_only(answer.status, answer.reason)
        for name, value in answer.getheaders():
            if name.lower() not in ("transfer-encoding", "connection", "content-length"):
                self.send_header(name, value)
        length = answer.headers.get("Content-Length") if self.command == "HEAD" else None
        self.send_header("Content-Length", length or str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            with contextlib.suppress(ConnectionError):  # the bot may have been killed meanwhile
                self.wfile.write(content)

    def _say(self, status: int, body: bytes) -> None:
        self.send_response_only(status)
        self.send_header("Content-Type", "application/x-amz-json-1.1")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _cut(self) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(2)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = do_PATCH = do_OPTIONS = _forward


def _pass(hooks: list[Hook], call: Call) -> bool:
    """Ask every hook, also those behind one that says no."""
    answers = [hook(call) for hook in list(hooks)]
    return all(answers)


def _operation(method: str, path: str, headers: dict[str, str], body: bytes) -> str:
    """Tell an AWS call's operation: X-Amz-Target (JSON), Action (query), or the S3 method and sub-resource."""
    folded = {name.lower(): value for name, value in headers.items()}
    if target := folded.get("x-amz-target"):
        return target.rpartition(".")[2]
    if folded.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return parse_qs(body.decode("utf-8", "replace")).get("Action", [""])[0]
    query = urlsplit(path).query.partition("&")[0].partition("=")[0]
    verbs = {"GET": "Get", "PUT": "Put", "DELETE": "Delete", "HEAD": "Head", "POST": "Post"}
    what = "Bucket" + query.title() if query and urlsplit(path).path.count("/") <= 1 else query.title()
    return f"{verbs.get(method, method)}{what or 'Object'}"
