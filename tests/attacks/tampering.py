"""What somebody who owns the database can do to a stored trail: every kind of change, made at random."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import psycopg

from twokey.store.chain import preimage

COLUMNS = (
    "seq",
    "at",
    "actor",
    "team",
    "user",
    "action",
    "incident_id",
    "plan_id",
    "data",
    "previous",
    "hash",
)
Row = tuple[Any, ...]
Rows = list[Row]


class Text(bytes):
    """The bytes of a text column, whether they are a text or not."""


class SqliteTrail:
    """The trail of a SQLite record whose triggers were dropped, for one who has the file."""

    def __init__(self, path: Path) -> None:
        self._now: Rows = []
        self._db = sqlite3.connect(path, isolation_level=None)
        for pragma in ("synchronous = OFF", "ignore_check_constraints = ON"):
            self._db.execute(f"PRAGMA {pragma}")
        for (name,) in self._db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            self._db.execute(f"DROP TRIGGER {name}")

    def rows(self) -> Rows:
        """Return what is stored, in order."""
        return self._db.execute(f"SELECT {self._names()} FROM audit_entry ORDER BY seq").fetchall()

    def write(self, rows: Rows) -> None:
        """Let the trail be these rows."""
        self._db.execute("BEGIN")
        gone, come = _difference(self._now or self.rows(), rows)
        self._db.executemany("DELETE FROM audit_entry WHERE seq = ?", [(row[0],) for row in gone])
        for row in come:
            cells = ", ".join("CAST(? AS TEXT)" if isinstance(cell, Text) else "?" for cell in row)
            self._db.execute(f"INSERT INTO audit_entry ({self._names()}) VALUES ({cells})", row)
        self._db.execute("COMMIT")
        self._now = rows

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    @staticmethod
    def _names() -> str:
        return ", ".join(f'"{name}"' for name in COLUMNS)


class PostgresTrail:
    """The same on Postgres, for one who owns the table."""

    def __init__(self, url: str) -> None:
        self._now: Rows = []
        self._db = psycopg.connect(url, autocommit=True)
        self._db.execute("ALTER TABLE audit_entry DISABLE TRIGGER ALL")
        checks = (
            "SELECT conname FROM pg_constraint WHERE conrelid = 'audit_entry'::regclass AND contype = 'c'"
        )
        for (name,) in self._db.execute(checks).fetchall():
            self._db.execute(f"ALTER TABLE audit_entry DROP CONSTRAINT {name}")

    def rows(self) -> Rows:
        """Return what is stored, in order."""
        names = ", ".join(f'"{name}"' for name in COLUMNS)
        return self._db.execute(f"SELECT {names} FROM audit_entry ORDER BY seq").fetchall()

    def write(self, rows: Rows) -> None:
        """Let the trail be these rows."""
        gone, come = _difference(self._now or self.rows(), rows)
        with self._db.transaction(), self._db.cursor() as cursor:
            cursor.execute("DELETE FROM audit_entry WHERE seq = ANY(%s)", ([row[0] for row in gone],))
            names = ", ".join(f'"{name}"' for name in COLUMNS)
            cells = ", ".join(["%s"] * len(COLUMNS))
            cursor.executemany(f"INSERT INTO audit_entry ({names}) VALUES ({cells})", come)
        self._now = rows

    def close(self) -> None:
        """Let go of the connection."""
        self._db.close()


def _difference(before: Rows, after: Rows) -> tuple[Rows, Rows]:
    one, other = set(before), set(after)
    return [row for row in before if row not in other], [row for row in after if row not in one]


def resealed(row: Row, **changes: Any) -> Row:
    """Return an entry with other columns and the hash that is right for them."""
    made = _with(row, **changes)
    return (*made[:10], hashlib.sha256(preimage(made)).hexdigest())


def chained(rows: Rows, start: int, end: int) -> Rows:
    """Number and seal the rows from `start` to before `end` again, each upon the one before."""
    made = list(rows)
    for place in range(start, end):
        previous = made[place - 1][10] if place else "0" * 64
        made[place] = resealed(made[place], seq=place + 1, previous=previous)
    return made


def _flip(rows: Rows, random: Random) -> Rows:
    """One bit of one byte of one column."""
    place, column = random.randrange(len(rows)), random.randrange(11)
    cell = rows[place][column]
    if column == 0:
        return _put(rows, place, 0, cell ^ (1 << random.randrange(12)))
    raw = bytearray(cell.encode())
    if not raw:
        return _put(rows, place, column, random.choice([" ", "x", "\u200b"]))
    raw[random.randrange(len(raw))] ^= 1 << random.randrange(8)
    try:
        return _put(rows, place, column, raw.decode())
    except UnicodeDecodeError:
        return _put(rows, place, column, Text(raw))


def _lengthen(rows: Rows, random: Random) -> Rows:
    """A character more, or less, in one column."""
    place, column = random.randrange(len(rows)), random.randrange(1, 11)
    cell = rows[place][column]
    at = random.randrange(len(cell) + 1)
    if cell and random.random() < 0.5:
        return _put(rows, place, column, cell[:at][:-1] + cell[at:])
    return _put(rows, place, column, cell[:at] + random.choice(' x0"\\,') + cell[at:])


def _other_type(rows: Rows, random: Random) -> Rows:
    """The same bytes, but as bytes: most programs would show it the same."""
    place, column = random.randrange(len(rows)), random.randrange(1, 11)
    return _put(rows, place, column, str(rows[place][column]).encode())


def _another_entrys(rows: Rows, random: Random) -> Rows:
    """A column of another entry."""
    place, other, column = random.randrange(len(rows)), random.randrange(len(rows)), random.randrange(1, 11)
    return _put(rows, place, column, rows[other][column])


def _delete(rows: Rows, random: Random) -> Rows:
    """Some entries are gone; the last ones stay, for a cut tail is another attack."""
    start = random.randrange(len(rows) - 1)
    return rows[:start] + rows[random.randint(start + 1, min(start + 5, len(rows) - 1)) :]


def _delete_and_renumber(rows: Rows, random: Random) -> Rows:
    """Some entries are gone and the others close the ranks."""
    left = _delete(rows, random)
    return [_with(row, seq=number) for number, row in enumerate(left, start=1)]


def _insert(rows: Rows, random: Random) -> Rows:
    """An entry that never was, sealed as it should be; the later ones make room."""
    place, model = random.randrange(1, len(rows)), random.choice(rows)
    # another action than its model's: else it may be the very entry that stands there
    action = random.choice([name for name in ("approved", "step.done", "noted") if name not in model])
    forged = resealed(model, seq=place + 1, action=action, previous=rows[place - 1][10])
    later = [_with(row, seq=row[0] + 1) for row in rows[place:]]
    return [*rows[:place], forged, *later]


def _insert_outside(rows: Rows, random: Random) -> Rows:
    """An entry before the first or far behind the last."""
    seq = random.choice([0, -1, -(2**40), len(rows) + random.randrange(2, 10_000)])
    return sorted([*rows, resealed(random.choice(rows), seq=seq)], key=lambda row: row[0])


def _reorder(rows: Rows, random: Random) -> Rows:
    """Entries change places, and have the numbers of their places."""
    start = random.randrange(len(rows) - 1)
    end = min(len(rows), start + random.randrange(2, 8))
    run = rows[start:end]
    random.shuffle(run)
    return [_with(row, seq=number) for number, row in enumerate([*rows[:start], *run, *rows[end:]], start=1)]


def _swap_incidents(rows: Rows, random: Random) -> Rows:
    """Two entries trade their incidents, or everything of one incident becomes another's."""
    one, other = sorted(random.sample(sorted({row[6] for row in rows}), 2))
    if random.random() < 0.5:
        names = {one: other, other: one}
        return [_with(row, incident_id=names.get(row[6], row[6])) for row in rows]
    first = random.choice([place for place, row in enumerate(rows) if row[6] == one])
    second = random.choice([place for place, row in enumerate(rows) if row[6] == other])
    return _put(_put(rows, first, 6, other), second, 6, one)


