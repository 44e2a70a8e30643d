"""The way out to SNS: to the hosts of the configured topics and to nobody else, bounded in time and size."""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from twokey.core.errors import Refused, Unavailable

Reach = Callable[[str, float], socket.socket]


def reach(host: str, timeout_s: float) -> socket.socket:
    """Connect to a host's HTTPS port."""
    return socket.create_connection((host, 443), timeout=timeout_s)


@dataclass(frozen=True)
class SnsHosts:
    """Asks SNS by HTTPS. The host proves itself to the system's trust store; a redirect is an error."""

    allowed: frozenset[str]
    timeout_s: float = 4.0
    reach: Reach = field(default=reach, repr=False)
    context: ssl.SSLContext = field(default_factory=ssl.create_default_context, repr=False)

    def get(self, host: str, path: str, *, limit: int) -> bytes:
        """Return what a path holds: Unavailable when it does not come whole, in time and within `limit` bytes."""
        if host not in self.allowed:
            raise Refused("aws.sns.host", host=host)
        try:
            return self._get(host, path, limit)
        except (OSError, ValueError, http.client.HTTPException) as fault:
            raise Unavailable("aws.sns.unreachable", host=host, error=type(fault).__name__) from fault

    def _get(self, host: str, path: str, limit: int) -> bytes:
        with contextlib.closing(self.reach(host, self.timeout_s)) as plain:
            # The handshake waits until the clock of `_cut_after` runs: a host may be slow at any point.
            link = self.context.wrap_socket(plain, server_hostname=host, do_handshake_on_connect=False)
            with contextlib.closing(link), _cut_after(link, self.timeout_s) as is_cut:
                link.do_handshake()
                asking = http.client.HTTPConnection(host, timeout=self.timeout_s)
                asking.sock = link
                asking.request("GET", path, headers={"Accept-Encoding": "identity", "Connection": "close"})
                answer = asking.getresponse()
                body = answer.read(limit + 1)
        if is_cut.is_set():
            raise TimeoutError
        if answer.status != 200 or len(body) > limit:
            raise Unavailable("aws.sns.answered", host=host, status=answer.status, size=len(body))
        return body


@contextlib.contextmanager
def _cut_after(link: socket.socket, seconds: float) -> Iterator[threading.Event]:
    """Cut a connection after so many seconds, however slowly the other side goes on."""
    is_cut = threading.Event()

    def cut() -> None:
        is_cut.set()
        with contextlib.suppress(OSError):  # it may be over already
            # Not SSLSocket's own: that one pulls the session from under the thread that reads.
            socket.socket.shutdown(link, socket.SHUT_RDWR)

    timer = threading.Timer(seconds, cut)
    timer.daemon = True
    timer.start()
    try:
        yield is_cut
    finally:
        timer.cancel()
