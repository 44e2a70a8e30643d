"""Leading: of several processes on one Postgres, one at a time may do what must not be done twice."""

from __future__ import annotations

import contextlib
import threading

from sqlalchemy.engine import make_url

from twokey.advisory_locks import AdvisoryLock


class Leader:
    """Says whether this process leads. On Postgres that is a session lock, which dies with its connection;
    an SQLite file has one process anyway."""

    def __init__(self, url: str) -> None:
        parsed = make_url(url)
        self._dsn = ""
        if parsed.get_backend_name() == "postgresql":
            self._dsn = parsed.set(drivername="postgresql").render_as_string(hide_password=False)
        self._mutex = threading.Lock()
        self._connection: object | None = None

    def __call__(self) -> bool:
        """Try to lead, or to go on leading; False when another does or the database is away."""
        if not self._dsn:
            return True
        import psycopg

        with self._mutex:
            try:
                if not isinstance(self._connection, psycopg.Connection):
                    self._connection = psycopg.connect(self._dsn, autocommit=True, connect_timeout=5)
                    self._holds = False
                if self._holds:
                    self._connection.execute("SELECT 1")
                    return True
                row = self._connection.execute(
                    "SELECT pg_try_advisory_lock(%s)", (AdvisoryLock.LEAD,)
                ).fetchone()
                self._holds = bool(row and row[0])
                return self._holds
            except psycopg.Error:
                self._forget()
                return False

    def close(self) -> None:
        """Let another lead."""
        with self._mutex:
            self._forget()

    def _forget(self) -> None:
        close = getattr(self._connection, "close", None)
        self._connection = None
        if close:
            with contextlib.suppress(Exception):  # a connection that is gone cannot be closed better
                close()
