"""S5: a key is used once, for one plan of one incident in one workspace, in time; everything else is refused, told to
the person alone, and on record."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.lab.bots import FaultyBot
from tests.lab.installation import Installation, installed
from tests.lab.trials import Proof
from twokey.core.runbooks import Plan
from twokey.demo import notifications
from twokey.demo.company import SHOP, USER
from twokey.demo.emulators import Ministack
from twokey.demo.slack import FakeSlack

from .doors import all_served, caught, keys, said
from .staging import another_choice, held_back, variant

MEDIUM = "aws.protect-buckets-medium"
EXPIRES_S = 30 * 60


@pytest.fixture(scope="module")
def world(aws: Ministack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """A world whose bot has a clock that can be moved."""
    folder = tmp_path_factory.mktemp("world")
    quick = {"TWOKEY_SLACK_PER_SECOND": "25", "TWOKEY_LEASE_S": "10"}
    with installed(folder, aws, settings=quick) as made:
        variant(made, "medium")
        (folder / "clock").write_text("0")
        bot = FaultyBot(folder, made.variables, clock=folder / "clock")
        made.bots.append(bot)
        bot.start(60)
        made.attack()
        yield made


def later(world: Installation, seconds: float) -> None:
    """Move the bot's clock on; in one step, so that it never reads half a number."""
    file = world.folder / "clock"
    beside = world.folder / "clock.new"
    beside.write_text(str(float(file.read_text()) + seconds))
    beside.replace(file)


def look_at(world: Installation, plan_id: str) -> Plan:
    with world.record.read() as look:
        plan = look.get(Plan, plan_id)
    assert plan is not None
    return plan


def proposed(world: Installation) -> Any:
    return world.propose(MEDIUM, buckets=another_choice(world))


def turned(world: Installation, person: Any, card: Any) -> Any:
    return world.fill(person, world.modal(person, card), typed=SHOP)


# How a plan can be over


def done(world: Installation, card: Any) -> str:
    assert not turned(world, world.ben, card).errors
    return "done"


def refused(world: Installation, card: Any) -> str:
    world.ben.click(world.fresh(card), "plan_reject")
    view = world.until(lambda: world.view(world.ben, "plan_reject"))
    world.fill(world.ben, view, reason="no")
    return "refused"


def withdrawn(world: Installation, card: Any) -> str:
    world.ana.click(world.fresh(card), "plan_withdraw")
    return "withdrawn"


def expired(world: Installation, card: Any) -> str:
    assert world.state(world.plan_id(card)) == "proposed"
    later(world, EXPIRES_S + 5)
    return "expired"


def voided(world: Installation, card: Any) -> str:
    lock = world.runbooks / "approved.lock"
    with held_back(world):
        assert not turned(world, world.ben, card).errors
        lock.rename(lock.with_suffix(".away"))
    world.ends(world.plan_id(card), "voided")
    lock.with_suffix(".away").rename(lock)
    return "voided"


@pytest.mark.parametrize("end", [done, refused, withdrawn, expired, voided])
def test_s05_the_buttons_and_modals_of_a_plan_that_is_over_turn_nothing(
    world: Installation, end: Callable[[Installation, Any], str], proof: Proof
) -> None:
    trials = proof(
        "S5", f"an old button or modal of a plan that is {end.__name__} turns nothing", ci=1, release=10
    )
    for _ in trials:
        card = proposed(world)
        plan_id = world.plan_id(card)
        modal = world.modal(world.dee, card)  # Dee looked at it in time, and went for lunch
        state = end(world, card)
        world.ends(plan_id, state)
        turned_before, wrote = keys(world, plan_id), len(world.writes())

        told = world.old_click(world.cy, card)
        assert told.strip()
        assert [(e.actor.id, e.data["code"]) for e in said(world, plan_id, "review.refused")] == [
            ("p-cy", f"refused.plan_{state}")
        ]
        blocks = world.drawn[card.ts]
        world.private(world.eve, partial(world.eve.click, card, "plan_reject", blocks=blocks))
        assert [e.actor.id for e in said(world, plan_id, "refusal.refused")] == ["p-eve"]
        before = len(said(world, plan_id, "approval.refused"))
        for _ in range(2):
            assert world.fill(world.dee, modal, typed=SHOP).errors
        world.until(lambda: len(said(world, plan_id, "approval.refused")) == before + 2)  # noqa: B023
        world.dee.close(modal)

        assert keys(world, plan_id) == turned_before
        assert world.state(plan_id) == state
        assert len(world.writes()) == wrote
        trials.outcome("refused, told alone, on record", 4)


