"""S35: behind a critical plan stand its proposer and two approvers: the command of an incident makes nobody one."""

from __future__ import annotations

import pytest

from tests.lab.trials import Proof
from twokey.core.errors import Refused
from twokey.core.people import ChatAccount, Role
from twokey.core.runbooks import Plan, PlanState
from twokey.testing.runbooks import LEAKED_KEY, QUARANTINE_ACCOUNT
from twokey.testing.world import World

EVE = ChatAccount("T1", "U-EVE")


def commanded_by_eve(runbook: str) -> tuple[World, Plan]:
    """Return a world in which dia, a responder, proposed a plan, and eve, a commander, took the command herself."""
    world = World()
    world.incident()
    plan = world.proposes("dia", runbook)
    world.response.assign("INC-1", "ic", EVE, world.who("eve"))
    return world, plan


def test_s35_a_commander_is_no_key_on_a_critical_plan(proof: Proof) -> None:
    """The script of the review: dia proposes, eve takes command, eve and one approver turn keys."""
    for _ in (trials := proof("S35", "a commander turns no key on a critical plan; two approvers do")):
        world, plan = commanded_by_eve(QUARANTINE_ACCOUNT)
        with pytest.raises(Refused, match=r"refused\.not_approver"):
            world.approves("eve", plan)
        assert not world.approves("ana", plan).is_satisfied
        world.works_on(1)
        assert world.cloud.effects == []
        assert world.approves("ben", plan).is_satisfied
        world.works_on(5)
        assert world.plan(plan).state is PlanState.DONE
        trials.outcome("refused")
        trials.outcome("run by three people")


def test_s35_an_approver_who_is_a_commander_only_when_the_run_starts_has_turned_no_key(proof: Proof) -> None:
    for _ in (trials := proof("S35", "an approver who only commands when the run starts has turned no key")):
        world, plan = commanded_by_eve(QUARANTINE_ACCOUNT)
        world.rosters.change("d-eve", roles=frozenset({Role.RESPONDER, Role.COMMANDER, Role.APPROVER}))
        world.approves("eve", plan)
        world.approves("ana", plan)
        world.rosters.change("d-eve", roles=frozenset({Role.RESPONDER, Role.COMMANDER}))
        world.works_on(1)
        assert world.plan(plan).state is PlanState.VOIDED
        assert world.cloud.effects == []
        trials.outcome("voided")


def test_s35_the_undo_of_a_critical_run_counts_approvers_only() -> None:
    world, plan = commanded_by_eve(QUARANTINE_ACCOUNT)
    world.approves("ana", plan)
    world.approves("ben", plan)
    world.works_on(5)
    undo = world.proposes_undo("dia", plan)
    with pytest.raises(Refused, match=r"refused\.not_approver"):
        world.approves("eve", undo)


def test_s35_a_commander_may_still_say_no_to_a_critical_plan_and_agree_to_a_lesser_one() -> None:
    world, plan = commanded_by_eve(QUARANTINE_ACCOUNT)
    assert world.containment.reject(plan.id, world.who("eve"), "wrong account").state is PlanState.REFUSED
    world, plan = commanded_by_eve(LEAKED_KEY)
    assert world.approves("eve", plan).is_satisfied
