"""Which revision the tables are at."""

from __future__ import annotations

from sqlalchemy import Connection, inspect, text


def revision(connection: Connection) -> str:
    """Return the revision of the tables, "" when there are none of ours."""
    if not inspect(connection).has_table("alembic_version"):
        return ""
    return str(connection.execute(text("SELECT version_num FROM alembic_version")).scalar() or "")
