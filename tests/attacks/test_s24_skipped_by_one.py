"""S24: nobody alone, and no proposer of a critical plan, decides which of the confirmed writes happen; a write that
later steps need is never passed over, and a run without one of its writes does not say "contained"."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.lab.trials import Proof
from twokey.app import declarations
from twokey.catalog.library import FileLibrary
from twokey.core.errors import NotFound, Refused
from twokey.core.executions import Decision
from twokey.core.incidents import State
from twokey.core.notices import NoticeKind
from twokey.core.runbooks import OnFailure, Plan, PlanState, Runbook
from twokey.testing.clouds import KEY_ID
from twokey.testing.runbooks import (
    LEAKED_KEY,
    QUARANTINE_ACCOUNT,
    disable_leaked_key,
    quarantine_account,
)
from twokey.testing.world import World

ROOT = Path(__file__).resolve().parents[2]
QUARANTINE = ("create_organizational_unit", "create_policy")


def quarantine() -> Runbook:
    """Return the runbook as it is shipped: the account is moved only behind its policy."""
    book = quarantine_account(digest="d" * 64)
    *others, move = book.steps
    return replace(book, steps=(*others, replace(move, needs=("attach_scp",))))


def stopped_at_attach() -> tuple[World, Plan]:
    """Let a quarantine stop at the policy's attachment, which never happened."""
    world = World(quarantine())
    world.incident()
    plan = world.proposes("ana", QUARANTINE_ACCOUNT)
    world.approves("ben", plan)
    world.approves("cho", plan)
    for call in ("apply", "find"):
        world.cloud.fault_on(f"{call} aws.organizations.attach_policy", times=30)
    world.works_on(12)
    assert world.plan(plan).state is PlanState.ASKING
    world.cloud._on.clear()
    return world, plan


def stopped_at_key(**changes: Any) -> tuple[World, Plan]:
    """Let the run that switches a leaked key off stop at that very step; the user's Deny comes after it."""
    book = disable_leaked_key(**changes)
    steps = [replace(s, on_failure=OnFailure.ASK) if s.id == "deactivate_key" else s for s in book.steps]
    world = World(replace(book, steps=tuple(steps)))
    world.incident()
    plan = world.proposes("ana", LEAKED_KEY)
    world.approves("ben", plan)
    world.cloud.refuse_on("apply aws.iam.update_access_key", times=1)
    world.works()
    assert world.plan(plan).state is PlanState.ASKING
    return world, plan


def effects(world: World) -> list[str]:
    return [name.rpartition(".")[2] for name, _, _ in world.cloud.effects]


def asks(world: World, plan: Plan, who: str, decision: str = "skip", **given: str) -> str:
    """Let somebody answer the run, and return why not, or what became of the plan."""
    try:
        code = given.get("code", world.code())
        return world.containment.decide(plan.id, world.who(who), decision, code=code).state.value
    except Refused as refusal:
        return refusal.message.code


def confirms(world: World, asked: Decision, who: Any, code: str | None = None) -> str:
    """Let somebody confirm, and return why not, or what became of the plan."""
    who = world.who(who) if isinstance(who, str) else who
    given = world.code() if code is None else code
    try:
        return world.containment.confirm_decision(asked.id, who, code=given).state.value
    except Refused as refusal:
        return refusal.message.code


def test_s24_no_account_is_moved_out_from_behind_its_policy(proof: Proof) -> None:
    trials = proof("S24", "a write that later steps need is never passed over")
    for _ in trials:
        world, plan = stopped_at_attach()
        said = {who: asks(world, plan, who) for who in ("ana", "ben", "cho", "dia", "eve")}
        world.works_on(1)
        assert said == {
            "ana": "refused.proposer_decides",
            "ben": "refused.step_is_needed",
            "cho": "refused.step_is_needed",
            "dia": "refused.not_approver",
            "eve": "refused.not_approver",
        }
        (why,) = {e.data["by"] for e in world.trail(plan) if e.data.get("code") == "refused.step_is_needed"}
        assert why == "move_account"
        assert effects(world) == [*QUARANTINE]
        assert world.incidents()[0].state is State.TRIAGE
        trials.outcome("refused", len(said))


