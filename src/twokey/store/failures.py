"""What a database can do to us, as Unavailable: locked, full, read-only, gone."""

from __future__ import annotations

import sqlite3
import sys
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
    except driver_errors("IntegrityError", "ProgrammingError"):
        raise
    except DBAPIError as error:
        raise Unavailable("store.unavailable", reason=_first_line(error.orig)) from error
    except driver_errors("Error") as error:
        raise Unavailable("store.unavailable", reason=_first_line(error)) from error
    except UnicodeDecodeError as error:  # SQLite tells of a damaged file in words that hold the damage
        raise Unavailable("store.unavailable", reason="the database file is damaged") from error
    except PoolTimeout as error:
        raise Unavailable("store.unavailable", reason="no free connection") from error


def driver_errors(*names: str) -> tuple[type[Exception], ...]:
    """Return what the drivers in use raise: who keeps the record in SQLite does not load that of Postgres."""
    loaded = [driver for driver in (sqlite3, sys.modules.get("psycopg")) if driver]
    return tuple(getattr(driver, name) for driver in loaded for name in names)


def _first_line(error: BaseException | None) -> str:
    # Without the statement and its values: those are other people's data.
    return (str(error).strip().splitlines() or ["no answer"])[0][:200]
