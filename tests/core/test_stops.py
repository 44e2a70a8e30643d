"""Stops as rules: which runs count, whom a stop holds back, who may lift it and with what."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from twokey.core.executions import Execution
from twokey.core.people import Role
from twokey.core.stops import Limits, Stop, StopKind, asks, begun, holds_back, needs_code, stop_id
from twokey.testing.builders import ACCOUNT, a_plan, at
from twokey.testing.people import person, the_team

NOW = at(0)
OTHER = "444455556666"
LIMITS = Limits(within_s=300)
RUN = Execution("plan-1", "INC-1", NOW, account=ACCOUNT, head_seq=10)


@pytest.mark.parametrize(
    ("run", "account", "counts"),
    [
        (RUN, "", True),
        (RUN, ACCOUNT, True),
        (RUN, OTHER, False),
        (replace(RUN, started_at=NOW - timedelta(seconds=299)), "", True),
        (replace(RUN, started_at=NOW - timedelta(seconds=300)), "", False),
        (replace(RUN, started_at=NOW + timedelta(hours=1)), "", True),
        (replace(RUN, ended_at=NOW), ACCOUNT, True),
        (replace(RUN, is_counted=False), "", False),
        (replace(RUN, head_seq=9), "", False),
        (replace(RUN, account=""), OTHER, True),
    ],
)
def test_which_run_counts(run: Execution, account: str, counts: bool) -> None:
    assert begun([run], account, LIMITS, 10, NOW) == counts


def test_an_account_is_one_whatever_the_size_of_its_letters() -> None:
    run = replace(RUN, account="0000AAAA-0000")
    assert begun([run], "0000aaaa-0000", LIMITS, 0, NOW) == 1
    assert stop_id("0000AAAA-0000") == stop_id("0000aaaa-0000") != stop_id("")


def test_whom_a_stop_holds_back() -> None:
    plan, undo = a_plan(), a_plan(undo_of="plan-1")
    reading = a_plan(steps=())
    switch = Stop("x", ACCOUNT, NOW)
    breaker = replace(switch, kind=StopKind.BREAKER)
    assert [holds_back(switch, one) for one in (plan, undo, reading)] == [True, True, True]
    assert [holds_back(breaker, one) for one in (plan, undo, reading)] == [True, False, False]
    assert not holds_back(replace(switch, is_lifted=True), plan)


@pytest.mark.parametrize(
    ("changes", "counts"),
    [
        ({}, True),
        ({"asked_by": ""}, False),
        ({"asked_by": "d-gone"}, False),
        ({"asked_by": "d-far"}, False),
        ({"asked_at": None}, False),
        ({"asked_at": at(-29.9)}, True),
        ({"asked_at": at(-30)}, False),
        ({"asked_at": at(4)}, True),
        ({"asked_at": at(6)}, False),
    ],
)
def test_until_when_an_asking_counts(changes: dict[str, object], counts: bool) -> None:
    stop = Stop("x", ACCOUNT, NOW, asked_by="d-dia", asked_at=NOW)
    asking = asks(replace(stop, **changes), the_team(), NOW)  # type: ignore[arg-type]
    assert (asking is not None) is counts


def test_who_must_give_a_code() -> None:
    stop = Stop("x", ACCOUNT, NOW)
    roster = the_team()
    without = replace(person("gil"), has_step_up=False)
    responder = replace(person("hal", Role.RESPONDER), has_step_up=False)
    with_both = replace(roster, people=(*roster.people, without, responder))
    assert [needs_code(stop, one, with_both) for one in (roster.people[0], without, responder)] == [
        True,
        True,
        False,
    ]
    alone = replace(roster, people=(without, responder))
    assert [needs_code(stop, one, alone) for one in alone.people] == [False, False]
