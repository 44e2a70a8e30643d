"""The tables that procrastinate needs, brought to the version of the installed library."""

from __future__ import annotations

from pathlib import Path

import psycopg
from procrastinate.schema import SchemaManager, migrations_path

from twokey.advisory_locks import AdvisoryLock
from twokey.core.errors import Unavailable

_REMEMBER = "CREATE TABLE IF NOT EXISTS twokey_engine_schema (applied text PRIMARY KEY)"
_LAST = "SELECT max(applied) FROM twokey_engine_schema"
# The library's own index on locks begins with the id. Until the server has looked at a table that grew quickly,
# it then compares every waiting job with every other: a second for a fetch among 3,000, with this 20 ms.
_BY_LOCK = """
CREATE INDEX IF NOT EXISTS twokey_jobs_by_lock ON procrastinate_jobs (lock, id)
WHERE status IN ('todo', 'doing') AND lock IS NOT NULL
"""
_NOW = "INSERT INTO twokey_engine_schema VALUES (%s) ON CONFLICT DO NOTHING"


def conninfo(url: str) -> str:
    """Return a database URL in the form that libpq reads."""
    return url.replace("postgresql+psycopg://", "postgresql://", 1)


def prepare(url: str) -> list[str]:
    """Create or bring forward the engine's tables; return the names of the steps that were taken.

    procrastinate leaves it to its user to know which of its migrations ran: a small table remembers.
    """
    try:
        with psycopg.connect(conninfo(url), connect_timeout=10) as connection:
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (AdvisoryLock.ENGINE_SCHEMA,))
            connection.execute(_REMEMBER)
            newest = max(path.name for path in _migrations())
            row = connection.execute("SELECT to_regclass('procrastinate_jobs')::text").fetchone()
            if row is None or row[0] is None:
                connection.execute(SchemaManager.get_schema())
                steps = ["schema"]
            else:
                last = connection.execute(_LAST).fetchone()
                done = last[0] if last and last[0] else newest
                steps = []
                for path in _migrations():
                    if path.name > done:
                        connection.execute(path.read_bytes())
                        steps.append(path.name)
            connection.execute(_BY_LOCK)
            connection.execute(_NOW, (newest,))
            return steps
    except psycopg.OperationalError as error:
        reason = str(error).strip().splitlines()[0][:200]
        raise Unavailable("store.unavailable", reason=reason) from error


def _migrations() -> list[Path]:
    return sorted(Path(migrations_path).glob("*.sql"))
