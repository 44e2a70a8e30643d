"""What the driver is given by hand is what SQLAlchemy would have given it, and what comes back is the same."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import insert, select

from twokey.core.incidents import Incident
from twokey.core.jobs import Job, JobKind
from twokey.core.notices import Notice, NoticeKind, NoticeState
from twokey.core.people import system
from twokey.core.sightings import Sighting
from twokey.core.signals import RawNotification
from twokey.store import SqlStore, statements
from twokey.store.session import some
from twokey.store.tables import JOB
from twokey.testing.clocks import START

FLOW = system("flow")
TEXT = st.text(st.characters(codec=None), max_size=500)  # lone surrogates, NUL, longer than an index takes
MOMENTS = st.datetimes(
    datetime(1971, 1, 1), datetime(2200, 1, 1), timezones=st.sampled_from([UTC, timezone.max, timezone.min])
)
ASKED: list[tuple[Any, Mapping[str, Any]]] = [
    (statements.HEAD, {}),
    (statements.AUDIT_OF_ALL, {"after": 1, statements.MOST: 3}),
    (statements.AUDIT_OF_ONE, {"after": 0, statements.MOST: 9, "about": "INC-1"}),
    (statements.get(Notice), {statements.ID: "notice-2"}),
    (statements.get(RawNotification), {statements.ID: "none"}),
    (
        statements.find(Notice, (("state", 2), ("kind", 0)), newest_first=True),
        {
            statements.value_of("state", 0): NoticeState.PENDING,
            statements.value_of("state", 1): NoticeState.SENT,
            statements.value_of("kind"): NoticeKind.CARD,
            statements.MOST: 5,
            statements.SKIPPED: 1,
        },
    ),
    (statements.count(Notice, (("state", 0),)), {statements.value_of("state"): "pending"}),
    (statements.known(Notice, 2), {"wanted_id_0": "notice-0", "wanted_id_1": "x" * 900}),
    (select(JOB.c.id, JOB.c.due, JOB.c.not_before, JOB.c.holds, JOB.c.attempts).order_by(JOB.c.id), {}),
]


def filled(store: SqlStore) -> None:
    with store.change() as tx:
        for number in range(8):
            state = NoticeState.SENT if number % 3 else NoticeState.PENDING
            tx.put(Notice(f"notice-{number}", NoticeKind.CARD, START, state=state, order=number))
            tx.append(FLOW, "told", incident_id=f"INC-{number % 2}", data={"number": number})
        later = START + timedelta(hours=1, microseconds=7)
        tx.enqueue(Job("job-1", JobKind.SORT, {"raw_id": "1"}))
        tx.enqueue(Job("job-2", JobKind.SORT, {"raw_id": "2"}, "lock", later))


@pytest.mark.parametrize("database", ["sqlite_store", "postgres_store"])
def test_every_question_has_the_answer_that_sqlalchemy_gives(
    database: str, request: pytest.FixtureRequest
) -> None:
    store: SqlStore = request.getfixturevalue(database)
    filled(store)
    for statement, values in ASKED:
        with store._database.inspecting() as connection:
            expected = [tuple(row) for row in connection.execute(statement, dict(values))]
        with store._database.reading() as session:
            assert session.rows(statement, values) == expected, str(statement)
            assert session.row(statement, values) == (expected[0] if expected else None)


@pytest.mark.parametrize("database", ["sqlite_store", "postgres_store"])
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    row=st.fixed_dictionaries(
        {"id": TEXT, "lock": TEXT},
        optional={"not_before": st.none() | MOMENTS},
    )
)
def test_what_is_kept_is_what_sqlalchemy_keeps(
    database: str, request: pytest.FixtureRequest, row: dict[str, Any]
) -> None:
    store: SqlStore = request.getfixturevalue(database)
    whole = {"kind": "sort", "payload": "{}", "state": "done", "due": START, "holds": True, "attempts": 2}
    whole |= {"turn": 0, "worker": "", "error": "", **row}
    with store._database._write.connect() as connection, connection.begin():
        connection.exec_driver_sql("DELETE FROM job")
        connection.execute(insert(JOB), whole)
        theirs = dict(connection.execute(select(JOB)).mappings().one())
    with store._database.marking() as session:
        session.plain("DELETE FROM job")
        session.keep(statements.OWE_NEW, whole)
        ours = dict(zip(JOB.c.keys(), session.rows(select(JOB))[0], strict=True))
    assert {**ours, "position": 0} == {**theirs, "position": 0}


def test_a_value_that_is_missing_is_a_mistake_and_no_null(sqlite_store: SqlStore) -> None:
    with sqlite_store._database.reading() as session, pytest.raises(KeyError, match="its_id"):
        session.rows(statements.get(Incident), {})


def test_a_moment_without_a_zone_is_refused(sqlite_store: SqlStore) -> None:
    bad = {
        "id": "x",
        "due": datetime(2026, 1, 1),
        "kind": "sort",
        "payload": "{}",
        "lock": "",
        "state": "done",
    }
    with sqlite_store._database.marking() as session, pytest.raises(ValueError, match="time zone"):
        session.keep(statements.OWE_NEW, {**bad, "holds": False, "attempts": 0})


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 17, 1000])
def test_any_number_of_values_is_asked_for_with_a_few_statements(count: int, sqlite_store: SqlStore) -> None:
    wanted = [f"sighting-{number}" for number in range(count)]
    padded = some(wanted)
    assert padded[:count] == wanted
    assert set(padded) == set(wanted)
    assert len(padded) & (len(padded) - 1) == 0
    with sqlite_store.read() as look:
        assert look.find(Sighting, subject=tuple(wanted)) == []
        assert look.count(Sighting, subject=()) == 0
    assert some([]) == []
