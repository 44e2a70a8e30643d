"""Alembic revisions: how the tables came to be what they are. Loaded only when something migrates."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection

from twokey.advisory_locks import AdvisoryLock
from twokey.core.errors import Unavailable
from twokey.store.databases import one_connection
from twokey.store.failures import database_failures
from twokey.store.revisions import revision


def upgrade(url: str) -> tuple[str, str]:
    """Bring the tables to the newest revision, in one transaction; return the revision before and after."""
    engine = one_connection(url)
    try:
        with database_failures(), engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                # Two processes that start at once must not both create the tables.
                connection.exec_driver_sql("SELECT pg_advisory_xact_lock(%s)", (AdvisoryLock.MIGRATE,))
            before = revision(connection)
            try:
                command.upgrade(alembic_config(connection), "head")
            except CommandError as error:  # it does not know the revision that it found
                raise Unavailable("store.newer", found=before) from error
            return before, revision(connection)
    finally:
        engine.dispose()


def alembic_config(connection: Connection | None = None) -> Config:
    """Return what Alembic needs to know, without a file."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    if connection is not None:
        config.attributes["connection"] = connection
    return config