def test_s05_a_key_in_time_counts_and_one_too_late_does_not(world: Installation, proof: Proof) -> None:
    trials = proof(
        "S5", "29 minutes are in time, 30 are not, and keys grow old before the run", ci=1, release=10
    )
    for _ in trials:
        card = proposed(world)
        modal = world.modal(world.cy, card)
        later(world, EXPIRES_S - 120)
        assert not world.fill(world.cy, modal, typed=SHOP).errors
        world.ends(world.plan_id(card), "done")
        trials.outcome("in time: counted")

        card = proposed(world)
        modal, plan_id = world.modal(world.cy, card), world.plan_id(card)
        later(world, EXPIRES_S + 1)
        assert "expired" in " ".join(world.fill(world.cy, modal, typed=SHOP).errors.values())
        world.cy.close(modal)
        assert said(world, plan_id, "approval.refused")[-1].data["code"] == "refused.plan_expired"
        assert keys(world, plan_id) == ["p-ana"]
        world.ends(plan_id, "expired")
        trials.outcome("too late: refused")

        wrote = len(world.writes())
        with held_back(world):
            card = proposed(world)
            assert not turned(world, world.cy, card).errors
            later(world, EXPIRES_S + 1)
        plan_id = world.plan_id(card)
        world.ends(plan_id, "voided")
        assert said(world, plan_id, "voided")[-1].data["code"] == "refused.plan_expired"
        assert len(world.writes()) == wrote
        trials.outcome("old keys: void")


# Ids from elsewhere


@pytest.fixture(scope="module")
def two(world: Installation) -> tuple[Any, Any]:
    """One plan for each of two incidents: their approval cards."""
    iam = world.company.client("iam", SHOP)
    iam.create_user(UserName="backup-bot")
    other = iam.create_access_key(UserName="backup-bot")["AccessKey"]["AccessKeyId"]
    found = notifications.findings(other, ["shop-logs"], datetime.now(UTC))
    # another user's key and other findings: a matter of its own
    world.company.notify([one.replace(USER, "backup-bot").replace("c4f1d0b2", "0a1b2c3d") for one in found])
    world.until(lambda: world.card("INC-2"))
    first = proposed(world)
    view = world.preview(MEDIUM, "INC-2", buckets="shop-logs")
    assert view.callback_id == "contain_propose", world.slack.show(view)
    assert not world.fill(world.ana, view).errors
    world.until(lambda: world.plan_cards("INC-2"))
    second = world.plan_cards("INC-2")[-1]
    world.drawn[second.ts] = second.blocks
    return first, second


def sent(world: Installation, delivery: Any) -> Any:
    """Send what was caught and changed, as Slack would: signed, on its own connection."""
    delivery._transport = world.slack.socket
    return delivery.send()


def with_notes(world: Installation, person: Any, modal: Any, notes: Any) -> Any:
    """Send a modal in whose private metadata something else stands."""
    delivery = caught(world, partial(world.fill, person, modal, typed=SHOP))
    delivery.payload["view"]["private_metadata"] = notes if isinstance(notes, str) else json.dumps(notes)
    delivery.after_ack = None
    return sent(world, delivery)


def test_s05_ids_that_were_swapped_between_two_incidents_turn_nothing(
    world: Installation, two: tuple[Any, Any], proof: Proof
) -> None:
    plans = [look_at(world, world.plan_id(card)) for card in two]
    assert [plan.incident_id for plan in plans] == ["INC-1", "INC-2"]
    here, there = plans
    modal = world.modal(world.cy, two[0])
    right = json.loads(
        modal.private_metadata if hasattr(modal, "private_metadata") else modal.body["private_metadata"]
    )
    assert right["plan"] == here.id
    edits: dict[str, Any] = {
        "the other plan's id": right | {"plan": there.id},
        "the other plan's digest": right | {"digest": there.digest},
        "no digest": {"plan": here.id},
        "the short digest": right | {"digest": here.short},
        "capital letters": right | {"digest": here.digest.upper()},
        "no plan": {"digest": here.digest},
        "a plan that is not there": right | {"plan": "plan-" + "0" * 20},
        "another kind of id": right | {"plan": "INC-1"},
        "a pattern": right | {"plan": "plan-%"},
        "a list": right | {"plan": [here.id, there.id]},
        "no notes": "",
        "no JSON": "{",
        "not an object": "[]",
        "numbers": "7",
    }
    trials = proof(
        "S5", "swapped or edited ids in private metadata turn no key", ci=len(edits), release=len(edits)
    )
    for (name, notes), _ in zip(edits.items(), trials, strict=True):
        refusals = world.actions().count("approval.refused")
        answer = with_notes(world, world.cy, modal, notes)
        assert answer.acked, name
        assert answer.errors or (answer.ack or {}).get("response_action") == "update", name
        world.until(lambda: world.actions().count("approval.refused") == refusals + 1)  # noqa: B023
        trials.outcome("refused, on record")
    assert keys(world, here.id) == keys(world, there.id) == ["p-ana"]
    assert {world.state(plan.id) for plan in plans} == {"proposed"}
    world.cy.close(modal)