def _change_data(rows: Rows, random: Random) -> Rows:
    """What an entry tells becomes something else that is well-formed."""
    place = random.choice([number for number, row in enumerate(rows) if row[8] != "{}"])
    data = json.loads(rows[place][8])
    name = random.choice(sorted(data))
    data[name] = random.choice([None, True, 0, "", "p-eve", [], {}, f"{data[name]} "])
    return _put(rows, place, 8, json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False))


def _rewrite_data(rows: Rows, random: Random) -> Rows:
    """What an entry tells stays the same, written in another way."""
    place = random.choice([number for number, row in enumerate(rows) if row[8] != "{}"])
    data = json.loads(rows[place][8])
    written = random.choice([json.dumps(data), json.dumps(data, indent=1), f" {rows[place][8]}"])
    return _put(rows, place, 8, written)


def _rechain_a_part(rows: Rows, random: Random) -> Rows:
    """One entry says something else, and it and some after it are sealed again; the rest is as it was."""
    place = random.randrange(len(rows) - 1)
    end = random.randrange(place + 1, len(rows))
    return chained(_put(rows, place, 2, "p-mallory"), place, end)


def _change_and_seal(rows: Rows, random: Random) -> Rows:
    """One entry says something else and has the right hash for it."""
    place = random.randrange(len(rows) - 1)
    changes = {random.choice(COLUMNS[1:8]): random.choice(["p-eve", "INC-9", "approved"])}
    return [*rows[:place], resealed(rows[place], **changes), *rows[place + 1 :]]


IN_PLACE: dict[str, Callable[[Rows, Random], Rows]] = {
    "bit flipped": _flip,
    "lengthened": _lengthen,
    "other type": _other_type,
    "another entry's": _another_entrys,
    "deleted": _delete,
    "deleted, renumbered": _delete_and_renumber,
    "inserted": _insert,
    "inserted outside": _insert_outside,
    "reordered": _reorder,
    "incidents swapped": _swap_incidents,
    "data changed": _change_data,
    "data rewritten": _rewrite_data,
    "part chained again": _rechain_a_part,
    "changed and sealed": _change_and_seal,
}

# What was sealed fits to what is before it: the first entry that does not fit is a later one.
SEALED = ("inserted", "part chained again", "changed and sealed")


def changed(rows: Rows, random: Random) -> tuple[str, Rows]:
    """Return a trail in which something was changed in place, and what was done."""
    while True:
        name = random.choice(["bit flipped", *IN_PLACE])  # the plainest one twice as often
        made = IN_PLACE[name](list(rows), random)
        if made != rows and len({row[0] for row in made}) == len(made):
            return name, made


def first_difference(rows: Rows, made: Rows) -> int:
    """Return the sequence number at which a reader first sees something else."""
    ordered = sorted(made, key=lambda row: row[0])
    pairs = zip(rows, ordered, strict=False)
    return next((row[0] for row, other in pairs if row != other), min(len(rows), len(made)) + 1)


def _with(row: Row, **changes: Any) -> Row:
    return tuple(changes.get(name, cell) for name, cell in zip(COLUMNS, row, strict=True))


def _put(rows: Rows, place: int, column: int, cell: Any) -> Rows:
    row = rows[place]
    return [*rows[:place], (*row[:column], cell, *row[column + 1 :]), *rows[place + 1 :]]
