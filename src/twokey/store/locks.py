"""Locks for changing the record: a fair one in this process, a file lock among the processes of one SQLite file."""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from twokey.core.errors import Unavailable

PATIENCE_S = 0.005
"""A patient one waits as if it had come that much later: others go first, and it does not starve. With 0.1 s only
ten matters a second were sorted while the record was busy."""

_LOOK_AGAIN_S = 0.002  # at who stands first among the processes

_Ticket = tuple[float, int]  # since when it counts, and whose it is


class FairLock:
    """A lock that is given in the order in which it was asked for.

    It notices a change inside a change, which would wait for itself for ever.
    """

    def __init__(self, longest_s: float, *, patience_s: float = PATIENCE_S) -> None:
        self._longest_s, self._patience_s = longest_s, patience_s
        self._changed = threading.Condition()
        self._owner: int | None = None
        self._waiting: list[_Ticket] = []

    @contextmanager
    def held(self, *, patient: bool = False) -> Iterator[None]:
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


class FileLock:
    """Where the processes of one SQLite file line up: one at a time asks SQLite for its lock.

    SQLite lets those who wait look again up to ten times a second, and whoever has just written asks again within
    a millisecond: on a disk that takes 0.3 s for a sync one process wrote for ten seconds and the others gave up.
    Now it finds somebody before it. A lock of the system's, so it ends with its process; where there can be none
    (a full or foreign file system) SQLite's own waiting is what is left.
    """

    def __init__(self, database: str, longest_s: float) -> None:
        self._path, self._longest_s = f"{os.path.realpath(database)}-line", longest_s
        self._file: int | None = None

    @contextmanager
    def held(self) -> Iterator[None]:
        """Wait until nobody stands before us, and stand there; Unavailable when that takes too long."""
        file = self._opened()
        if file is None:
            yield
            return
        until = time.monotonic() + self._longest_s
        while not _is_locked(file):
            if time.monotonic() > until:
                raise Unavailable("store.unavailable", reason="database is locked")
            time.sleep(_LOOK_AGAIN_S)
        try:
            yield
        finally:
            fcntl.flock(file, fcntl.LOCK_UN)

    def _opened(self) -> int | None:
        if self._file is None:
            with suppress(OSError):
                self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        return self._file

    def close(self) -> None:
        """Give the file back."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


def _is_locked(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # this file system has no such locks
        return True
    return True