def test_s05_a_button_with_another_value_shows_that_plan_and_turns_nothing(
    world: Installation, two: tuple[Any, Any], proof: Proof
) -> None:
    here, there = (look_at(world, world.plan_id(card)) for card in two)
    values = {
        there.id: True,  # shows that plan, whole, with its own digest
        "plan-" + "0" * 20: False,
        "INC-2": False,
        "": False,
        "' OR 1=1 --": False,
        "../" + there.id: False,
        there.digest: False,
        there.id + "\u200b": False,
    }
    trials = proof("S5", "a button with an edited value turns nothing", ci=len(values), release=len(values))
    for (value, opens), _ in zip(values.items(), trials, strict=True):
        press = caught(world, partial(world.dee.click, world.fresh(two[0]), "plan_review"))
        press.payload["actions"][0]["value"] = value
        if opens:
            sent(world, press)
            view = world.until(lambda: world.view(world.dee, "plan_approve"))
            assert there.short in world.slack.show(view, 4000)
            assert here.short not in world.slack.show(view, 4000)
            world.dee.close(view)
            trials.outcome("showed the other plan")
        else:
            world.private(world.dee, partial(sent, world, press))
            assert world.slack.view_of(world.dee) is None
            trials.outcome("refused, told alone")
    assert keys(world, here.id) == keys(world, there.id) == ["p-ana"]


def test_s05_a_preview_that_another_looked_at_is_not_proposed(world: Installation, proof: Proof) -> None:
    """Whoever brings the draft of somebody else, or of another incident, proposes nothing in their own name."""
    buckets = another_choice(world)
    views = {
        person.name: world.preview(MEDIUM, person=person, buckets=buckets)
        for person in (world.ben, world.eve)
    }
    bens = json.loads(views["ben"].body["private_metadata"])
    known = len(world.find(Plan))
    trials = proof("S5", "another person's preview is not proposed in one's own name", ci=1)
    for _ in trials:
        refusals = world.actions().count("proposal.refused")
        answer = with_notes(world, world.eve, views["eve"], bens)
        assert answer.errors
        world.until(lambda: world.actions().count("proposal.refused") == refusals + 1)  # noqa: B023
        trials.outcome("refused, on record")
    assert len(world.find(Plan)) == known
    world.ben.close(views["ben"])
    world.eve.close(views["eve"])


def test_s05_a_plan_of_another_workspace_is_refused(
    world: Installation, two: tuple[Any, Any], proof: Proof
) -> None:
    """Two workspaces on one record: Dee is on the roster with an account in both."""
    card, _ = two
    plan_id = world.plan_id(card)
    plan = look_at(world, plan_id)
    with contextlib.ExitStack() as stack:
        second = FakeSlack()
        second.state.team_id = "T0SECOND01"
        stack.enter_context(second)
        dee = second.add_user("dee", user_id="U0DEE22", team_id=second.team_id)
        channel = second.add_channel("incidents")
        account = f"user: U0DEE}}, {{team: {second.team_id}, user: U0DEE22}}"
        world.roster.write_text(world.roster.read_text().replace("user: U0DEE}", account))
        bot = FaultyBot(
            world.folder,
            world.variables
            | {
                "TWOKEY_SLACK_API_URL": second.api_url,
                "TWOKEY_SLACK_TEAM": second.team_id,
                "TWOKEY_SLACK_CHANNEL": channel.id,
                "TWOKEY_SLACK_SECURITY_CHANNEL": channel.id,
            },
            clock=Path(world.folder / "clock"),
        )
        stack.callback(bot.kill)
        bot.start(60)
        second.wait_connected(timeout=60)
        said_before = len(said(world, plan_id, "approval.refused")) + len(
            said(world, plan_id, "review.refused")
        )
        trials = proof("S5", "a plan of another workspace is refused, told alone, on record", ci=1)
        for _ in trials:
            # a press with that plan's id: on a message that carries it there
            own = dee.post(channel, "copied")
            own.blocks = world.drawn[card.ts]
            dee.click(own, "plan_review")
            world.until(lambda: said(world, plan_id, "review.refused"))
            assert second.wait_for(lambda: second.ephemerals(dee), 60)
            assert second.view_of(dee) is None
            trials.outcome("refused, told alone, on record")
        codes = {e.data["code"] for e in said(world, plan_id, "review.refused")}
        assert codes == {"refused.foreign_workspace"}
        assert said_before + 1 == len(said(world, plan_id, "approval.refused")) + len(
            said(world, plan_id, "review.refused")
        )
    assert keys(world, plan_id) == ["p-ana"]
    assert look_at(world, plan_id) == plan
    # The stage was not the reason: at home, Dee's key counts.
    world.until(lambda: all_served(world))
    assert not turned(world, world.dee, card).errors
    world.ends(plan_id, "done")
    world.quiet()
    world.proven()
