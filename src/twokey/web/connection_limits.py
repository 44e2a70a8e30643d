"""A limit on connections whose request has not come: strangers may open many, and never hold more than a few."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True)
class ConnectionLimit:
    """Knows the connections whose request has not wholly come, in the order in which they began to wait.

    When there are too many, the one that has waited longest is closed: it is a stranger that waits on purpose.
    A request that is sent at once never gets there, so nobody is kept out by those who send slowly or nothing.
    """

    most: int
    _closing: dict[object, Callable[[], object]] = field(default_factory=dict)

    def add(self, connection: object, close: Callable[[], object]) -> None:
        """Count a connection from now on; one that is counted keeps its place."""
        self._closing.setdefault(connection, close)
        if len(self._closing) > self.most:
            oldest = next(iter(self._closing))
            self._closing.pop(oldest)()

    def remove(self, connection: object) -> None:
        """Forget a connection: its request is here, or it is gone."""
        self._closing.pop(connection, None)