@pytest.mark.parametrize("decision", ["retry", "skip", "stop"])
def test_s24_the_proposer_of_a_critical_plan_decides_nothing(decision: str) -> None:
    world, plan = stopped_at_attach()
    assert asks(world, plan, "ana", decision) == "refused.proposer_decides"
    assert world.plan(plan).state is PlanState.ASKING
    assert asks(world, plan, "ben", "retry") == "running"
    world.works_on(1)
    assert effects(world) == [*QUARANTINE, "attach_policy", "move_account"]
    assert world.incidents()[0].state is State.CONTAINED


def test_s24_the_shipped_quarantine_cannot_be_run_without_its_policy() -> None:
    book = FileLibrary(ROOT / "runbooks", declarations()).runbook(QUARANTINE_ACCOUNT)
    (move,) = [step for step in book.steps if step.id == "move_account"]
    assert move.needs == ("attach_scp",)
    assert "aws.org.policy_targets_equal" in [check.check for check in move.pre]


def test_s24_nobody_alone_has_a_write_passed_over(proof: Proof) -> None:
    trials = proof("S24", "nobody alone has a confirmed write passed over")
    for _ in trials:
        world, plan = stopped_at_key()
        assert asks(world, plan, "ana") == "asking"
        (asked,) = world.containment.asked(plan.id)
        for _ in range(3):
            assert confirms(world, asked, "ana") == "refused.own_decision"
            assert asks(world, plan, "ana") == "refused.skip_asked"
        assert asks(world, plan, "ben") == "refused.skip_asked"
        for who in ("dia", "eve", "far"):
            assert confirms(world, asked, who) == "refused.not_approver"
        world.works_on(2)
        assert world.plan(plan).state is PlanState.ASKING
        assert effects(world) == []
        trials.outcome("refused", 10)


def test_s24_two_accounts_of_one_person_are_one_person() -> None:
    world, plan = stopped_at_key()
    assert asks(world, plan, "ben") == "asking"
    (asked,) = world.containment.asked(plan.id)
    other = world.who("ben-2")
    assert confirms(world, asked, other) == "refused.own_decision"


def test_s24_both_give_a_code_where_the_keys_needed_one() -> None:
    world, plan = stopped_at_key()
    for code in ("", "000000"):
        assert asks(world, plan, "ana", code=code) == "refused.step_up_wrong"
    assert world.containment.asked(plan.id) == []
    assert asks(world, plan, "ana") == "asking"
    (asked,) = world.containment.asked(plan.id)
    for code in ("", "000000"):
        assert confirms(world, asked, "cho", code) == "refused.step_up_wrong"
    assert world.plan(plan).state is PlanState.ASKING


def test_s24_who_broke_the_glass_still_does_not_skip_alone() -> None:
    world = World()
    world.incident()
    plan = world.breaks_glass("ana", world.previews("ana"))
    world.cloud.refuse_on("apply aws.iam.put_user_policy", times=1)
    world.works()
    assert asks(world, plan, "ana") == "asking"
    (asked,) = world.containment.asked(plan.id)
    assert confirms(world, asked, "ana") == "refused.own_decision"
    assert world.plan(plan).state is PlanState.ASKING


def test_s24_what_two_people_skip_is_said_loudly_and_is_only_partly_contained(proof: Proof) -> None:
    trials = proof("S24", "a run without one of its writes ends as partly contained, said in the channel")
    for _ in trials:
        world, plan = stopped_at_key()
        assert asks(world, plan, "ana") == "asking"
        (told,) = [m for n in world.notices() for m in n.messages if m.code == "containment.skip_asked"]
        assert (told.params["step"], told.params["action"], told.params["effect"], told.params["check"]) == (
            "deactivate_key",
            "aws.iam.update_access_key",
            "modify",
            "aws.iam.key_status_equals",
        )
        (asked,) = world.containment.asked(plan.id)
        assert confirms(world, asked, "cho") == "running"
        world.works_on(1)
        after = world.plan(plan)
        assert (after.state, world.incidents()[0].state) == (PlanState.DONE, State.PARTLY_CONTAINED)
        assert world.incidents()[0].times.contained is None
        assert after.reason is not None
        assert after.reason.params["left"] == "deactivate_key (aws.iam.update_access_key)"
        assert world.cloud.state.keys[KEY_ID].status == "Active"
        (loud,) = [n for n in world.notices() if "execution.done_partly" in [m.code for m in n.messages]]
        assert loud.kind is NoticeKind.BROADCAST
        (went_on,) = [e for e in world.trail(plan) if e.action == "run.continued"]
        assert (went_on.actor.id, went_on.data["asked_by"]) == ("d-cho", "d-ana")
        trials.outcome("partly contained")


