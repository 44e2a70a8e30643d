"""Whether the tables are what this version needs, and bringing them there."""

from __future__ import annotations

from sqlalchemy import Connection, inspect

from twokey.core.errors import Unavailable
from twokey.store.revisions import revision

HEAD = "0004"
"""The revision that this version needs; said here so that a start does not load Alembic (a test compares)."""


def migrate(url: str) -> tuple[str, str]:
    """Bring the tables to what this version needs; return the revision before ("" for none) and after."""
    from twokey.store.migrations import upgrade

    return upgrade(url)


def require_head(connection: Connection) -> None:
    """Refuse tables that this version does not know, and say what to do about it."""
    found = revision(connection)
    if found != HEAD:
        raise Unavailable("store.not_migrated", found=found or "-", wanted=HEAD)


def is_empty(connection: Connection) -> bool:
    """Say whether nothing was ever kept here."""
    return not inspect(connection).get_table_names()
