"""A small Entra on this machine: one tenant's OpenID configuration, its signing keys, and tokens signed with them."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from types import TracebackType
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.lab.arm.tls import Serving
from twokey.providers.azure.entra import ACTION_GROUPS_APP, ACTION_GROUPS_ROLE


def new_key() -> rsa.RSAPrivateKey:
    """Return a key as Entra's are."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def public_pem(key: rsa.RSAPrivateKey) -> bytes:
    """Return the public half, as an attacker has it too."""
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


@dataclass
class Entra:
    """Start with `with Entra() as entra:`; `entra.base_url` is the authority, `entra.token(...)` what it issues."""

    tenant: str = "00000000-0000-0000-0000-00000000000f"
    keys: dict[str, rsa.RSAPrivateKey] = field(default_factory=lambda: {"key-1": new_key()})
    calls: list[str] = field(default_factory=list)  # the paths that were asked for
    fails: bool = False  # 503 instead of an answer
    documents: dict[str, bytes] = field(default_factory=dict)  # by the end of a path: said instead
    base_url: str = ""
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def __enter__(self) -> Entra:
        self._serving = Serving(_handler(self))
        self.base_url, self.ca_bundle = self._serving.base_url, self._serving.ca_bundle
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._serving.stop()

    @property
    def key_reads(self) -> int:
        """Return how often the keys were asked for."""
        return sum(1 for path in self.calls if path.endswith("/keys"))

    def claims(self, now: int, **changed: Any) -> dict[str, Any]:
        """Return the claims of a token of version 2 as Azure Monitor's; None takes one away."""
        good = {
            "iss": f"{self.base_url}/{self.tenant}/v2.0",
            "aud": "api://twokey",
            "tid": self.tenant,
            "azp": ACTION_GROUPS_APP,
            "roles": [ACTION_GROUPS_ROLE],
            "iat": now - 60,
            "nbf": now - 60,
            "exp": now + 3600,
            "ver": "2.0",
        }
        return {name: value for name, value in {**good, **changed}.items() if value is not None}

    def token(self, now: int, *, key: Any = None, kid: Any = "key-1", **changed: Any) -> str:
        """Return a signed token."""
        headers = {} if kid is None else {"kid": kid}
        signer = key or self.keys["key-1"]
        return jwt.encode(self.claims(now, **changed), signer, algorithm="RS256", headers=headers)

    def answer(self, path: str) -> tuple[int, bytes]:
        """Answer one request."""
        with self._lock:
            self.calls.append(path)
        if self.fails:
            return 503, b"{}"
        for end, document in self.documents.items():
            if path.endswith(end):
                return 200, document
        if path == f"/{self.tenant}/v2.0/.well-known/openid-configuration":
            return 200, json.dumps(self._configuration()).encode()
        if path == f"/{self.tenant}/discovery/v2.0/keys":
            return 200, json.dumps(
                {"keys": [_published(kid, key) for kid, key in self.keys.items()]}
            ).encode()
        return 404, b"{}"

    def _configuration(self) -> dict[str, Any]:
        return {
            "issuer": f"{self.base_url}/{self.tenant}/v2.0",
            "jwks_uri": f"{self.base_url}/{self.tenant}/discovery/v2.0/keys",
            "token_endpoint": f"{self.base_url}/{self.tenant}/oauth2/v2.0/token",
        }


def _published(kid: str, key: rsa.RSAPrivateKey) -> dict[str, Any]:
    found: dict[str, Any] = jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return {**found, "kid": kid, "use": "sig"}


def _handler(entra: Entra) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # headers and body are two sends: else an answer waits 40 ms
        timeout = 30

        def do_GET(self) -> None:
            status, body = entra.answer(self.path)
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing: the calls are on record."""

    return Handler
