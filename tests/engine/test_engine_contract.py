"""Engines keep their promises: in memory, embedded over three records, and procrastinate on Postgres."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.postgres import Postgres
from twokey.engine import EmbeddedEngine
from twokey.engine.procrastinate import ProcrastinateEngine, defer_jobs
from twokey.store import open_store
from twokey.testing.clocks import SystemClock
from twokey.testing.contracts.engine import Bench, EngineContract
from twokey.testing.memory import MemoryEngine, MemoryStore


class TestMemoryEngine(EngineContract):
    @pytest.fixture
    def bench(self, clock: SystemClock) -> Bench:
        store = MemoryStore(clock)
        return Bench(store, clock, lambda h, p, r: MemoryEngine(store, h, p, clock, r), is_parallel=False)


class TestEmbeddedInMemory(EngineContract):
    @pytest.fixture
    def bench(self, clock: SystemClock) -> Bench:
        store = MemoryStore(clock)
        return Bench(store, clock, lambda h, p, r: EmbeddedEngine(store.jobs(), h, p, clock, retries=r))


class TestEmbeddedOnSqlite(EngineContract):
    @pytest.fixture
    def bench(self, clock: SystemClock, tmp_path: Path) -> Iterator[Bench]:
        store = open_store(f"sqlite:///{tmp_path / 'record.db'}", clock)
        yield Bench(store, clock, lambda h, p, r: EmbeddedEngine(store.jobs(), h, p, clock, retries=r))
        store.close()


class TestEmbeddedOnPostgres(EngineContract):
    @pytest.fixture
    def bench(self, clock: SystemClock, postgres: Postgres) -> Iterator[Bench]:
        store = open_store(postgres.migrated(), clock)
        yield Bench(store, clock, lambda h, p, r: EmbeddedEngine(store.jobs(), h, p, clock, retries=r))
        store.close()


class TestProcrastinate(EngineContract):
    @pytest.fixture
    def bench(self, clock: SystemClock, postgres: Postgres) -> Iterator[Bench]:
        url = postgres.migrated()
        store = open_store(url, clock, defer=defer_jobs)
        yield Bench(
            store, clock, lambda h, p, r: ProcrastinateEngine(url, h, p, clock, retries=r, poll_s=0.1)
        )
        store.close()
