"""What a database can do to us, as Unavailable: locked, full, read-only, gone."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, IntegrityError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from twokey.core.errors import Unavailable


@contextmanager
def database_failures() -> Iterator[None]:
    """Turn a failure of the database into Unavailable; our own mistakes stay what they are."""
    try:
        yield
    except (IntegrityError, ProgrammingError):
        raise
    except DBAPIError as error:
        raise Unavailable("store.unavailable", reason=_first_line(error.orig)) from error
    except sqlite3.Error as error:  # while a connection is set up, before SQLAlchemy wraps anything
        raise Unavailable("store.unavailable", reason=_first_line(error)) from error
    except UnicodeDecodeError as error:  # SQLite tells of a damaged file in words that hold the damage
        raise Unavailable("store.unavailable", reason="the database file is damaged") from error
    except PoolTimeout as error:
        raise Unavailable("store.unavailable", reason="no free connection") from error


def _first_line(error: BaseException | None) -> str:
    # Without the statement and its values: those are other people's data.
    return (str(error).strip().splitlines() or ["no answer"])[0][:200]
