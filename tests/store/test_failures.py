"""What a database can do to us: it says Unavailable, keeps nothing half, and goes on when it is mended."""

from __future__ import annotations

import os
import sqlite3
import threading
from pathlib import Path

import psycopg
import pytest

from tests.lab.postgres import Postgres
from twokey.core.errors import Unavailable
from twokey.core.people import system
from twokey.core.signals import RawNotification, raw_id
from twokey.store import SqlStore, open_store
from twokey.testing.clocks import START, SettableClock

FLOW = system("flow")


def raw(text_: str) -> RawNotification:
    """Make a notification."""
    return RawNotification(raw_id("aws.sqs:f", text_.encode()), "aws.sqs:f", text_.encode(), START)


def test_every_connection_is_set_up_for_durability(sqlite_store: SqlStore) -> None:
    database = sqlite_store._database
    wanted = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 10_000}
    with database.changing() as session:
        for name, value in wanted.items():
            assert session.plain(f"PRAGMA {name}")[0][0] == value
    with database.marking() as session:
        assert session.plain("PRAGMA synchronous")[0][0] == 1


def test_a_look_cannot_write(sqlite_store: SqlStore, postgres_store: SqlStore) -> None:
    for store in (sqlite_store, postgres_store):
        with pytest.raises(Unavailable), store._database.reading() as session:
            session.plain("INSERT INTO counter (name, last) VALUES ('x', 1)")


def test_a_postgres_that_is_set_to_forget_is_overruled(postgres: Postgres, clock: SettableClock) -> None:
    url = postgres.migrated()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {connection.info.dbname} SET synchronous_commit = off")
    store = open_store(url, clock)
    with store._database.changing() as session:
        assert session.plain("SHOW synchronous_commit")[0][0] == "on"
    store.close()


def test_a_full_disk_says_unavailable_keeps_nothing_half_and_is_mended(
    sqlite_store: SqlStore, sqlite_url: str
) -> None:
    sqlite_store.receive([raw("first")], FLOW)
    with sqlite_store._database.changing() as session:
        pages = session.plain("PRAGMA page_count")[0][0]
    # Each connection has its own limit, so the pool's one is set: the file may grow by two pages only.
    _limit(sqlite_store, int(pages or 0) + 2)
    batch = [raw(f"{n}" * 5000) for n in range(20)]
    with pytest.raises(Unavailable) as refused:
        sqlite_store.receive(batch, FLOW)
    assert refused.value.message.code == "store.unavailable"
    assert "full" in refused.value.message.params["reason"]
    with sqlite_store.read() as reading:
        assert reading.find(RawNotification) == [raw("first")]
    assert sqlite_store.verify()[0] == 1
    _limit(sqlite_store, 1_000_000)
    assert len(sqlite_store.receive(batch, FLOW)) == 20
    assert sqlite_store.verify()[0] == 21


def _limit(store: SqlStore, pages: int) -> None:
    with store._database.changing() as session:
        session.plain(f"PRAGMA max_page_count = {pages}")


def test_a_locked_file_says_unavailable(tmp_path: Path, clock: SettableClock, sqlite_store: SqlStore) -> None:
    with sqlite_store._database.changing() as session:
        session.plain("PRAGMA busy_timeout = 50")  # the pool hands the same one out again
    other = sqlite3.connect(tmp_path / "record.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable) as refused:
        sqlite_store.receive([raw("x")], FLOW)
    assert "locked" in refused.value.message.params["reason"]
    other.execute("ROLLBACK")
    other.close()
    assert sqlite_store.receive([raw("x")], FLOW)


@pytest.mark.parametrize("kind", ["directory", "missing folder", "not a database"])
def test_a_file_that_cannot_be_opened_says_unavailable(
    kind: str, tmp_path: Path, clock: SettableClock
) -> None:
    path = tmp_path / "x"
    if kind == "directory":
        path.mkdir()
    elif kind == "missing folder":
        path = tmp_path / "nowhere" / "x"
    else:
        path.write_bytes(os.urandom(9000))
    with pytest.raises(Unavailable):
        open_store(f"sqlite:///{path}", clock)


def test_a_database_that_is_not_there_says_unavailable(clock: SettableClock) -> None:
    with pytest.raises(Unavailable) as refused:
        open_store("postgresql://nobody:secret@127.0.0.1:1/none", clock)
    assert refused.value.message.code == "store.unavailable"
    assert "secret" not in str(refused.value)


def test_a_connection_that_was_cut_is_made_again(postgres_store: SqlStore) -> None:
    postgres_store.receive([raw("first")], FLOW)
    url = postgres_store._database.url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(url, autocommit=True) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    assert postgres_store.receive([raw("second")], FLOW) == [raw("second").id]


def test_a_connection_that_is_cut_inside_a_change_keeps_nothing(postgres_store: SqlStore) -> None:
    url = postgres_store._database.url.set(drivername="postgresql").render_as_string(hide_password=False)
    with pytest.raises(Unavailable), postgres_store.change() as change:  # noqa: PT012 - the block is the change
        change.append(FLOW, "lost")
        with psycopg.connect(url, autocommit=True) as other:
            other.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        change.append(FLOW, "lost too")
    assert postgres_store.verify()[0] == 0


def test_looking_for_long_does_not_stop_the_writers(sqlite_store: SqlStore, postgres_store: SqlStore) -> None:
    for store in (sqlite_store, postgres_store):
        store.receive([raw("first")], FLOW)
        with store.read() as reading:
            reading.find(RawNotification)
            done = threading.Event()

            def write(store: SqlStore = store, done: threading.Event = done) -> None:
                store.receive([raw("second")], FLOW)
                done.set()

            threading.Thread(target=write, daemon=True).start()
            assert done.wait(5)
