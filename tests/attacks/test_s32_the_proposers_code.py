"""S32: on a plan that asks for a code, proposing it counts with the proposer's own code only. A stolen Slack session of
a responder and one approver are one person, not two."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.lab.installation import Installation
from tests.lab.trials import Proof
from twokey.core.errors import Refused
from twokey.core.runbooks import PlanState
from twokey.demo.company import SHOP
from twokey.testing.runbooks import LEAKED_KEY, QUARANTINE_ACCOUNT
from twokey.testing.world import World

from .doors import keys


@pytest.fixture
def world() -> World:
    made = World()
    made.incident()
    return made


def test_s32_a_session_without_a_code_and_one_approver_are_not_two(proof: Proof) -> None:
    for _ in (trials := proof("S32", "proposed without a code, and one approver: it does not run")):
        world = World()
        world.incident()
        plan = world.asks_for("ana", world.previews("ana", LEAKED_KEY), code="")
        assert world.keys(plan) == []
        assert not world.approves("ben", plan).is_satisfied
        world.works_on(1)
        assert (world.plan(plan).state, world.cloud.effects) == (PlanState.PROPOSED, [])
        assert world.approves("cho", plan).is_satisfied, "two approvers are two"
        trials.outcome("waits for a second approver")


def test_s32_a_wrong_code_proposes_nothing(world: World) -> None:
    with pytest.raises(Refused, match=r"^refused.step_up_wrong"):
        world.asks_for("ana", world.previews("ana"), code="000000")
    assert world.trail()[-1].action == "proposal.refused"
    plan = world.asks_for("ana", world.previews("ana"), code=(code := world.code()))
    world.containment.withdraw(plan.id, world.who("ana"))
    with pytest.raises(Refused, match=r"^refused.step_up_used"):
        world.asks_for("ana", world.previews("ana"), code=code)


def test_s32_a_key_whose_code_was_taken_out_of_its_row_does_not_count(world: World) -> None:
    plan = world.proposes("ana")
    world.approves("ben", plan)
    (own,) = [key for key in world.keys(plan) if key.role == "proposer"]
    assert own.step_up
    world.tampers(replace(own, step_up=""))
    world.works_on(1)
    assert (world.plan(plan).state, world.cloud.effects) == (PlanState.VOIDED, [])


def test_s32_no_code_is_asked_where_proposing_never_counts(world: World) -> None:
    plan = world.asks_for("ana", world.previews("ana", QUARANTINE_ACCOUNT), code="")
    assert not plan.proposer_code
    world.approves("ben", plan)
    assert world.approves("cho", plan).is_satisfied


def test_s32_through_slacks_own_doors(shared: Installation) -> None:
    """The preview of a high plan asks for the code; a wrong one is refused in the form, none is no key."""
    shared.proxy.calls.clear()
    view = shared.preview("aws.protect-buckets", buckets="shop-orders")
    assert "code" in {block.get("block_id") for block in view.blocks}
    refused = shared.fill(shared.ana, view, code="000000")
    assert set(refused.errors) == {"code"}
    known = len(shared.plan_cards())
    assert not shared.fill(shared.ana, view, code="").errors
    shared.until(lambda: len(shared.plan_cards()) > known)
    card = shared.plan_cards()[-1]
    shared.drawn[card.ts] = card.blocks
    plan_id = shared.plan_id(card)
    assert keys(shared, plan_id) == []
    assert not shared.fill(shared.ben, shared.modal(shared.ben, card), typed=SHOP).errors
    shared.quiet()
    assert shared.state(plan_id) == "proposed"
    assert not shared.writes()
