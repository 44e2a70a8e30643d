"""The statements of the record, made once: making one anew costs six times what running it costs."""

from __future__ import annotations

from functools import cache
from typing import Any

from sqlalchemy import Integer, Select, bindparam, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from twokey.store.kinds import Kind, kind_of
from twokey.store.tables import AUDIT, COUNTER, JOB

HEAD = select(AUDIT.c.seq, AUDIT.c.hash).order_by(AUDIT.c.seq.desc()).limit(1)
APPEND = insert(AUDIT)
OWE_NEW = insert(JOB)
COUNT_UP = (
    update(COUNTER)
    .where(COUNTER.c.name == bindparam("counted"))
    .values(last=COUNTER.c.last + 1)
    .returning(COUNTER.c.last)
)
ID = "its_id"
MOST = "most"
SKIPPED = "skipped"
Names = tuple[tuple[str, bool], ...]
"""Fields that are asked for; True means that any of a list of values will do."""


@cache
def get(noun: type[Any]) -> Select[Any]:
    """Return what asks for the noun with the id ID."""
    known = kind_of(noun)
    return select(*known.columns).where(known.table.c.id == bindparam(ID))


@cache
def find(noun: type[Any], names: Names, *, newest_first: bool) -> Select[Any]:
    """Return what asks for nouns by fields: MOST of them, behind those that are SKIPPED."""
    known = kind_of(noun)
    order = known.table.c[known.order]
    return (
        select(*known.columns)
        .where(*(_equals(known, name, is_any=is_any) for name, is_any in names))
        .order_by(order.desc() if newest_first else order)
        .limit(bindparam(MOST, type_=Integer()))
        .offset(bindparam(SKIPPED, type_=Integer()))
    )


@cache
def count(noun: type[Any], names: Names) -> Select[Any]:
    """Return what counts nouns by fields."""
    known = kind_of(noun)
    wanted = (_equals(known, name, is_any=is_any) for name, is_any in names)
    return select(func.count()).select_from(known.table).where(*wanted)


def _equals(kind: Kind, name: str, *, is_any: bool) -> Any:
    if name not in kind.fields:
        raise KeyError(f"{kind.noun.__name__} is not indexed by {name}")
    column = kind.table.c[name]
    if is_any:
        return column.in_(bindparam(value_of(name), expanding=True))
    return column == bindparam(value_of(name))


def value_of(name: str) -> str:
    """Return the parameter that holds what a field must equal."""
    return f"wanted_{name}"


@cache
def add(noun: type[Any], dialect: str) -> Any:
    """Return what keeps a new noun, and returns nothing when its id or another unique field is taken."""
    # DO NOTHING instead of an error: on Postgres an error would end the whole transaction.
    table = kind_of(noun).table
    return _insert(dialect)(table).on_conflict_do_nothing().returning(table.c.id)


@cache
def put(noun: type[Any], dialect: str) -> Any:
    """Return what keeps a noun in place of the one with its id."""
    kind = kind_of(noun)
    statement = _insert(dialect)(kind.table)
    replaced = {name: statement.excluded[name] for name in ("body", *kind.read)}
    return statement.on_conflict_do_update(index_elements=["id"], set_=replaced)


@cache
def owe(dialect: str) -> Any:
    """Return what owes a job, and returns nothing when its id was owed before."""
    return _insert(dialect)(JOB).on_conflict_do_nothing().returning(JOB.c.id)


def _insert(dialect: str) -> Any:
    return (postgresql if dialect == "postgresql" else sqlite).insert
