"""The audit trail in the database: nothing is changed in place, and what is changed behind its back is found."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from twokey.core.audit import GENESIS, content, verify
from twokey.core.errors import Tampered
from twokey.core.people import Actor, ChatAccount, system
from twokey.core.runbooks import canonical
from twokey.store import SqlStore, open_store
from twokey.store.chain import data_text, entry_of, preimage, sealed_row, verify_rows
from twokey.store.failures import driver_errors
from twokey.testing.clocks import SettableClock

TEXT = st.text(st.characters(codec=None), max_size=20)
DATA = st.dictionaries(
    TEXT,
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
        max_leaves=4,
    ),
    max_size=3,
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(TEXT.filter(bool), TEXT, TEXT, TEXT, DATA, st.datetimes(timezones=st.just(UTC)))
def test_the_quick_bytes_are_the_canonical_bytes(
    actor: str, account: str, action: str, about: str, data: dict[str, Any], at: datetime
) -> None:
    who = Actor(actor, ChatAccount(account, "U1"))
    row = tuple(sealed_row((7, "a" * 64), at, who, action, (about, "plan"), data=data_text(data)).values())
    entry = entry_of(row)
    assert preimage(row) == canonical(content(entry))
    assert entry.hash == row[10]


def rows(count: int = 12) -> list[tuple[Any, ...]]:
    """Make the rows of a trail."""
    head, made = (0, GENESIS), []
    for n in range(count):
        about = (f"INC-{n % 3}", "plan-1" if n % 2 else "")
        data = data_text({"n": n, "text": 'é " \\ \u2028', "list": [1, None]})
        row = sealed_row(head, datetime(2026, 3, 2, tzinfo=UTC), system("flow"), "noted", about, data=data)
        made.append(tuple(row.values()))
        head = (row["seq"], row["hash"])
    return made


def test_ten_thousand_random_changes_are_all_found() -> None:
    dice = random.Random(20261121)
    whole = rows()
    head = (whole[-1][0], whole[-1][10])
    assert verify_rows(whole, (0, GENESIS)) == head
    assert verify(map(entry_of, whole)) == head
    missed = []
    for number in range(10_000):
        changed, how = _changed(list(whole), dice)
        if changed == whole:
            continue
        try:
            end = verify_rows(changed, (0, GENESIS))
        except Tampered:
            continue
        if end == head:  # a cut tail ends elsewhere, and is found against a posted head
            missed.append((number, how))
    assert missed == []


def _changed(changed: list[tuple[Any, ...]], dice: random.Random) -> tuple[list[tuple[Any, ...]], str]:
    index = dice.randrange(len(changed))
    how = dice.choice(["flip", "flip", "flip", "type", "delete", "double", "swap", "move", "cut"])
    if how == "flip":
        column = dice.randrange(11)
        changed[index] = _with(changed[index], column, _flipped(changed[index][column], dice))
    elif how == "type":
        changed[index] = _with(
            changed[index], dice.randrange(11), dice.choice([None, b"\xff", 1.5, "", "\ud800"])
        )
    elif how == "delete":
        del changed[index]
    elif how == "double":
        changed.insert(dice.randrange(len(changed)), changed[index])
    elif how == "swap":
        other = dice.randrange(len(changed))
        changed[index], changed[other] = changed[other], changed[index]
    elif how == "move":
        other, column = dice.randrange(len(changed)), dice.randrange(11)
        changed[index] = _with(changed[index], column, changed[other][column])
    else:
        del changed[dice.randrange(1, len(changed)) :]
    return changed, how


def _with(row: tuple[Any, ...], column: int, value: Any) -> tuple[Any, ...]:
    return (*row[:column], value, *row[column + 1 :])


def _flipped(value: Any, dice: random.Random) -> Any:
    if isinstance(value, int):
        return value ^ (1 << dice.randrange(8))
    place = dice.randrange(len(value) + 1)
    if place == len(value):
        return value + dice.choice([" ", "x"])
    return value[:place] + chr(ord(value[place]) ^ (1 << dice.randrange(7))) + value[place + 1 :]


def filled(store: SqlStore, count: int = 6) -> None:
    """Write some entries."""
    for n in range(count):
        with store.change() as change:
            change.append(system("flow"), "noted", incident_id=f"INC-{n}", data={"n": n})


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_entry SET action = 'other' WHERE seq = 2",
        "DELETE FROM audit_entry WHERE seq = 6",
        "DELETE FROM audit_entry",
        "INSERT INTO audit_entry SELECT seq + 2, at, actor, team, {user}, action, incident_id, plan_id, data,"
        " hash, hash FROM audit_entry WHERE seq = 6",
        "INSERT INTO audit_entry SELECT 7, at, actor, team, {user}, action, incident_id, plan_id, data,"
        " previous, hash FROM audit_entry WHERE seq = 6",
        "INSERT INTO audit_entry SELECT * FROM audit_entry WHERE seq = 3",
    ],
)
@pytest.mark.parametrize("database", ["sqlite_store", "postgres_store"])
def test_the_database_refuses_to_change_the_trail(
    database: str, statement: str, request: pytest.FixtureRequest
) -> None:
    store: SqlStore = request.getfixturevalue(database)
    filled(store)
    with pytest.raises(driver_errors("IntegrityError")), store._database.changing() as session:
        session.plain(statement.format(user='"user"'))
    assert store.verify()[0] == 6


def test_sqlite_refuses_insert_or_replace_too(sqlite_store: SqlStore, sqlite_url: str) -> None:
    filled(sqlite_store)
    raw = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))
    with pytest.raises(sqlite3.IntegrityError, match="follows"):
        raw.execute("INSERT OR REPLACE INTO audit_entry SELECT * FROM audit_entry WHERE seq = 3")
    raw.close()


def test_postgres_refuses_truncate(postgres_store: SqlStore) -> None:
    filled(postgres_store)
    refused = pytest.raises(driver_errors("IntegrityError"), match="never changed")
    with refused, postgres_store._database.changing() as session:
        session.plain("TRUNCATE audit_entry")


TAMPERINGS: dict[str, tuple[str, str]] = {
    "UPDATE audit_entry SET incident_id = 'INC-9' WHERE seq = 3": ("audit.changed", "3"),
    "UPDATE audit_entry SET data = '{\"n\": 2}' WHERE seq = 3": ("audit.changed", "3"),
    "UPDATE audit_entry SET at = replace(at, '+00:00', 'Z') WHERE seq = 2": ("audit.changed", "2"),
    "DELETE FROM audit_entry WHERE seq = 4": ("audit.gap", "4"),
    "UPDATE audit_entry SET previous = hash WHERE seq = 5": ("audit.broken_link", "5"),
    "UPDATE audit_entry SET hash = previous WHERE seq = 1": ("audit.changed", "1"),
}


@pytest.mark.parametrize("statement", TAMPERINGS)
@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_tampering_by_the_owner_of_the_database_is_found_and_named(
    database: str, statement: str, request: pytest.FixtureRequest
) -> None:
    store: SqlStore = request.getfixturevalue(f"{database}_store")
    filled(store)
    with store._database.changing() as session:
        if database == "sqlite":
            for name in ("changed", "deleted"):
                session.plain(f"DROP TRIGGER audit_entry_never_{name}")
        else:
            session.plain("DROP TRIGGER audit_entry_never_changed ON audit_entry")
        session.plain(statement)
    with pytest.raises(Tampered) as found:
        store.verify()
    assert (found.value.message.code, found.value.message.params["seq"]) == TAMPERINGS[statement]


def test_bytes_that_are_no_text_are_named_and_do_not_stop_the_proof(
    sqlite_store: SqlStore, sqlite_url: str
) -> None:
    filled(sqlite_store)
    raw = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))
    raw.execute("DROP TRIGGER audit_entry_never_changed")
    raw.execute("UPDATE audit_entry SET action = CAST(x'ff41' AS TEXT) WHERE seq = 4")
    raw.commit()
    raw.close()
    with pytest.raises(Tampered) as found:
        sqlite_store.verify()
    assert found.value.message.params["seq"] == "4"


def test_an_older_copy_that_was_put_back_is_found_against_a_posted_head(
    sqlite_store: SqlStore, tmp_path: Path, clock: SettableClock
) -> None:
    filled(sqlite_store, 3)
    older = sqlite3.connect(tmp_path / "older.db")
    live = sqlite3.connect(tmp_path / "record.db")
    live.backup(older)
    for connection in (live, older):
        connection.close()
    filled(sqlite_store, 3)
    posted = sqlite_store.verify()
    restored = open_store(f"sqlite:///{tmp_path / 'older.db'}", clock)
    assert restored.verify()[0] == 3
    with pytest.raises(Tampered) as found:
        restored.verify(head=posted)
    assert found.value.message.code == "audit.cut"
    restored.close()


def test_proving_goes_on_over_pages(sqlite_store: SqlStore) -> None:
    with sqlite_store.change() as change:
        for n in range(4500):
            change.append(system("flow"), "noted", data={"n": n})
    end = sqlite_store.verify()
    assert end[0] == 4500
    with sqlite_store.read() as reading:
        middle = reading.audit(after=2499, limit=1)[0]
    assert sqlite_store.verify(head=(2500, middle.hash)) == end
    with pytest.raises(Tampered):
        sqlite_store.verify(head=(2500, "0" * 64))


def test_export_hands_out_every_entry(sqlite_store: SqlStore) -> None:
    filled(sqlite_store)
    lines: list[str] = []
    write: Callable[[str], object] = lines.append
    assert sqlite_store.export(write) == 6
    assert len(lines) == 6
    assert all(line.endswith("}\n") for line in lines)


def test_a_change_of_another_process_is_seen_by_the_chain(
    postgres_store: SqlStore, clock: SettableClock
) -> None:
    url = postgres_store._database.url.render_as_string(hide_password=False)
    other = open_store(url, clock)
    for store in (postgres_store, other, postgres_store, other):
        filled(store, 2)
    assert postgres_store.verify() == other.verify()
    assert postgres_store.verify()[0] == 8
    other.close()


def test_a_stopped_writer_cannot_hold_up_the_others_for_ever(postgres_store: SqlStore) -> None:
    with postgres_store._database.changing() as session:
        assert session.plain("SHOW idle_in_transaction_session_timeout")[0][0] == "1min"
        assert session.plain("SHOW lock_timeout")[0][0] == "30s"
