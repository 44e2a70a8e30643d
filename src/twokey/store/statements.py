"""The statements of the record, made once: making one anew costs six times what running it costs."""

from __future__ import annotations

from functools import cache
from typing import Any

from sqlalchemy import Integer, Select, bindparam, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from twokey.store.kinds import Kind, kind_of
from twokey.store.tables import AUDIT, COUNTER, JOB

ID = "its_id"
MOST = "most"
SKIPPED = "skipped"
_MOST = bindparam(MOST, type_=Integer())

HEAD = select(AUDIT.c.seq, AUDIT.c.hash).order_by(AUDIT.c.seq.desc()).limit(1)
APPEND = insert(AUDIT).inline()
OWE_NEW = insert(JOB).inline()
BEGIN_COUNT = insert(COUNTER).inline()
COUNT_UP = (
    update(COUNTER)
    .where(COUNTER.c.name == bindparam("counted"))
    .values(last=COUNTER.c.last + 1)
    .returning(COUNTER.c.last)
)
Names = tuple[tuple[str, int], ...]
"""Fields that are asked for; a number means that any of so many values will do, 0 that it must be this one."""
AUDIT_OF_ALL = select(*AUDIT.c).where(AUDIT.c.seq > bindparam("after")).order_by(AUDIT.c.seq).limit(_MOST)
AUDIT_OF_ONE = AUDIT_OF_ALL.where(AUDIT.c.incident_id == bindparam("about"))


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
        .where(*(_equals(known, name, any_of) for name, any_of in names))
        .order_by(order.desc() if newest_first else order)
        .limit(_MOST)
        .offset(bindparam(SKIPPED, type_=Integer()))
    )


@cache
def count(noun: type[Any], names: Names) -> Select[Any]:
    """Return what counts nouns by fields."""
    known = kind_of(noun)
    wanted = (_equals(known, name, any_of) for name, any_of in names)
    return select(func.count()).select_from(known.table).where(*wanted)


def _equals(kind: Kind, name: str, any_of: int) -> Any:
    if name not in kind.fields:
        raise KeyError(f"{kind.noun.__name__} is not indexed by {name}")
    column = kind.table.c[name]
    if any_of:
        return _one_of(column, name, any_of)
    return column == bindparam(value_of(name))


def _one_of(column: Any, name: str, count: int) -> Any:
    return column.in_([bindparam(value_of(name, number), type_=column.type) for number in range(count)])


def value_of(name: str, number: int = 0) -> str:
    """Return the parameter that holds what a field must equal, or one of the values it may have."""
    return f"wanted_{name}_{number}"


@cache
def known(noun: type[Any], count: int) -> Select[Any]:
    """Return what asks which of so many ids are there."""
    column = kind_of(noun).table.c.id
    return select(column).where(_one_of(column, "id", count))


@cache
def add_new(noun: type[Any]) -> Any:
    """Return what keeps a noun of which there is none."""
    return insert(kind_of(noun).table).inline()


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
    statement = _insert(dialect)(kind.table).inline()
    replaced = {name: statement.excluded[name] for name in ("body", *kind.read)}
    return statement.on_conflict_do_update(index_elements=["id"], set_=replaced)


@cache
def owe(dialect: str) -> Any:
    """Return what owes a job, and returns nothing when its id was owed before."""
    return _insert(dialect)(JOB).on_conflict_do_nothing().returning(JOB.c.id)


def _insert(dialect: str) -> Any:
    return (postgresql if dialect == "postgresql" else sqlite).insert
