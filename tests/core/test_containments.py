"""What one look makes of a containment, when the next one is, and when somebody is asked whether it is wanted."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from twokey.core.containments import (
    Answer,
    InForce,
    InForceState,
    after_look,
    built_upon,
    is_worth_noting,
    next_reminder,
)
from twokey.core.errors import message
from twokey.core.incidents import State, reopened
from twokey.core.runbooks import Effect, Step, Touch
from twokey.testing.builders import a_plan, an_incident, at

YES, NO = Answer(True), Answer(False, message("watch.not_found", action="x"))
SILENT, DENIED = Answer(None, message("aws.throttled")), Answer(None, message("aws.access_denied"), True)
ROW = InForce("p/s", "p", "INC-1", InForceState.IN_FORCE, "111122223333", at(0), last_seen=at(0))


@pytest.mark.parametrize(
    ("before", "answer", "minutes", "after"),
    [
        ("in-force", YES, 5, "in-force"),
        ("in-force", NO, 5, "drifted"),
        ("in-force", SILENT, 5, "in-force"),
        ("in-force", SILENT, 240, "unseen"),
        ("in-force", DENIED, 5, "unseen"),
        ("drifted", NO, 5, "drifted"),
        ("drifted", SILENT, 240, "drifted"),
        ("drifted", DENIED, 5, "drifted"),
        ("drifted", YES, 5, "in-force"),
        ("unseen", YES, 5, "in-force"),
        ("unseen", NO, 5, "drifted"),
        ("unseen", SILENT, 240, "unseen"),
    ],
)
def test_what_a_look_makes_of_a_containment(before: str, answer: Answer, minutes: int, after: str) -> None:
    row = replace(ROW, state=InForceState(before))
    seen = after_look(row, answer, at(minutes), is_open=True)
    assert seen.state.value == after
    assert seen.last_seen == (at(minutes) if answer.holds else row.last_seen)
    assert (seen.changed_at == at(minutes)) is (before != after)
    assert (seen.reason is None) is (after in ("in-force", before))


def test_a_look_that_saw_nothing_new_is_noted_once_an_hour() -> None:
    assert not is_worth_noting(ROW, replace(ROW, last_seen=at(59)))
    assert is_worth_noting(ROW, replace(ROW, last_seen=at(60)))
    assert is_worth_noting(replace(ROW, last_seen=None), ROW)
    assert not is_worth_noting(replace(ROW, last_seen=None), replace(ROW, last_seen=None))
    assert is_worth_noting(ROW, replace(ROW, state=InForceState.DRIFTED))


def test_reminders_come_on_the_day_and_then_ever_more_rarely() -> None:
    month = timedelta(days=30)
    days = [(next_reminder(replace(ROW, reminded=told), month) - ROW.since).days - 30 for told in range(7)]
    assert days == [0, 1, 3, 7, 14, 21, 28]
    own = replace(ROW, review_at=at(0) + timedelta(days=3))
    assert next_reminder(own, month) == own.review_at


def a_write(id: str, **inputs: str) -> Step:
    return Step(id, "contain", "aws.x", Effect.CREATE, dict(inputs))


def test_a_step_is_built_upon_when_a_later_write_takes_what_it_left() -> None:
    steps = (
        a_write("make_ou"),
        a_write("attach", target="${{ steps.make_ou.outputs.ou_id }}", other="${{ params.x }}"),
        a_write("make_ou_2", name="${{ steps.self_made.outputs.x }}"),
        Step("look", "verify", "aws.y", Effect.READ, {"of": "${{ steps.attach.outputs.id }}"}),
    )
    assert built_upon(replace(a_plan(), steps=steps)) == {"make_ou"}


def test_what_is_contained_is_said_once_and_by_name() -> None:
    named = Touch("principal", "AIDA1", "deploy")
    row = replace(ROW, touches=(named, named, Touch("bucket", "b-1")), action="aws.x")
    assert row.what == "principal AIDA1 (deploy), bucket b-1 \u00b7 aws.x"
    assert replace(ROW, action="aws.x").what == "aws.x"


@pytest.mark.parametrize("state", State)
def test_an_incident_is_open_again_however_it_ended(state: State) -> None:
    again = reopened(replace(an_incident(), state=state))
    assert again.is_worked_on
    assert again.state is (state if state is State.TRIAGE else State.INVESTIGATING)
