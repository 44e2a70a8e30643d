"""Whose turn it is to change the record, in this process."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from twokey.core.errors import Unavailable

PATIENCE_S = 0.005
"""A patient one waits as if it had come that much later: others go first, and it does not starve. With 0.1 s only
ten matters a second were sorted while the record was busy."""

_Ticket = tuple[float, int]  # since when it counts, and whose it is


class Turns:
    """A lock that is given in the order in which it was asked for.

    It notices a change inside a change, which would wait for itself for ever.
    """

    def __init__(self, longest_s: float, *, patience_s: float = PATIENCE_S) -> None:
        self._longest_s, self._patience_s = longest_s, patience_s
        self._changed = threading.Condition()
        self._owner: int | None = None
        self._waiting: list[_Ticket] = []

    @contextmanager
    def taken(self, *, patient: bool = False) -> Iterator[None]:
        """Wait for a turn and have it; Unavailable when that takes too long."""
        me = threading.get_ident()
        if self._owner == me:
            raise RuntimeError("a change inside a change: finish the first one")
        with self._changed:
            self._wait((time.monotonic() + (self._patience_s if patient else 0.0), me))
            self._owner = me
        try:
            yield
        finally:
            with self._changed:
                self._owner = None
                self._changed.notify_all()

    def _wait(self, ticket: _Ticket) -> None:
        if self._owner is None and not self._waiting:
            return
        self._waiting.append(ticket)
        try:
            if not self._changed.wait_for(lambda: self._is_next(ticket), self._longest_s):
                raise Unavailable("store.unavailable", reason="database is locked")
        finally:
            self._waiting.remove(ticket)

    def _is_next(self, ticket: _Ticket) -> bool:
        return self._owner is None and ticket == min(self._waiting)
