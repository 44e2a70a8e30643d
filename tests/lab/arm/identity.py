"""The managed identity of this machine: the endpoint that App Service gives a container, for the real azure-identity.

https://learn.microsoft.com/azure/app-service/overview-managed-identity#rest-endpoint-reference
"""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from urllib.parse import parse_qs, urlsplit

HEADER = "a-header-that-a-forged-request-cannot-have"
_UNTIL = 4_102_444_800  # the year 2100


class Identity:
    """`with Identity(token, resource) as identity:`; processes with `identity.variables` sign in here."""

    def __init__(self, token: str, *resources: str) -> None:
        self.token, self.resources = token, resources
        self.asked: list[str] = []

    def __enter__(self) -> Identity:
        identity = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, body = identity.answer(self.path, self.headers.get("X-IDENTITY-HEADER", ""))
                data = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json; charset=utf-8")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing: what was asked for is on record."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def variables(self) -> dict[str, str]:
        """Return what App Service puts into the environment, and nothing that would be found before it."""
        return {
            "IDENTITY_ENDPOINT": f"http://127.0.0.1:{self._server.server_address[1]}/msi/token",
            "IDENTITY_HEADER": HEADER,
        }

    def answer(self, target: str, header: str) -> tuple[int, dict[str, str]]:
        """Hand out a token for one of the resources, to whoever knows the header."""
        parts = urlsplit(target)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if header != HEADER or parts.path != "/msi/token":
            return 401, {"error": "unauthorized"}
        resource = query.get("resource", "")
        if query.get("api-version") != "2019-08-01" or resource not in self.resources:
            return 400, {"error": "invalid_resource", "error_description": resource}
        self.asked.append(resource)
        return 200, {
            "access_token": self.token,
            "expires_on": str(_UNTIL),
            "resource": resource,
            "token_type": "Bearer",
        }
