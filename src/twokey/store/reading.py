"""A consistent look at the record."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from functools import partial
from typing import Any, TypeVar, cast

from twokey.core.audit import GENESIS, AuditEntry
from twokey.ports import Noun
from twokey.store import statements
from twokey.store.chain import Row, entry_of
from twokey.store.kinds import Completions, kind_of
from twokey.store.session import Session, some
from twokey.store.tables import AUDIT

N = TypeVar("N", bound=Noun)

_PAGE = 500  # as much as stays near the processor while it is proved
_COLUMNS = ", ".join(f'"{column.name}"' for column in AUDIT.c)


class SqlSnapshot:
    """What can be asked of the record; see ports.Snapshot."""

    def __init__(self, session: Session, completions: Completions) -> None:
        self._session = session
        self._completions = completions

    def get(self, kind: type[N], id: str) -> N | None:
        """Return the noun with this id."""
        known = kind_of(kind)
        row = self._session.row(statements.get(kind), {statements.ID: id})
        return None if row is None else self._complete(kind, known.noun_of(*row))

    def find(
        self,
        kind: type[N],
        /,
        *,
        limit: int = 1000,
        skip: int = 0,
        newest_first: bool = False,
        **equal: object,
    ) -> list[N]:
        """Return nouns whose indexed fields equal all that is given; a tuple means any of its values."""
        if () in equal.values():
            return []
        noun_of = kind_of(kind).noun_of
        query = statements.find(kind, _names(equal), newest_first=newest_first)
        values = {**values_of(equal), statements.MOST: limit, statements.SKIPPED: skip}
        return [self._complete(kind, noun_of(*row)) for row in self._session.rows(query, values)]

    def _complete(self, kind: type[N], noun: Any) -> N:
        complete = self._completions.get(kind)
        return cast(N, complete(noun) if complete else noun)

    def count(self, kind: type[N], /, **equal: object) -> int:
        """Return how many nouns there are whose indexed fields equal all that is given."""
        if () in equal.values():
            return 0
        return int(self._session.scalar(statements.count(kind, _names(equal)), values_of(equal)) or 0)

    def audit(self, *, incident_id: str = "", after: int = 0, limit: int = 10_000) -> list[AuditEntry]:
        """Return audit entries in order, of one incident or of all."""
        query = statements.AUDIT_OF_ONE if incident_id else statements.AUDIT_OF_ALL
        values = {"after": after, "about": incident_id, statements.MOST: limit}
        return [entry_of(row) for row in self._session.rows(query, values)]

    def audit_page(self, after: int) -> list[Row]:
        """Return the next rows of the whole trail, straight from the driver: proving it reads millions."""
        # Only our own names and a number go into this text.
        statement = f"SELECT {_COLUMNS} FROM audit_entry WHERE seq > {after:d} ORDER BY seq LIMIT {_PAGE}"  # noqa: S608
        driver = self._session.driver
        try:
            return cast("list[Row]", driver.execute(statement).fetchall())
        except sqlite3.OperationalError as error:
            if "decode" not in str(error).lower():
                raise
            # Bytes that are no text at all: read them somehow, so that the entry can be named.
            driver.text_factory = partial(bytes.decode, errors="surrogateescape")
            try:
                return cast("list[Row]", driver.execute(statement).fetchall())
            finally:
                driver.text_factory = str

    def head(self) -> tuple[int, str]:
        """Return sequence and hash of the last audit entry, (0, GENESIS) when there is none."""
        row = self._session.row(statements.HEAD)
        return (0, GENESIS) if row is None else (row[0], row[1])


def _names(equal: Mapping[str, object]) -> statements.Names:
    return tuple((name, len(some(value)) if isinstance(value, tuple) else 0) for name, value in equal.items())


def values_of(equal: Mapping[str, object]) -> dict[str, object]:
    """Return the parameters of a question: a field's value, or each of those that will do."""
    return {
        statements.value_of(name, number): one
        for name, value in equal.items()
        for number, one in enumerate(some(value) if isinstance(value, tuple) else (value,))
    }
