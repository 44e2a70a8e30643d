"""SNS as its HTTPS subscribers see it: signed messages, the certificate's host, and confirmations.

The hosts are a real TLS server on the loopback address with names that a test authority vouches for; only where
a name leads is replaced (`reach`), and every name that was asked for is written down.
"""

from __future__ import annotations

import base64
import json
import socket
import ssl
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any
from uuid import UUID, uuid5

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests.lab.aws.authority import Authority
from twokey.testing.clocks import START

TOPIC = "arn:aws:sns:us-east-1:111111111111:twokey-findings"
CERTIFICATE = "/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem"
_SIGNED = ("Message", "MessageId", "Subject", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
_HASHES = {"1": hashes.SHA1, "2": hashes.SHA256}
_NAMES = UUID("7a1f0f1e-6c1c-4a53-9d4e-1f2f6c1d2b3a")


@dataclass
class FakeSns:
    """`with FakeSns(folder) as sns:` and then `sns.notification(...)`, `sns.reach`, `sns.context`.

    `answers` are whole raw HTTP answers by path, in place of the usual one; `slow_s` is slept between the bytes
    of an answer's body. `asked` are the requests that came, `reached` the hosts that somebody connected to.
    """

    folder: Path
    topic: str = TOPIC
    certificate: str = CERTIFICATE
    now: datetime = START
    slow_s: float = 0.0
    answers: dict[str, bytes] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    reached: list[str] = field(default_factory=list)
    confirmed: list[str] = field(default_factory=list)
    pem: bytes = b""
    _server: ThreadingHTTPServer | None = None

    def __post_init__(self) -> None:
        self.region = self.topic.split(":")[3]
        self.host = f"sns.{self.region}.amazonaws.com"
        self.authority = Authority("Amazon RSA 2048 M01", self.now)
        self.signer = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.pem = self.authority.issue("sns.amazonaws.com", self.signer)

    def __enter__(self) -> FakeSns:
        trust = Authority("Test trust", datetime.now(UTC))  # a real handshake looks at the real time
        chain = trust.write(self.folder, self.host)
        server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        self.context = ssl.create_default_context(cadata=trust.pem.decode())
        self._server = server
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.shutdown()
        self._server.server_close()

    def reach(self, host: str, timeout_s: float) -> socket.socket:
        """Lead every name to this server, and write down which it was."""
        assert self._server is not None
        self.reached.append(host)
        return socket.create_connection(("127.0.0.1", self._server.server_address[1]), timeout=timeout_s)

    def notification(self, message: object, number: int = 1, version: str = "2", **changes: Any) -> bytes:
        """Return the body of a signed notification; `changes` are made before it is signed."""
        text = message if isinstance(message, str) else json.dumps(message)
        said = {"Type": "Notification", "Message": text, **self._common(number, version)}
        said["UnsubscribeURL"] = f"https://{self.host}/?Action=Unsubscribe"
        return self.signed({**said, **changes})

    def confirmation(
        self, kind: str = "SubscriptionConfirmation", number: int = 1, version: str = "2", **changes: Any
    ) -> bytes:
        """Return the body of a signed confirmation, of a subscription or of its end."""
        token = "2336412f37fb687f5d51e6e241d09c805a5a57b30d712f794cc5f6a988666d92"
        address = f"https://{self.host}/?Action=ConfirmSubscription&TopicArn={self.topic}&Token={token}"
        said = {"Type": kind, "Message": "You have chosen ...", "Token": token, "SubscribeURL": address}
        return self.signed({**said, **self._common(number, version), **changes})

    def _common(self, number: int, version: str) -> dict[str, str]:
        return {
            "MessageId": str(uuid5(_NAMES, str(number))),
            "TopicArn": self.topic,
            "Timestamp": "2026-03-02T09:00:00.000Z",
            "SignatureVersion": version,
            "SigningCertURL": f"https://{self.host}{self.certificate}",
        }

    def signed(self, message: dict[str, Any]) -> bytes:
        """Return a message with its signature, as a body."""
        text = "".join(f"{name}\n{message[name]}\n" for name in _SIGNED if name in message)
        algorithm = _HASHES.get(str(message["SignatureVersion"]), hashes.SHA256)()
        signature = self.signer.sign(text.encode("utf-8", "surrogatepass"), padding.PKCS1v15(), algorithm)
        return json.dumps({**message, "Signature": base64.b64encode(signature).decode()}).encode()

    def answer(self, path: str) -> bytes:
        """Return the raw answer to a request, and remember a confirmation."""
        if path in self.answers:
            return self.answers[path]
        if path == self.certificate:
            return _http(self.pem)
        if path.startswith("/?Action=ConfirmSubscription"):
            self.confirmed.append(path)
            return _http(b"<ConfirmSubscriptionResponse/>")
        return b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"


def _http(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


def _handler(sns: FakeSns) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            sns.asked.append((self.headers.get("Host", ""), self.path))
            answer = sns.answer(self.path)
            step = 1 if sns.slow_s else len(answer)
            for start in range(0, len(answer), step):
                try:
                    self.wfile.write(answer[start : start + step])
                    self.wfile.flush()
                except OSError:  # who asked has gone
                    break
                time.sleep(sns.slow_s)
            self.close_connection = True

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

        def handle(self) -> None:
            try:
                super().handle()
            except OSError:  # a handshake that failed is the other side's finding
                self.close_connection = True

    return Handler
