"""S26: who may not end a plan does not end it by taking its incident away: closing, cancelling, resolving, or calling it
the provider's; and nobody closes an incident under a run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.lab.trials import Proof
from twokey.core.errors import Refused
from twokey.core.incidents import State
from twokey.core.responsibility import Label, by_person
from twokey.core.runbooks import Plan, PlanState
from twokey.testing.world import World

Move = Callable[[World, Any], Any]

MOVES: dict[str, Move] = {
    "cancels it": lambda world, who: world.response.change_state("INC-1", State.CANCELLED, who, "benign"),
    "resolves it": lambda world, who: world.response.change_state("INC-1", State.RESOLVED, who),
    "calls it the provider's": lambda world, who: world.response.classify(
        "INC-1", "provider-outage", "it is theirs", who
    ),
}


def waiting() -> tuple[World, Plan]:
    world = World()
    world.incident(severity=5.0)
    return world, world.proposes("ana")


def approved() -> tuple[World, Plan]:
    world, plan = waiting()
    world.approves("ben", plan)
    return world, plan


def running() -> tuple[World, Plan]:
    """Let the run wait for a cloud that does not answer."""
    world, plan = approved()
    world.cloud.throttle(5)
    world.works()
    return world, plan


def asking() -> tuple[World, Plan]:
    world, plan = approved()
    world.cloud.refuse_on("apply aws.iam.put_user_policy")
    world.works()
    return world, plan


ALIVE: dict[PlanState, Callable[[], tuple[World, Plan]]] = {
    PlanState.PROPOSED: waiting,
    PlanState.APPROVED: approved,
    PlanState.RUNNING: running,
    PlanState.ASKING: asking,
}


@pytest.mark.parametrize("state", ALIVE)
def test_s26_who_may_not_end_a_plan_does_not_take_its_incident_away(state: PlanState, proof: Proof) -> None:
    trials = proof("S26", "a responder ends no plan by moving its incident")
    for _ in trials:
        world, plan = ALIVE[state]()
        assert world.plan(plan).state is state
        before = world.incidents()[0]
        for move in MOVES.values():
            for who in ("dia", "eve"):
                with pytest.raises(Refused, match=r"refused.plan_(alive|on_its_way)"):
                    move(world, world.who(who))
        (after,) = world.incidents()
        assert (after.state, after.verdict) == (before.state, before.verdict)
        refused = [e for e in world.trail() if e.action in ("moved.refused", "classified.refused")]
        assert {e.data["plan"] for e in refused} == {plan.short}
        assert len(refused) == 2 * len(MOVES)
        trials.outcome("refused", len(refused))


@pytest.mark.parametrize("label", list(Label))
def test_s26_no_label_takes_an_incident_from_under_a_plan(label: Label) -> None:
    world, plan = approved()
    before = world.incidents()[0].verdict
    if by_person(label, "because", before).is_contained_by_us:
        world.response.classify("INC-1", label.value, "because", world.who("dia"))
    else:
        with pytest.raises(Refused, match=r"refused.plan_alive"):
            world.response.classify("INC-1", label.value, "because", world.who("dia"))
        assert world.incidents()[0].verdict == before
    world.works()
    assert world.plan(plan).state is PlanState.DONE


@pytest.mark.parametrize("state", [state for state in ALIVE if state is not PlanState.PROPOSED])
@pytest.mark.parametrize("who", ["ana", "ben", "cho"])
def test_s26_nobody_closes_or_cancels_under_a_run(state: PlanState, who: str) -> None:
    world, _ = ALIVE[state]()
    before = world.incidents()[0].state
    with pytest.raises(Refused, match=r"refused.(plan_on_its_way|illegal_move)"):
        world.response.change_state("INC-1", State.CANCELLED, world.who(who), "benign")
    with pytest.raises(Refused, match=r"refused.(plan_on_its_way|illegal_move)"):
        world.response.change_state("INC-1", State.CLOSED, world.who(who))
    assert world.incidents()[0].state is before


def test_s26_a_resolved_incident_is_not_closed_under_a_run() -> None:
    world, plan = asking()
    world.response.change_state("INC-1", State.RESOLVED, world.who("ben"))
    with pytest.raises(Refused, match=r"refused.plan_on_its_way"):
        world.response.change_state("INC-1", State.CLOSED, world.who("ben"))
    world.containment.decide(plan.id, world.who("ben"), "stop")
    assert world.response.change_state("INC-1", State.CLOSED, world.who("dia")).state is State.CLOSED


@pytest.mark.parametrize("who", ["ana", "ben", "cho"])
def test_s26_who_may_end_the_plan_may_move_its_incident(who: str) -> None:
    """An approver finds out that it was benign: the plan goes with it, as it would by their no."""
    world, plan = waiting()
    world.response.change_state("INC-1", State.CANCELLED, world.who(who), "benign")
    with pytest.raises(Refused, match=r"refused.incident_over"):
        world.approves("cho" if who != "cho" else "ben", plan)


def test_s26_a_plan_that_is_over_holds_nothing() -> None:
    world, plan = waiting()
    world.clock.advance(30 * 60)
    assert world.plan(plan).state is PlanState.PROPOSED, "its end is owed, and not yet written"
    world.response.change_state("INC-1", State.CANCELLED, world.who("dia"), "benign")
    assert world.incidents()[0].state is State.CANCELLED
