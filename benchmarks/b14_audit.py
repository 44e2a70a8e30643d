"""B14: appending to the audit trail and proving it, beside the least that a hash chain in SQLite can cost."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import measure
import programs
from measure import Figures, Outcome, Size, at_least, at_most, compared, timed
from twokey import app
from twokey.core.people import system
from twokey.store import SqlStore, open_store

WHO = system("benchmark")
DATA = {"signal": "s" * 60, "raw": "raw-" + "0" * 32, "count": 7, "text": "x" * 100}
ENTRY = json.dumps({"actor": "a", "action": "joined", "incident": "INC-1", "data": DATA}).encode()


@contextmanager
def record(home: Path) -> Iterator[SqlStore]:
    """Open a fresh record, as the program does."""
    store = open_store(f"sqlite:///{home}/record.db", app.SystemClock())
    try:
        yield store
    finally:
        store.close()


def appended(store: SqlStore, count: int) -> float:
    """Append entries, one durable change each, and return microseconds for one."""

    def work() -> None:
        for _ in range(count):
            with store.change() as tx:
                tx.append(WHO, "joined", incident_id="INC-1", data=DATA)

    return timed(work) / count * 1e6


def filled(store: SqlStore, entries: int) -> None:
    """Append many entries, a thousand in one change."""
    for start in range(0, entries, 1000):
        with store.change() as tx:
            for _ in range(min(1000, entries - start)):
                tx.append(WHO, "joined", incident_id="INC-1", data=DATA)


@contextmanager
def bare(home: Path) -> Iterator[sqlite3.Connection]:
    """Open a bare table, as durable as ours."""
    link = sqlite3.connect(home / "bare.db", isolation_level=None)
    link.execute("PRAGMA journal_mode=WAL")
    link.execute("PRAGMA synchronous=FULL")
    link.execute("CREATE TABLE entry (seq INTEGER PRIMARY KEY, hash TEXT, body BLOB)")
    try:
        yield link
    finally:
        link.close()


def bare_append(link: sqlite3.Connection, count: int, last: str) -> tuple[float, str]:
    """Hash and insert, one durable transaction each."""

    def work() -> None:
        nonlocal last
        for _ in range(count):
            last = hashlib.sha256(last.encode() + ENTRY).hexdigest()
            link.execute("BEGIN IMMEDIATE")
            link.execute("INSERT INTO entry (hash, body) VALUES (?, ?)", (last, ENTRY))
            link.execute("COMMIT")

    return timed(work) / count * 1e6, last


def bare_verify(link: sqlite3.Connection) -> None:
    """Read and hash every entry."""
    last = ""
    for held, body in link.execute("SELECT hash, body FROM entry ORDER BY seq"):
        last = hashlib.sha256(last.encode() + body).hexdigest()
        if last != held:
            raise RuntimeError("the bare chain is broken")


def run(size: Size) -> Outcome:
    """Measure in turns; both sides keep what the rounds before them wrote."""
    count, entries = size.of(2000, 300), size.of(300_000, 20_000)
    with programs.folder() as home, record(home) as store, bare(home) as link:
        last = ""

        def append() -> Figures:
            return {"µs": appended(store, count)}

        def bare_() -> Figures:
            nonlocal last
            took, last = bare_append(link, count, last)
            return {"µs": took}

        appending = measure.interleaved(size, {"twokey": append, "bare": bare_})
        filled(store, entries)
        link.execute("BEGIN")
        for _ in range(entries):
            last = hashlib.sha256(last.encode() + ENTRY).hexdigest()
            link.execute("INSERT INTO entry (hash, body) VALUES (?, ?)", (last, ENTRY))
        link.execute("COMMIT")
        total = entries + size.rounds * count
        proving = measure.interleaved(
            size,
            {
                "twokey": lambda: {"rate": total / timed(store.verify)},
                "bare": lambda: {"rate": total / timed(lambda: bare_verify(link))},
            },
        )
    name = "hashlib and sqlite3"
    proving[name], appending[name] = proving["bare"], appending["bare"]
    what = f"audit verify, {entries:,} entries"
    return [
        compared("B14", "audit append, durable", "µs", appending, "µs", peer=name, goal=at_most(2)),
        compared("B14", what, "/s", proving, "rate", peer=name, goal=at_least(0.4)),
        compared("B14", what, "/s", proving, "rate", goal=at_least(150_000), stretch=at_least(300_000)),
    ]


if __name__ == "__main__":
    measure.main(run, __doc__)
