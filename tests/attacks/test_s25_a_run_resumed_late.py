"""S25: a run that was begun writes on only while its people, its runbook, its guards and its incident still stand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.lab.trials import Proof
from twokey.core.errors import Refused
from twokey.core.executions import StepState
from twokey.core.incidents import State
from twokey.core.notices import NoticeKind
from twokey.core.responsibility import Label
from twokey.core.runbooks import Plan, PlanState
from twokey.testing.clouds import ACCOUNT, KEY_ID, Killed, die
from twokey.testing.runbooks import LEAKED_KEY
from twokey.testing.world import World

DAY = 86_400.0


def asking() -> tuple[World, Plan]:
    """Let a run stop between its two writes: the key is off, the user is not denied."""
    world = World()
    world.incident()
    plan = world.proposes("ana")
    world.approves("ben", plan)
    world.cloud.refuse_on("apply aws.iam.put_user_policy")
    world.works()
    assert world.plan(plan).state is PlanState.ASKING
    assert len(world.cloud.effects) == 1
    return world, plan


def killed() -> tuple[World, Plan]:
    """Let the worker die between the two writes."""
    world = World()
    world.incident()
    plan = world.proposes("ana")
    world.approves("ben", plan)
    world.stops_at(lambda name: die() if name == "deny_user:before-intent" else None)
    with pytest.raises(Killed):
        world.works()
    world.stops_at(None)
    world.restarts()
    assert len(world.cloud.effects) == 1
    return world, plan


def relabelled(world: World) -> None:
    world.response.classify("INC-1", "provider-outage", "it was theirs after all", world.who("cho"))
    assert world.incidents()[0].verdict.label is Label.PROVIDER_OUTAGE


def protected(world: World) -> None:
    world.cloud.state.user_tags[(ACCOUNT, "deploy")] = {"twokey:never-contain"}


# What is no more so, and what is then said.
CHANGES: dict[str, tuple[Callable[[World], Any], str]] = {
    "a key's person has left": (lambda world: world.rosters.without("d-ben"), "refused.keys_void"),
    "a key's person lost the role": (
        lambda world: world.rosters.change("d-ben", roles=frozenset()),
        "refused.keys_void",
    ),
    "the runbook is not approved": (
        lambda world: world.library.disapprove(LEAKED_KEY),
        "runbook.not_approved",
    ),
    "the runbook is another": (lambda world: world.library.edit(LEAKED_KEY), "refused.runbook_differs"),
    "the runbook is gone": (lambda world: world.library.remove(LEAKED_KEY), "runbook.unknown"),
    "a guard does not hold": (protected, "refused.guard"),
    "the incident is the provider's": (relabelled, "refused.provider_side"),
    "the incident is over": (
        lambda world: world.tampers(replace(world.incidents()[0], state=State.CLOSED)),
        "refused.incident_over",
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_s25_a_run_that_is_taken_up_again_is_looked_at_again(change: str, proof: Proof) -> None:
    """After a retry, and after a crash: nothing more is written, and what stands is said."""
    trials = proof("S25", f"a begun run writes no more once {change}")
    happens, code = CHANGES[change]
    for _ in trials:
        for world, plan in (asking(), killed()):
            happens(world)
            if world.plan(plan).state is PlanState.ASKING:
                world.containment.decide(plan.id, world.who("cho"), "retry")
            world.works_on(2)
            after = world.plan(plan)
            assert (after.state, after.reason and after.reason.code) == (PlanState.FAILED, code)
            assert len(world.cloud.effects) == 1
            (loud,) = [n for n in world.notices() if "execution.stands" in [m.code for m in n.messages]]
            stands = next(m for m in loud.messages if m.code == "execution.stands")
            assert loud.kind is NoticeKind.BROADCAST
            assert (stands.params["done"], stands.params["left"]) == (
                "deactivate_key (aws.iam.update_access_key)",
                "deny_user (aws.iam.put_user_policy)",
            )
            assert world.cloud.state.keys[KEY_ID].status == "Inactive"
            undo = world.containment.preview_undo(plan.id, world.who("ana"))
            assert [step.id for step in undo.steps] == ["undo-deactivate_key"]
            trials.outcome("stopped")


def test_s25_an_effect_of_unknown_outcome_is_found_out_before_the_run_is_stopped() -> None:
    """What took effect must be in the undo, whoever left the roster meanwhile."""
    world = World()
    world.incident()
    plan = world.proposes("ana")
    world.approves("ben", plan)
    world.cloud.die_after_effect("aws.iam.update_access_key")
    with pytest.raises(Killed):
        world.works()
    world.rosters.without("d-ben")
    world.restarts()
    world.works_on(1)
    assert world.plan(plan).state is PlanState.FAILED
    assert world.journal(plan)["deactivate_key"].state is StepState.VERIFIED
    assert len(world.cloud.effects) == 1


def test_s25_a_roster_that_cannot_be_read_is_a_question_and_not_the_end() -> None:
    world, plan = killed()
    world.rosters.unreadable()
    world.works_on(1)
    assert world.plan(plan).state is PlanState.ASKING
    assert len(world.cloud.effects) == 1
    world.rosters.fault = None
    world.containment.decide(plan.id, world.who("ben"), "retry")
    world.works_on(1)
    assert world.plan(plan).state is PlanState.DONE
    assert len(world.cloud.effects) == 2


def test_s25_who_handed_the_command_over_has_still_turned_the_key() -> None:
    world = World()
    world.incident()
    world.response.assign("INC-1", "ic", world.who("eve").account, world.who("eve"))
    plan = world.proposes("ana")
    world.approves("eve", plan)
    world.stops_at(lambda name: die() if name == "deny_user:before-intent" else None)
    with pytest.raises(Killed):
        world.works()
    world.stops_at(None)
    world.response.assign("INC-1", "ic", world.who("dia").account, world.who("dia"))
    world.restarts()
    world.works_on(1)
    assert world.plan(plan).state is PlanState.DONE


def test_s25_a_question_ends_like_its_plan_would_have(proof: Proof) -> None:
    trials = proof("S25", "a run that nobody answers ends, is told, and is retried by nobody")
    for _ in trials:
        world, plan = asking()
        world.clock.advance(30 * 60 - 1)
        world.works()
        assert world.plan(plan).state is PlanState.ASKING
        world.clock.advance(1)
        for decision in ("retry", "skip"):
            with pytest.raises(Refused, match=r"refused.asking_over"):
                world.containment.decide(plan.id, world.who("ben"), decision, code=world.code())
        world.works()
        after = world.plan(plan)
        assert (after.state, after.reason and after.reason.code) == (
            PlanState.FAILED,
            "execution.asking_ended",
        )
        assert world.incidents()[0].state is State.PARTLY_CONTAINED
        for decision in ("retry", "skip", "stop"):
            with pytest.raises(Refused, match=r"refused.not_asking"):
                world.containment.decide(plan.id, world.who("ben"), decision, code=world.code())
        assert len(world.cloud.effects) == 1
        trials.outcome("ended")


def test_s25_a_question_that_is_over_can_still_be_stopped() -> None:
    world, plan = asking()
    world.clock.advance(30 * 60)
    assert world.containment.decide(plan.id, world.who("ben"), "stop").state is PlanState.FAILED
    world.works()
    assert world.actions(plan).count("failed") == 1


def test_s25_a_question_of_before_that_has_no_end_is_over() -> None:
    world, plan = asking()
    world.tampers(replace(world.plan(plan), asking_until=None))
    with pytest.raises(Refused, match=r"refused.asking_over"):
        world.containment.decide(plan.id, world.who("ben"), "retry")


def test_s25_a_clock_that_goes_back_does_not_lengthen_a_question() -> None:
    world, plan = asking()
    world.clock.advance(-DAY)
    with pytest.raises(Refused, match=r"refused.asking_over"):
        world.containment.decide(plan.id, world.who("ben"), "retry")


def test_s25_every_question_has_its_own_time() -> None:
    world, plan = asking()
    world.clock.advance(20 * 60)
    world.cloud.refuse_on("apply aws.iam.put_user_policy")
    world.containment.decide(plan.id, world.who("ben"), "retry")
    world.works()
    world.clock.advance(20 * 60)
    world.works()
    assert world.plan(plan).state is PlanState.ASKING
    world.clock.advance(10 * 60)
    world.works()
    assert world.plan(plan).state is PlanState.FAILED


def test_s25_a_run_is_not_taken_up_sixty_days_later(proof: Proof) -> None:
    """The whole story: closed by a responder, two months later, without a key holder, the runbook withdrawn."""
    trials = proof("S25", "sixty days later nobody writes the rest of a plan")
    for _ in trials:
        world, plan = asking()
        for state in (State.RESOLVED, State.POSTMORTEM, State.CLOSED):
            with pytest.raises(Refused):
                world.response.change_state("INC-1", state, world.who("dia"), "")
        world.clock.advance(60 * DAY)
        world.rosters.without("d-ben")
        world.library.disapprove(LEAKED_KEY)
        with pytest.raises(Refused, match=r"refused.asking_over"):
            world.containment.decide(plan.id, world.who("ana"), "retry")
        world.works_on(1)
        assert world.plan(plan).state is PlanState.FAILED
        assert len(world.cloud.effects) == 1
        trials.outcome("refused, and ended")
