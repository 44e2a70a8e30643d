"""The fake Resource Manager's door: HTTPS on loopback in a thread, with a certificate of its own."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from types import TracebackType
from urllib.parse import parse_qs, unquote, urlsplit

from azure.core.credentials import AccessToken

from tests.lab.arm.faults import Fault, error_body
from tests.lab.arm.routes import Answer, answer
from tests.lab.arm.state import ArmState
from tests.lab.arm.tls import Serving
from twokey.core.errors import Json
from twokey.providers.azure.session import AzureOptions, AzureSession

TOKEN = "fake-arm-token"  # it opens nothing but this fake


@dataclass(frozen=True, slots=True)
class Call:
    """One request that was made."""

    method: str
    path: str
    query: dict[str, str]
    body: Json = None

    @property
    def is_write(self) -> bool:
        """Say whether it asked for a change."""
        return self.method != "GET"


class FakeCredential:
    """A credential whose token only the fake accepts."""

    def get_token(self, *scopes: str, **options: object) -> AccessToken:
        """Return a token that is good for years."""
        return AccessToken(TOKEN, 4_102_444_800)


@dataclass
class Arm:
    """Start with `with Arm(state) as arm:`; `arm.session()` is ready for the real SDKs."""

    state: ArmState = field(default_factory=ArmState)
    faults: list[Fault] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    base_url: str = ""
    after: list[Callable[[Call], bool]] = field(default_factory=list)  # False cuts the connection unanswered
    _stopping: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __enter__(self) -> Arm:
        self._serving = Serving(_handler(self))
        self.base_url, self.ca_bundle = self._serving.base_url, self._serving.ca_bundle
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._serving.stop()

    def order(self, fault: Fault) -> None:
        """Spoil requests to come."""
        with self._lock:
            self.faults.append(fault)

    def options(self, *subscriptions: str) -> AzureOptions:
        """Return options that lead here; all known subscriptions unless some are named."""
        return AzureOptions(
            tenant=self.state.tenant,
            subscriptions=subscriptions or tuple(self.state.subscriptions),
            base_url=self.base_url,
            ca_bundle=self.ca_bundle,
            use_environment_proxy=False,
            connect_timeout_s=2,
            read_timeout_s=5,
        )

    def session(self, *subscriptions: str) -> AzureSession:
        """Return a session of the real SDKs that leads here."""
        return AzureSession(self.options(*subscriptions), FakeCredential())

    @property
    def writes(self) -> list[Call]:
        """Return the requests that asked for a change."""
        return [call for call in self.calls if call.is_write]

    def answer(self, call: Call, token: str) -> tuple[Fault | None, Answer]:
        """Answer one request; the fault that spoils it comes along."""
        with self._lock:
            self.calls.append(call)
            fault = next((f for f in self.faults if f.fits(call.method, call.path)), None)
            if fault:
                fault.times -= 1
        if fault and fault.delay_s:
            self._stopping.wait(fault.delay_s)
        if token != f"Bearer {TOKEN}":
            return fault, Answer(401, error_body("AuthenticationFailed", "Authentication failed."))
        if fault and (fault.status or (fault.cut and not fault.after_effect)):
            return fault, Answer(fault.status, error_body(fault.code, fault.text))
        with self._lock:
            return fault, answer(
                self.state,
                self.base_url,
                method=call.method,
                path=call.path,
                query=call.query,
                body=call.body,
            )


def _handler(arm: Arm) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        timeout = 30

        def do_GET(self) -> None:
            self._handle()

        def do_PATCH(self) -> None:
            self._handle()

        def do_PUT(self) -> None:
            self._handle()

        def do_POST(self) -> None:
            self._handle()

        def do_DELETE(self) -> None:
            self._handle()

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing: the calls are on record."""

        def _handle(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            parts = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            call = Call(self.command, unquote(parts.path), query, body)
            fault, found = arm.answer(call, self.headers.get("Authorization", ""))
            hooks = [hook(call) for hook in list(arm.after)]  # every one is asked
            if not all(hooks) or (fault and fault.cut):
                self.close_connection = True
                return
            self._send(found, fault)

        def _send(self, found: Answer, fault: Fault | None) -> None:
            data = b"" if found.body is None else json.dumps(found.body).encode()
            self.send_response(found.status)
            self.send_header("Content-Type", "application/json; charset=utf-8")
            self.send_header("Content-Length", str(len(data)))
            for name, value in found.headers.items():
                self.send_header(name, value)
            if fault and fault.retry_after:
                self.send_header("Retry-After", fault.retry_after)
            self.end_headers()
            self.wfile.write(data)

    return Handler
