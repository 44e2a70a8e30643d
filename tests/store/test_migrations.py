"""Tables come into being by migrations only, and are exactly what the code says."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text

from tests.lab.postgres import Postgres
from twokey.core.errors import Invalid, Unavailable
from twokey.core.notices import NoticeState
from twokey.core.people import system
from twokey.core.signals import Cursor, RawState
from twokey.store import SqlStore, migrate, open_store
from twokey.store.databases import one_connection
from twokey.store.migrations import alembic_config
from twokey.store.schema import HEAD
from twokey.store.tables import METADATA
from twokey.testing.clocks import SettableClock


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of either kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'record.db'}"
    server: Postgres = request.getfixturevalue("postgres")
    return server.fresh()


def test_the_migrations_make_exactly_the_tables_of_the_code(url: str) -> None:
    assert migrate(url) == ("", HEAD)
    assert migrate(url) == (HEAD, HEAD)
    engine = one_connection(url)
    with engine.begin() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, METADATA) == []
    engine.dispose()


def test_a_record_of_an_older_version_is_brought_up_with_what_is_in_it(
    url: str, clock: SettableClock
) -> None:
    engine = one_connection(url)
    with engine.begin() as connection:
        command.upgrade(alembic_config(connection), "0001")
        connection.execute(text("INSERT INTO counter (name, last) VALUES ('incident', 7)"))
    engine.dispose()
    assert migrate(url) == ("0001", HEAD)
    store = open_store(url, clock)
    with store.change() as change:
        assert change.next_number("incident") == 8
        change.put(Cursor("aws.poll:health", "2026-11-22", clock.now()))
        change.append(system("polling"), "polled")
    store.close()


def test_constraints_are_those_of_the_code(url: str) -> None:
    migrate(url)
    engine = one_connection(url)
    with engine.begin() as connection:
        seen = inspect(connection)
        for table in METADATA.sorted_tables:
            checks = {constraint["name"] for constraint in seen.get_check_constraints(table.name)}
            unique = {constraint["name"] for constraint in seen.get_unique_constraints(table.name)}
            wanted = {str(constraint.name) for constraint in table.constraints if constraint.name}
            primary = seen.get_pk_constraint(table.name)["name"]
            assert checks | unique | {primary} == wanted
    engine.dispose()


def test_the_head_that_a_start_looks_for_is_the_newest_revision() -> None:
    scripts = ScriptDirectory.from_config(alembic_config())
    assert scripts.get_current_head() == HEAD
    assert len(scripts.get_heads()) == 1


def test_a_new_sqlite_file_sets_itself_up(tmp_path: Path, clock: SettableClock) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'new.db'}", clock)
    assert store.verify() == (0, "0" * 64)
    store.close()


def test_an_empty_postgres_is_refused_until_it_is_migrated(postgres: Postgres, clock: SettableClock) -> None:
    url = postgres.fresh()
    with pytest.raises(Unavailable) as refused:
        open_store(url, clock)
    assert refused.value.message.code == "store.not_migrated"
    open_store(url, clock, migrate=True).close()
    open_store(url, clock).close()


@pytest.mark.parametrize("other", ["0000", "9999"])
def test_tables_of_another_version_are_refused(url: str, other: str, clock: SettableClock) -> None:
    migrate(url)
    engine = one_connection(url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :other"), {"other": other})
    engine.dispose()
    with pytest.raises(Unavailable) as refused:
        open_store(url, clock)
    assert refused.value.message.params == {"found": other, "wanted": HEAD}


def test_another_programs_sqlite_file_is_not_taken_for_a_new_one(
    tmp_path: Path, clock: SettableClock
) -> None:
    url = f"sqlite:///{tmp_path / 'other.db'}"
    engine = one_connection(url)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE theirs (x)"))
    engine.dispose()
    with pytest.raises(Unavailable):
        open_store(url, clock)


def test_two_that_migrate_at_once_do_it_once(url: str) -> None:
    results: list[tuple[str, str]] = []
    threads = [threading.Thread(target=lambda: results.append(migrate(url))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [("", HEAD), (HEAD, HEAD)]


@pytest.mark.parametrize(
    "url",
    ["mysql://u:secret@h/d", "sqlite://", "sqlite:///:memory:", "not a url", "postgresql+asyncpg://h/d"],
)
def test_a_url_of_another_kind_is_refused_without_its_password(url: str, clock: SettableClock) -> None:
    with pytest.raises(Invalid) as refused:
        open_store(url, clock)
    assert refused.value.message.code == "store.url"
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("state", [*RawState, *NoticeState])
def test_the_checks_know_every_state(state: RawState | NoticeState, sqlite_store: SqlStore) -> None:
    table = "raw_notification" if isinstance(state, RawState) else "notice"
    for constraint in METADATA.tables[table].constraints:
        if str(constraint.name) == f"ck_{table}_state":
            assert f"'{state.value}'" in str(constraint.sqltext)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO approval (id, workspace, enterprise, account, tenant, body, plan_id, person_id, digest)"
        " VALUES ('x', '', '', '', '', '{}', 'p', '', 'd')",
        "INSERT INTO counter (name, last) VALUES ('incident', 0)",
        "INSERT INTO plan (id, workspace, enterprise, account, tenant, body, incident_id, state, digest)"
        " VALUES ('x', '', '', '', '', '{}', 'INC-1', 'proposed', '')",
    ],
)
def test_the_database_is_a_second_wall(statement: str, sqlite_store: SqlStore) -> None:
    with pytest.raises(sqlite3.IntegrityError), sqlite_store._database.changing() as session:
        session.plain(statement)
