"""Connections that owe us something: strangers may open as many as they like, and never hold more than a few."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Owing:
    """Knows the connections whose request has not wholly come, in the order in which they began to owe.

    When there are too many, the one that has owed longest is closed: it is a stranger that waits on purpose.
    A request that is sent at once never gets there, so nobody is kept out by those who send slowly or nothing.
    """

    most: int
    _closing: dict[object, Callable[[], object]] = field(default_factory=dict)

    def add(self, connection: object, close: Callable[[], object]) -> None:
        """Take note of a connection that owes from now on; one that is known keeps its place."""
        self._closing.setdefault(connection, close)
        if len(self._closing) > self.most:
            oldest = next(iter(self._closing))
            self._closing.pop(oldest)()

    def settled(self, connection: object) -> None:
        """Forget a connection: its request is here, or it is gone."""
        self._closing.pop(connection, None)
