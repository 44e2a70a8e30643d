"""S38 in Slack: one person stops all acting with one line, cards say so, and two people let it go on by a form."""

from __future__ import annotations

from typing import Any

import pytest

from twokey.core.people import Role
from twokey.core.runbooks import PlanState
from twokey.core.stops import Limits
from twokey.demo.slack import as_text
from twokey.testing.clouds import ACCOUNT
from twokey.testing.people import identity
from twokey.testing.showings import shown_whole

STOP = f"stop {ACCOUNT} somebody &lt;!channel&gt; *else* acts `here`"


def types(world: Any, name: str, text: str) -> str:
    """Type a command and return what one is told."""
    before = len(world.slack.ephemerals(world.people[name]))
    world.people[name].command("/twokey", text, world.channel)
    return as_text(world.told(name, before + 1)[-1])


def stands(world: Any, text: str) -> Any:
    """Wait until a message in the security channel says this."""
    return world.slack.wait_for(
        lambda: [m for m in world.slack.messages(world.security) if text in as_text(m)]
    )


def lifts(world: Any, name: str, code: str = "123457", named: str = ACCOUNT) -> Any:
    """Open the form by the command and send it."""
    world.people[name].command("/twokey", f"resume {named}", world.channel)
    return world.people[name].submit(world.modal(name, "stop_resume"), {"code": code})


def test_one_person_stops_and_two_let_it_go_on(world: Any) -> None:
    world.incident()
    world.join("dia", Role.RESPONDER)
    plan = world.plan()
    world.wake()
    assert "Acting is stopped in" in types(world, "dia", STOP)
    assert stands(world, "Dia stopped all acting in")
    assert not [m for m in world.slack.messages(world.security) if "<!channel>" in str(m.blocks)]
    card = stands(world, "Acting is stopped in")[0]
    assert "INC-1" in as_text(card), "the incident's own card says it"
    approval = world.slack.wait_for(
        lambda: [m for m in world.thread(1) if "Acting is stopped in" in as_text(m)]
    )[0]
    ben = world.people["ben"]
    ben.click(approval, "plan_review")
    sent = ben.submit(world.modal("ben", "plan_approve"), {"typed": "MPLE", "code": "123457"})
    assert "No key is turned there" in str(sent.errors)
    assert world.containment.plan(plan.id).state is PlanState.PROPOSED
    listed = types(world, "ben", "stops")
    assert "by Dia" in listed
    assert lifts(world, "dia", "223457").errors == {}
    assert stands(world, "Dia asks for acting in")
    wrong = lifts(world, "ben", "123456")
    assert "code" in wrong.errors
    assert "by Dia" in types(world, "ben", "stops")
    lifts(world, "ben", "323457")
    assert stands(world, "goes on: Dia asked for it, and Ben said so too")
    assert "Acting is stopped nowhere" in types(world, "ben", "stops")
    world.slack.wait_for(lambda: "Acting is stopped" not in as_text(world.said()[0]))


def test_the_form_is_opened_from_the_list_too_and_is_about_what_it_shows(world: Any) -> None:
    world.incident()
    types(world, "ana", STOP)
    types(world, "ana", "stops")
    ana = world.people["ana"]
    ana.click(world.slack.ephemerals(ana)[-1], "stop_resume")
    form = world.modal("ana", "stop_resume")
    types(world, "cho", f"stop {ACCOUNT} it goes on all the same")
    sent = ana.submit(form, {"code": "123457"})
    assert "stopped anew" in sent.errors["code"]


def test_a_form_that_was_changed_lifts_nothing(world: Any) -> None:
    world.incident()
    types(world, "ana", STOP)
    world.people["ben"].command("/twokey", f"resume {ACCOUNT}", world.channel)
    form = world.modal("ben", "stop_resume")
    form.body["private_metadata"] = '{"where":"all","stop":"x"}'
    sent = world.people["ben"].submit(form, {"code": "123457"}, force=True)
    assert "code" in sent.errors
    assert world.containment.stops.listed()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("stop", "stop ACCOUNT REASON"),
        (f"stop {ACCOUNT}", "stop ACCOUNT REASON"),
        ("stop acme because of it", "no account or subscription"),
        ("stop 000011112222 because of it", "No incident names"),
        ("resume 000011112222", "not stopped"),
        ("resume", "stopped nowhere"),
        ("stopp all of it", "stop"),
    ],
)
def test_what_is_typed_wrongly_is_told(world: Any, text: str, told: str) -> None:
    world.incident()
    assert told in types(world, "ana", text)


def test_a_mention_stops_but_lets_nothing_go_on(world: Any) -> None:
    """A code has no place in a channel."""
    world.incident()
    world.people["ana"].mention(world.security, "stop all the bot is not ours any more")
    assert "the whole installation" in as_text(world.told("ana")[0])
    world.people["ben"].mention(world.security, "resume all")
    assert "opens a form" in as_text(world.told("ben")[0])


def test_an_open_breaker_is_told_in_the_security_channel_and_on_the_plan(world: Any) -> None:
    world.executor = type(world.executor)(
        world.store, world.clock, world.rosters, world.library, world.executor.planner, limits=Limits(0, 5)
    )
    world.incident()
    plan = world.plan()
    ben = identity(world.people["ben"].id, world.slack.team_id)
    shown_whole(world.containment, plan, ben)
    world.containment.approve(plan.id, ben, digest=plan.digest, typed=plan.typed_target, code="123457")
    world.executor.execute(plan.id)
    world.wake()
    assert stands(world, "The circuit breaker is open in the whole installation: 0 containments")
    assert world.slack.wait_for(
        lambda: [m for m in world.thread(1) if "Acting is stopped in the whole installation" in as_text(m)]
    )
    assert "Undoing works" in types(world, "ana", "stops")
