"""What is contained, through Slack: the list, its owner and review, the card, and the news that it does not hold."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.chat.test_slack_story import propose, turned
from twokey.core.containments import InForce
from twokey.core.incidents import State
from twokey.core.people import system
from twokey.core.runbooks import Plan
from twokey.demo.slack import as_text
from twokey.testing.clouds import KEY_ID
from twokey.testing.people import identity


@pytest.fixture
def run(world: Any) -> Plan:
    """Return a run that contained a key."""
    world.incident()
    plan: Plan = world.containment.plan(turned(world, propose(world)))
    return plan


def rows(world: Any) -> list[InForce]:
    found: list[InForce] = world.watch.contained()
    return found


def answered(world: Any, name: str, typed: str) -> str:
    before = len(world.slack.ephemerals(world.people[name]))
    world.people[name].command("/twokey", typed, world.channel)
    return as_text(world.told(name, before + 1)[-1])


@pytest.mark.parametrize("typed", ["inforce", "inforce INC-1", "in-force 1"])
def test_what_is_contained_is_listed_with_everything_that_one_asks(world: Any, run: Plan, typed: str) -> None:
    text = answered(world, "cho", typed)
    for part in (
        run.title,
        run.short,
        run.target.account,
        "Ana, Ben",
        "owner: Ana",
        "in force",
        "AKIAIOSFODNN7EXAMPLE",
    ):
        assert part in text, part
    world.people["cho"].click(world.told("cho")[-1], "plan_undo")
    assert world.modal("cho", "contain_propose").title == "Undo"


def test_where_nothing_is_contained_the_list_says_so(world: Any) -> None:
    assert "Nothing is contained" in answered(world, "cho", "inforce 999900001111")


def test_the_owner_and_the_review_are_changed_and_told_in_the_thread(world: Any, run: Plan) -> None:
    day = f"{datetime.now(UTC) + timedelta(days=40):%Y-%m-%d}"
    assert "INC-1" in answered(world, "ana", f"inforce review {run.short} {day}")
    assert "INC-1" in answered(world, "ana", f"inforce owner {run.short} <@{world.people['cho'].id}>")
    assert {row.owner for row in rows(world)} == {"d-cho"}
    assert {f"{row.review_at:%Y-%m-%d}" for row in rows(world)} == {day}
    world.slack.wait_for(lambda: "Cho answers for" in "".join(map(as_text, world.thread(1))))


@pytest.mark.parametrize("typed", ["inforce owner", "inforce owner RUN", "inforce review RUN"])
def test_what_is_not_said_whole_is_answered_with_how_to_say_it(world: Any, typed: str) -> None:
    assert "inforce review RUN" in answered(world, "ana", typed)


def test_a_day_that_is_none_is_refused_with_the_reason(world: Any, run: Plan) -> None:
    assert "write one like" in answered(world, "ana", f"inforce review {run.short} someday")


def test_who_is_not_on_the_roster_sees_and_changes_nothing(world: Any, run: Plan) -> None:
    world.people["eve"] = world.slack.add_user("eve")
    for typed in ("inforce", f"inforce review {run.short} 2030-01-01"):
        assert run.title not in answered(world, "eve", typed)
    assert {row.look for row in rows(world)} == {0}


def test_a_key_that_is_switched_on_is_news_in_the_channel_with_a_button_that_contains_anew(
    world: Any, run: Plan
) -> None:
    world.slack.wait_for(lambda: "in force: " in as_text(world.said()[0]))
    world.cloud.state.keys[KEY_ID].status = "Active"
    world.watch.look(run.id, "0")
    world.wake()

    def news() -> Any:
        return next((m for m in world.thread(1) if "does not hold any more" in as_text(m)), None)

    told = world.slack.wait_for(news)
    assert "is open again" in as_text(told)
    assert world.response.shown("INC-1").state is State.INVESTIGATING
    world.slack.wait_for(lambda: "does not hold" in as_text(world.said()[0]))
    world.people["ben"].click(told, "incident_contain")
    world.modal("ben", "contain_choose")


def test_the_owner_is_asked_alone_and_in_the_thread_whether_it_is_still_wanted(world: Any, run: Plan) -> None:
    day = datetime.now(UTC) + timedelta(days=1)
    world.watch.set_review(
        run.short, f"{day:%Y-%m-%d}", identity(world.people["ana"].id, world.slack.team_id)
    )
    with world.store.change() as tx:
        for row in tx.find(InForce, plan_id=run.id):
            tx.put(replace(row, review_at=datetime.now(UTC) - timedelta(days=1)))
        tx.append(system("test"), "tampered")
    world.watch.look(run.id, str(rows(world)[0].look))
    world.wake()

    def asked() -> Any:
        return next((m for m in world.thread(1) if "wanted?" in as_text(m)), None)

    message = world.slack.wait_for(asked)
    world.people["cho"].click(message, "plan_undo")
    assert world.modal("cho", "contain_propose").title == "Undo"
    alone = world.slack.wait_for(lambda: world.slack.direct_messages(world.people["ana"]))
    world.people["ana"].click(alone[-1], "plan_undo")
    assert world.modal("ana", "contain_propose").title == "Undo"
