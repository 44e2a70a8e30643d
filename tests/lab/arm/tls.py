"""HTTPS on the loopback address, in a thread, with a certificate of its own."""

from __future__ import annotations

import ssl
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.lab.arm.certificate import write_certificate


class TlsServer(ThreadingHTTPServer):
    """A server whose handshakes run in the connections' own threads: a client that never speaks stops nobody."""

    daemon_threads = True
    context: ssl.SSLContext

    def finish_request(self, request: object, client_address: object) -> None:
        """Secure the connection first."""
        try:
            secured = self.context.wrap_socket(request, server_side=True)  # type: ignore[arg-type]
        except OSError:
            return
        with secured:
            super().finish_request(secured, client_address)

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: a client that goes away is part of the tests."""


class Serving:
    """A TlsServer at work: `base_url` is where, `ca_bundle` what a client has to trust."""

    def __init__(self, handler: type[BaseHTTPRequestHandler]) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="tls-")
        certificate, key = write_certificate(Path(self._folder.name))
        self._server = TlsServer(("127.0.0.1", 0), handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self._server.context = context
        self.ca_bundle = str(certificate)
        self.base_url = f"https://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End it, and wait for that."""
        self._server.shutdown()
        self._thread.join(5)
        self._server.server_close()
        self._folder.cleanup()