def test_s24_a_later_whole_run_makes_it_contained_and_another_runbooks_does_not() -> None:
    world = World()
    world.incident()
    plan = world.proposes("ana")
    world.approves("ben", plan)
    world.cloud.refuse_on("apply aws.iam.put_user_policy", times=1)
    world.works()
    world.skips("ben", "cho", plan)
    world.works()
    assert world.incidents()[0].state is State.PARTLY_CONTAINED
    world.contains("aws.protect-buckets")
    assert world.incidents()[0].state is State.PARTLY_CONTAINED
    assert world.contains().state is PlanState.DONE
    assert world.incidents()[0].state is State.CONTAINED


def test_s24_what_was_asked_dies_with_its_stop(proof: Proof) -> None:
    trials = proof("S24", "what one asked about an earlier stop, or may not ask any more, confirms nothing")
    for _ in trials:
        world, plan = stopped_at_key()
        assert asks(world, plan, "ana") == "asking"
        (asked,) = world.containment.asked(plan.id)
        world.cloud.refuse_on("apply aws.iam.update_access_key", times=1)
        assert asks(world, plan, "cho", "retry") == "running"
        assert confirms(world, asked, "cho") == "refused.not_asking"
        world.works()
        assert world.plan(plan).state is PlanState.ASKING
        assert confirms(world, asked, "cho") == "refused.decision_over"

        assert asks(world, plan, "ana") == "asking"  # about this stop
        (asked,) = world.containment.asked(plan.id)
        world.rosters.change("d-ana", roles=frozenset())
        assert confirms(world, asked, "cho") == "refused.decision_over"
        assert world.containment.asked(plan.id) == []

        assert asks(world, plan, "ben") == "asking"
        (asked,) = world.containment.asked(plan.id)
        world.tampers(replace(world.plan(plan), params={**plan.params, "x": "y"}))
        assert confirms(world, asked, "cho") == "refused.plan_changed"
        world.tampers(replace(world.plan(plan), params=plan.params))
        assert confirms(world, asked, "cho") == "running"
        assert confirms(world, asked, "cho") == "refused.not_asking"
        trials.outcome("refused", 5)
    with pytest.raises(NotFound):
        world.containment.confirm_decision("decision-0", world.who("cho"))


def test_s24_a_runbook_that_goes_on_without_a_write_is_partly_contained_too() -> None:
    book = disable_leaked_key()
    steps = [replace(s, on_failure=OnFailure.CONTINUE) if s.id == "deny_user" else s for s in book.steps]
    world = World(replace(book, steps=tuple(steps)))
    world.incident()
    world.cloud.refuse_on("apply aws.iam.put_user_policy", times=1)
    assert world.contains().state is PlanState.DONE
    assert world.incidents()[0].state is State.PARTLY_CONTAINED
    assert world.cloud.state.keys[KEY_ID].status == "Inactive"


def test_s24_a_runbook_does_not_go_on_without_what_later_steps_need() -> None:
    book = quarantine()
    steps = [replace(s, on_failure=OnFailure.CONTINUE) if s.id == "attach_scp" else s for s in book.steps]
    world = World(replace(book, steps=tuple(steps)))
    world.incident()
    world.cloud.refuse_on("apply aws.organizations.attach_policy", times=1)
    plan = world.contains(QUARANTINE_ACCOUNT, "ana", "ben", "cho")
    assert plan.state is PlanState.ASKING
    assert effects(world) == [*QUARANTINE]


def test_s24_an_undo_keeps_its_order_too() -> None:
    """The account comes out first: its unit and policy are not taken from under it."""
    world = World(quarantine())
    world.incident()
    done = world.contains(QUARANTINE_ACCOUNT, "ana", "ben", "cho")
    undo = world.proposes_undo("ana", done)
    for who in ("ben", "cho"):
        world.approves(who, undo)
    for call in ("apply", "find"):
        world.cloud.fault_on(f"{call} aws.organizations.move_account", times=30)
    world.works_on(12)
    assert world.plan(undo).state is PlanState.ASKING
    world.cloud._on.clear()
    before = effects(world)
    assert asks(world, undo, "ben") == "refused.step_is_needed"
    world.works_on(2)
    assert effects(world) == before
