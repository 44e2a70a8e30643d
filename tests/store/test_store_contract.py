"""The record keeps its promises in memory, in SQLite and in Postgres alike."""

from __future__ import annotations

from typing import Any

import pytest

from twokey.store import SqlStore
from twokey.testing.clocks import SettableClock
from twokey.testing.contracts.queue import QueueContract
from twokey.testing.contracts.store import StoreContract
from twokey.testing.memory import MemoryStore


class TestMemoryStore(StoreContract, QueueContract):
    @pytest.fixture
    def store(self, clock: SettableClock) -> MemoryStore:
        return MemoryStore(clock)


class TestSqlite(StoreContract, QueueContract):
    @pytest.fixture
    def store(self, sqlite_store: SqlStore) -> Any:
        return sqlite_store


class TestPostgres(StoreContract, QueueContract):
    @pytest.fixture
    def store(self, postgres_store: SqlStore) -> Any:
        return postgres_store
