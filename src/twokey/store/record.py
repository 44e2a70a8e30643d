"""The record in SQL: open it, look, change, receive."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from twokey.core.audit import GENESIS, is_head
from twokey.core.errors import Invalid, Tampered
from twokey.core.jobs import sort_jobs
from twokey.core.people import Actor
from twokey.core.signals import RawNotification
from twokey.ports import Clock, Snapshot, Transaction
from twokey.store import schema
from twokey.store.chain import Row, data_text, export_line, verify_rows
from twokey.store.databases import Database
from twokey.store.kinds import Completions, get_ready, kind_of
from twokey.store.queue import SqlQueue
from twokey.store.reading import SqlSnapshot
from twokey.store.transaction import Defer, SqlTransaction
from twokey.store.types import key_text

_RAW = kind_of(RawNotification)
BEFORE_ALL = -(2**62)  # an entry that was put in before the first one must be read to be found


def open_store(
    url: str,
    clock: Clock,
    *,
    defer: Defer | None = None,
    migrate: bool = False,
    completions: Completions | None = None,
) -> SqlStore:
    """Open the record at `sqlite:///path` or `postgresql://...`, and refuse it when it cannot be trusted.

    A new SQLite file gets its tables by itself; all else needs `twokey migrate`, unless `migrate` is set.
    With `defer`, owed jobs go to another engine in the same transaction instead of waiting in our table.
    `completions` bring up to date what an earlier version wrote, whenever it is read.
    """
    database = Database(url)
    try:
        database.check_settings()
        with database.inspecting() as connection:
            is_new = database.is_sqlite and schema.is_empty(connection)
        if is_new or migrate:
            schema.migrate(url)
        with database.inspecting() as connection:
            schema.require_head(connection)
    except BaseException:
        database.close()
        raise
    get_ready()
    return SqlStore(database, clock, defer, completions)


class SqlStore:
    """See ports.Store. Safe to use from any thread."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        defer: Defer | None = None,
        completions: Completions | None = None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._defer = defer
        self._completions = completions or {}
        self._queue = SqlQueue(database)

    @contextmanager
    def read(self) -> Iterator[Snapshot]:
        """Look without changing."""
        with self._database.reading() as session:
            yield SqlSnapshot(session, self._completions)

    @contextmanager
    def change(self, *, patient: bool = False) -> Iterator[Transaction]:
        """Change something; leaving the block keeps it, an exception keeps nothing."""
        with self._changing(patient=patient) as transaction:
            yield transaction

    @contextmanager
    def _changing(self, *, patient: bool = False) -> Iterator[SqlTransaction]:
        with self._database.changing(patient=patient) as session:
            transaction = SqlTransaction(session, self._clock, self._defer, self._completions)
            yield transaction
            transaction.finish()
        if transaction.owed and not self._defer:
            self._queue.wake(len(transaction.owed))

    def receive(self, notifications: Sequence[RawNotification], actor: Actor) -> list[str]:
        """Keep a batch of notifications; return the ids that were new. Durable when it returns.

        What cannot be kept (not a notification at all) does not keep the others from it: they are kept,
        and Invalid names the bad ones, so that nobody acknowledges those.
        """
        rows, bad = _rows(notifications)
        kept: list[str] = []
        if rows:
            with self._changing() as change:
                known = change.known(RawNotification, list(rows))
                new = [row for key, row in rows.items() if key not in known]
                kept = [row["id"] for row in new]
                if kept:
                    change.insert_new(RawNotification, new)
                    change.append_all([(actor, "received", ("", ""), _receipt(row)) for row in new])
                    change.enqueue_new(sort_jobs(kept))
        if bad:
            raise Invalid("store.not_kept", ids=", ".join(bad)[:500], kept=len(kept))
        return kept

    def jobs(self) -> SqlQueue:
        """Return the queue of owed jobs, for an engine in this process."""
        return self._queue

    def verify(self, *, head: tuple[int, str] | None = None) -> tuple[int, str]:
        """Prove the whole audit trail and return its head, or raise Tampered naming the first bad entry."""
        with self._database.reading() as session:
            return _verify_trail(SqlSnapshot(session, {}), head)

    def export(self, write: Callable[[str], object]) -> int:
        """Hand every audit entry to `write` as one line of canonical JSON with its hash; return how many."""
        count = 0
        with self._database.reading() as session:
            for page in _pages(SqlSnapshot(session, {})):
                for row in page:
                    write(export_line(row) + "\n")
                count += len(page)
        return count

    def close(self) -> None:
        """Give every connection back."""
        self._database.close()


def _rows(notifications: Sequence[RawNotification]) -> tuple[dict[str, dict[str, Any]], list[str]]:
    rows: dict[str, dict[str, Any]] = {}
    bad = []
    for notification in notifications:
        try:
            row = _RAW.values(notification)
            row["content"] = bytes(row["content"])
            rows.setdefault(key_text(row["id"]), row)
        except (TypeError, ValueError, AttributeError):
            bad.append(str(getattr(notification, "id", "?")))
    return rows, bad


def _receipt(row: dict[str, Any]) -> str:
    content = row["content"]
    return data_text(
        {
            "source": row["source"],
            "raw": row["id"],
            "sha256": hashlib.sha256(content).hexdigest(),
            "size": len(content),
        }
    )


def _pages(reading: SqlSnapshot) -> Iterator[list[Row]]:
    after = BEFORE_ALL
    while page := reading.audit_page(after):
        yield page
        after = page[-1][0]


def _verify_trail(reading: SqlSnapshot, head: tuple[int, str] | None) -> tuple[int, str]:
    end = (0, GENESIS)
    is_seen = head is None
    for page in _pages(reading):
        after = verify_rows(page, end)
        if head and end[0] < head[0] <= after[0]:
            if not is_head(page[head[0] - end[0] - 1][10], head[1]):
                raise Tampered("audit.head_differs", seq=head[0])
            is_seen = True
        end = after
    if head and not is_seen:
        raise Tampered("audit.cut", seq=end[0] + 1, head=head[0])
    return end
