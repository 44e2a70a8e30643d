"""Connections to the two databases, set up explicitly and read back: nothing is left to a default."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import NullPool, QueuePool

from twokey.advisory_locks import AdvisoryLock
from twokey.core.errors import Invalid, Unavailable
from twokey.store.database_files import DatabaseFiles, make_private
from twokey.store.failures import database_failures
from twokey.store.locks import FairLock, FileLock
from twokey.store.session import Session, dialect_of

BUSY_MS = 10_000

# WAL with FULL: an answered commit has reached the disk. SQLite's and SQLAlchemy's defaults differ.
_SQLITE = {"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "busy_timeout": str(BUSY_MS)}
# The queue's marks may be lost in a power cut: then a job runs again, which jobs allow. So they need
# no sync of their own, and one event costs one sync for its intake and one for its sorting.
_SQLITE_QUEUE = {**_SQLITE, "synchronous": "1"}
_SQLITE_READ = {**_SQLITE, "query_only": "1"}

_POSTGRES = {
    "synchronous_commit": "on",
    "TimeZone": "UTC",
    "lock_timeout": "30s",
    # A process that was stopped in the middle of a change must not hold up all the others.
    "idle_in_transaction_session_timeout": "60s",
}


def parsed(url: str) -> URL:
    """Return a database URL with the driver that is used; refuse what is neither SQLite nor Postgres."""
    try:
        made = make_url(url)
    except ArgumentError as error:
        raise Invalid("store.url", url=_without_password(url)) from error
    if made.drivername == "sqlite":
        if not made.database or made.database == ":memory:":
            raise Invalid("store.url", url="sqlite://")
        return made
    if made.drivername in ("postgresql", "postgres", "postgresql+psycopg"):
        return made.set(drivername="postgresql+psycopg")
    raise Invalid("store.url", url=_without_password(url))


def _without_password(url: str) -> str:
    return url.split("://", 1)[0] + "://..."


class Database:
    """One database and the three ways into it: reading, changing the record, and marking jobs."""

    def __init__(self, url: str) -> None:
        self.url = parsed(url)
        self.is_sqlite = self.url.drivername == "sqlite"
        self._dialect = dialect_of(self.url.drivername)
        self._lock = FairLock(BUSY_MS * 3 / 1000)
        self._files = DatabaseFiles(str(self.url.database)) if self.is_sqlite else None
        self._file_lock = FileLock(str(self.url.database), BUSY_MS / 1000) if self.is_sqlite else None
        if self.is_sqlite:
            self._read = _sqlite(self.url, _SQLITE_READ, "BEGIN", size=8)
            self._write = _sqlite(self.url, _SQLITE, "BEGIN IMMEDIATE", size=2)
            self._queue = _sqlite(self.url, _SQLITE_QUEUE, "BEGIN IMMEDIATE", size=2)
        else:
            self._read = _postgres(self.url, size=8, isolation="REPEATABLE READ", readonly=True)
            self._write = _postgres(self.url, size=4, isolation="READ COMMITTED")
            self._queue = self._write

    @contextmanager
    def inspecting(self) -> Iterator[Connection]:
        """Look at the tables themselves."""
        with database_failures(), self._read.begin() as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """Look at one consistent state; nothing can be written through it."""
        with database_failures(), self._session(self._read, "BEGIN") as session:
            yield session

    @contextmanager
    def changing(self, *, patient: bool = False) -> Iterator[Session]:
        """Change the record: one at a time, in this process and among all processes.

        Within this process, one that is patient lets the others go first.
        """
        # SQLite waits by polling with growing sleeps; within one process a lock hands over at once.
        with self._lock.held(patient=patient):
            with self._one_by_one(self._write, AdvisoryLock.CHANGE) as session:
                yield session
            self._require_on_disk()

    def _require_on_disk(self) -> None:
        """Refuse a change whose files were taken away: what is written into a deleted WAL dies with us."""
        if self._files is None or self._files.are_there():
            return
        with database_failures():
            raw = self._write.raw_connection()
            try:
                # Our connection still has the deleted file open: its content is moved into the database.
                row = raw.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            finally:
                raw.close()
        if not self._files.can_be_saved or row is None or row[0] != 0:
            raise Unavailable("store.files_gone", path=self.url.database)
        self._files.forget()
        for engine in (self._read, self._write, self._queue):
            engine.dispose()  # the next connections make the WAL anew

    @contextmanager
    def marking(self) -> Iterator[Session]:
        """Mark jobs as taken or settled."""
        lock = self._lock.held() if self.is_sqlite else nullcontext()
        with lock, self._one_by_one(self._queue, AdvisoryLock.QUEUE) as session:
            yield session

    @contextmanager
    def _one_by_one(self, engine: Engine, lock: int) -> Iterator[Session]:
        with database_failures(), self._session(engine, "BEGIN IMMEDIATE", self._file_lock) as session:
            if not self.is_sqlite:
                session.driver.execute("SELECT pg_advisory_xact_lock(%s)", (lock,))
            yield session

    @contextmanager
    def _session(self, engine: Engine, begin: str, file_lock: FileLock | None = None) -> Iterator[Session]:
        """Give a transaction: leaving it keeps what was done, an exception keeps nothing."""
        pooled = engine.raw_connection()
        try:
            driver: Any = pooled.driver_connection
            if self.is_sqlite:  # psycopg begins by itself
                with file_lock.held() if file_lock else nullcontext():
                    driver.execute(begin)
            yield Session(driver, self._dialect)
            driver.commit()
        finally:
            pooled.close()  # the pool rolls back what was not committed

    def check_settings(self) -> None:
        """Read back what durability rests on, and refuse to work without it."""
        for engine, wanted in self._wanted():
            with database_failures(), engine.connect() as connection:
                for name, value in wanted.items():
                    statement = f"PRAGMA {name}" if self.is_sqlite else f"SHOW {name}"
                    found = str(connection.exec_driver_sql(statement).scalar()).lower()
                    if found != value:
                        raise Unavailable("store.setting", name=name, found=found, wanted=value)

    def _wanted(self) -> list[tuple[Engine, dict[str, str]]]:
        if self.is_sqlite:
            return [(self._read, _SQLITE_READ), (self._write, _SQLITE), (self._queue, _SQLITE_QUEUE)]
        return [(self._write, {"synchronous_commit": "on", "fsync": "on"})]

    def close(self) -> None:
        """Give every connection back."""
        for engine in (self._read, self._write, self._queue):
            engine.dispose()
        if self._file_lock:
            self._file_lock.close()


def one_connection(url: str) -> Engine:
    """Return an engine for a migration: a connection of its own, set up as for changes."""
    made = parsed(url)
    if made.drivername == "sqlite":
        return _sqlite(made, _SQLITE, "BEGIN IMMEDIATE", size=0)
    return _postgres(made, size=0, isolation="READ COMMITTED")


def _sqlite(url: URL, pragmas: dict[str, str], begin: str, *, size: int) -> Engine:
    pool: dict[str, Any] = {"poolclass": NullPool}
    if size:
        pool = {"poolclass": QueuePool, "pool_size": size, "max_overflow": 24, "pool_timeout": 30}
    engine = create_engine(url, connect_args={"check_same_thread": False, "timeout": BUSY_MS / 1000}, **pool)

    @event.listens_for(engine, "do_connect")
    def make_for_us_alone(*_: Any) -> None:
        make_private(str(url.database))

    @event.listens_for(engine, "connect")
    def set_up(connection: Any, _: Any) -> None:
        # The driver's own idea of when a transaction begins is switched off: ours is said below.
        connection.isolation_level = None
        for name, value in pragmas.items():
            _pragma(connection, name, value)

    @event.listens_for(engine, "begin")
    def begin_(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine


def _pragma(connection: Any, name: str, value: str) -> None:
    """Set a pragma. Changing the journal does not wait for others as everything else does: so we wait."""
    for _ in range(20):
        try:
            connection.execute(f"PRAGMA {name}={value}")
        except sqlite3.OperationalError as error:
            if name != "journal_mode" or "locked" not in str(error):
                raise
            connection.execute("BEGIN IMMEDIATE")  # waits, up to the busy timeout, until the other is done
            connection.execute("ROLLBACK")
        else:
            return
    connection.execute(f"PRAGMA {name}={value}")


def _postgres(url: URL, *, size: int, isolation: str, readonly: bool = False) -> Engine:
    options = " ".join(f"-c {name}={value}" for name, value in _POSTGRES.items())
    pool: dict[str, Any] = {"poolclass": NullPool}
    if size:
        pool = {"pool_size": size, "max_overflow": 24, "pool_timeout": 30, "pool_pre_ping": True}
    engine = create_engine(
        url,
        isolation_level=isolation,
        connect_args={"options": options, "connect_timeout": 10, "application_name": "twokey"},
        **pool,
    )

    @event.listens_for(engine, "connect")
    def set_up(connection: Any, _: Any) -> None:
        connection.read_only = readonly

    return engine
