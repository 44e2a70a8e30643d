"""The record on both databases; one Postgres server for the whole session."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.postgres import Postgres, running
from twokey.store import SqlStore, open_store
from twokey.testing.clocks import SettableClock


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A server that nobody else uses."""
    with running() as server:
        yield server


@pytest.fixture
def clock() -> SettableClock:
    """A clock that is set by hand."""
    return SettableClock()


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """The URL of a new SQLite file."""
    return f"sqlite:///{tmp_path / 'record.db'}"


@pytest.fixture
def sqlite_store(sqlite_url: str, clock: SettableClock) -> Iterator[SqlStore]:
    """A record in SQLite."""
    store = open_store(sqlite_url, clock)
    yield store
    store.close()


@pytest.fixture
def postgres_store(postgres: Postgres, clock: SettableClock) -> Iterator[SqlStore]:
    """A record in Postgres."""
    store = open_store(postgres.migrated(), clock)
    yield store
    store.close()
