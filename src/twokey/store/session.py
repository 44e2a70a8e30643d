"""A transaction at the driver: SQLAlchemy writes each statement once, and the driver runs it ever after.

Running a statement through SQLAlchemy costs ten times what the database needs for it; a notification is
sixty statements.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

from sqlalchemy import Dialect
from sqlalchemy.engine import make_url

Values = Mapping[str, Any]
Row = tuple[Any, ...]
_Change = Callable[[Any], Any]
_MISSING: Any = object()


class Prepared:
    """A statement as one database's driver takes it: its text, and how values go in and come out."""

    __slots__ = ("_coming_out", "_going_in", "_is_by_position", "text")

    def __init__(self, statement: Any, dialect: Dialect, columns: Sequence[str]) -> None:
        compiled = statement.compile(dialect=dialect, column_keys=list(columns) or None)
        self.text = str(compiled)
        self._is_by_position = bool(dialect.positional)
        names = compiled.positiontup if self._is_by_position else list(compiled.params)
        self._going_in = []
        for name in names:
            bound = compiled.binds[name]
            change = bound.type.dialect_impl(dialect).bind_processor(dialect)
            fixed = _MISSING if bound.required or name in columns else bound.effective_value
            self._going_in.append((name, change, fixed))
        self._coming_out = []
        for number, column in enumerate(getattr(statement, "exported_columns", ())):
            change = column.type.dialect_impl(dialect).result_processor(dialect, None)
            if change is not None:
                self._coming_out.append((number, change))

    def values(self, given: Values) -> Sequence[Any] | Mapping[str, Any]:
        """Return values as the driver takes them: a missing one is a programming error (KeyError)."""
        pairs = self._going_in
        if self._is_by_position:
            return [_going_in(given, name, change, fixed) for name, change, fixed in pairs]
        return {name: _going_in(given, name, change, fixed) for name, change, fixed in pairs}

    def rows(self, found: list[Row]) -> list[Row]:
        """Return rows as they were given once."""
        if not self._coming_out:
            return found
        return [self._row(row) for row in found]

    def _row(self, row: Row) -> Row:
        made = list(row)
        for number, change in self._coming_out:
            made[number] = change(made[number])
        return tuple(made)


def _going_in(given: Values, name: str, change: _Change | None, fixed: Any) -> Any:
    value = given[name] if fixed is _MISSING else fixed
    return value if change is None else change(value)


class Session:
    """One transaction; who opens it commits it. Errors are the driver's own."""

    __slots__ = ("dialect", "driver")

    def __init__(self, driver: Any, dialect: Dialect) -> None:
        self.driver = driver
        self.dialect = dialect

    def rows(self, statement: Any, values: Values | None = None) -> list[Row]:
        """Run a statement and return what it gives."""
        ready = _prepared(statement, self.dialect)
        return ready.rows(self.driver.execute(ready.text, ready.values(values or {})).fetchall())

    def row(self, statement: Any, values: Values | None = None) -> Row | None:
        """Run a statement and return the first row that it gives."""
        found = self.rows(statement, values)
        return found[0] if found else None

    def scalar(self, statement: Any, values: Values | None = None) -> Any:
        """Run a statement and return the first value that it gives, None for none."""
        found = self.rows(statement, values)
        return found[0][0] if found else None

    def run(self, statement: Any, values: Values | None = None) -> int:
        """Run a statement that gives nothing; return how many rows it touched."""
        ready = _prepared(statement, self.dialect)
        return int(self.driver.execute(ready.text, ready.values(values or {})).rowcount)

    def keep(self, statement: Any, *rows: Values) -> None:
        """Insert rows that all have the same columns."""
        ready = _prepared(statement, self.dialect, tuple(rows[0]))
        if len(rows) == 1:
            self.driver.execute(ready.text, ready.values(rows[0]))
        else:
            self.driver.cursor().executemany(ready.text, [ready.values(row) for row in rows])

    def kept(self, statement: Any, row: Values) -> bool:
        """Insert a row with a statement that returns something when it did, and say whether it did."""
        ready = _prepared(statement, self.dialect, tuple(row))
        return bool(self.driver.execute(ready.text, ready.values(row)).fetchall())

    def plain(self, text: str) -> list[Row]:
        """Run a text of our own that has no values in it."""
        found = self.driver.execute(text)
        return found.fetchall() if found.description else []

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Undo what fails inside, and only that: on Postgres an error would end the whole transaction."""
        self.driver.execute("SAVEPOINT attempt")
        try:
            yield
        except BaseException:
            self.driver.execute("ROLLBACK TO SAVEPOINT attempt")
            raise
        finally:
            self.driver.execute("RELEASE SAVEPOINT attempt")


@cache
def _prepared(statement: Any, dialect: Dialect, columns: tuple[str, ...] = ()) -> Prepared:
    # Statements are made once (see statements.py), so each is found here by its identity.
    return Prepared(statement, dialect, columns)


@cache
def dialect_of(drivername: str) -> Dialect:
    """Return the one description of a database's SQL and driver, shared by all records of its kind."""
    kind: Any = make_url(f"{drivername}://").get_dialect()
    made: Dialect = kind(dbapi=kind.import_dbapi())
    return made


def some(values: Iterable[Any]) -> list[Any]:
    """Return values, the last one repeated up to a power of two: so few statements ask for any number."""
    found = list(values)
    return found + found[-1:] * ((1 << (len(found) - 1).bit_length()) - len(found))
