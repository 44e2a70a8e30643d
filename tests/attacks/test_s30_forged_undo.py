"""S30: an undo takes back what the record of its run says, and nothing else, whatever stands in its row. Each forger
has the database, knows SHA-256, and makes the digests of the plan and of its keys fit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.lab.trials import Proof
from twokey.core.errors import Refused
from twokey.core.executions import StepState
from twokey.core.runbooks import Effect, Plan, PlanState, Step, digest_of
from twokey.testing.clouds import ACCOUNT, KEY_ID, Killed, die
from twokey.testing.runbooks import DENY_DELETION
from twokey.testing.world import World

MERGE = {"bucket": "acme-invoices", "document": DENY_DELETION}
ELSEWHERE: dict[str, Any] = {"account_id": ACCOUNT, "parent_id": "r-acme"}


def undo_of_a_run(world: World) -> tuple[Plan, Plan]:
    """Let a leaked key be contained and its undo be proposed."""
    world.incident()
    plan = world.contains()
    undo = world.containment.preview_undo(plan.id, world.who("cho"))
    return plan, world.asks_for("cho", undo)


def forged(world: World, plan: Plan, *steps: Step) -> Plan:
    """Put other steps into a plan's row, past the program: digest, what was seen and keys are made to fit."""
    made = replace(plan, steps=steps, observed={}, touches=(), blast={}, notes=())
    made = world.planner._observed(made, {})
    world.tampers(made)
    for key in world.keys(plan):
        world.tampers(replace(key, digest=made.digest))
    return made


def another(action: str, effect: Effect, inputs: dict[str, Any]) -> Step:
    return Step("undo-x", "contain", action, effect, inputs=inputs)


WRITES = {
    "another registered action": another("aws.s3.merge_bucket_policy", Effect.MODIFY, MERGE),
    "another account's unit": another("aws.organizations.move_account", Effect.MODIFY, ELSEWHERE),
}


@pytest.mark.parametrize("what", WRITES)
def test_s30_a_forged_undo_does_not_run(what: str, proof: Proof) -> None:
    for _ in (trials := proof("S30", f"a forged undo row, {what}: no write, keys void")):
        world = World()
        _, undo = undo_of_a_run(world)
        world.approves("ana", undo)
        effects = len(world.cloud.effects)
        forged(world, world.plan(undo), WRITES[what])
        world.works_on(1)
        assert (world.plan(undo).state, len(world.cloud.effects)) == (PlanState.VOIDED, effects)
        assert "voided" in world.actions(undo)
        trials.outcome("void")


def test_s30_a_step_left_out_of_an_undo_is_seen_too(proof: Proof) -> None:
    """The key is made active again, and the denial of its user is to stay unseen."""
    for _ in (trials := proof("S30", "an undo of which a step was taken: no write, keys void")):
        world = World()
        _, undo = undo_of_a_run(world)
        world.approves("ana", undo)
        effects = len(world.cloud.effects)
        forged(world, world.plan(undo), *undo.steps[:1])
        world.works_on(1)
        assert (world.plan(undo).state, len(world.cloud.effects)) == (PlanState.VOIDED, effects)
        trials.outcome("void")


def test_s30_a_forged_undo_that_waits_takes_no_key() -> None:
    world = World()
    _, undo = undo_of_a_run(world)
    made = forged(world, undo, WRITES["another registered action"])
    with pytest.raises(Refused, match=r"^refused.undo_not_of_record"):
        world.approves("ana", made)
    assert world.trail()[-1].action == "approval.refused"
    assert [key.person_id for key in world.keys(undo)] == ["d-cho"]


def _prior(world: World, run: Plan) -> None:
    """Say that something else was there before: it is what an undo writes."""
    row = world.journal(run)["deactivate_key"]
    world.tampers(replace(row, prior={"status": "Inactive"}))


def _never_ran(world: World, run: Plan) -> None:
    """Invent a run, with a plan and keys that fit each other, of which the trail knows nothing."""
    made = replace(run, typed_target="x", digest="")
    made = replace(made, digest=digest_of(made))
    world.tampers(made)
    for key in world.keys(run):
        world.tampers(replace(key, digest=made.digest))


def _an_effect_that_was_not(world: World, run: Plan) -> None:
    row = world.journal(run)["deactivate_key"]
    world.tampers(replace(row, inputs={**row.inputs, "access_key_id": "AKIAIOSFODNN8EXAMPLE"}))


def _one_key_less(world: World, run: Plan) -> None:
    (second,) = [key for key in world.keys(run) if key.role == "approver"]
    world.tampers(replace(second, role="confirmation"))


def _not_over(world: World, run: Plan) -> None:
    world.tampers(replace(run, state=PlanState.ASKING))


def _of_an_undone_step(world: World, run: Plan) -> None:
    """A row that says it is undone is not undone again: then there is less to take back than was confirmed."""
    world.tampers(replace(world.journal(run)["deny_user"], state=StepState.UNDONE))


ROWS: tuple[Callable[[World, Plan], None], ...] = (
    _prior,
    _never_ran,
    _an_effect_that_was_not,
    _one_key_less,
    _not_over,
    _of_an_undone_step,
)


@pytest.mark.parametrize("change", ROWS, ids=lambda change: change.__name__.strip("_"))
def test_s30_an_undo_whose_run_was_forged_does_not_run(
    change: Callable[[World, Plan], None], proof: Proof
) -> None:
    for _ in (
        trials := proof("S30", "a row of the run that an undo takes back changed: no write, keys void")
    ):
        world = World()
        run, undo = undo_of_a_run(world)
        world.approves("ana", undo)
        effects = len(world.cloud.effects)
        change(world, run)
        world.works_on(1)
        assert (world.plan(undo).state, len(world.cloud.effects)) == (PlanState.VOIDED, effects)
        assert world.cloud.state.keys[KEY_ID].status == "Inactive"
        trials.outcome("void")


def test_s30_a_run_that_was_forged_cannot_even_be_looked_at_for_an_undo() -> None:
    world = World()
    world.incident()
    run = world.contains()
    _prior(world, run)
    with pytest.raises(Refused, match=r"^refused.undo_not_of_record"):
        world.containment.preview_undo(run.id, world.who("cho"))
    assert world.trail()[-1].action == "preview.refused"


def test_s30_an_undo_that_was_forged_while_it_ran_does_not_go_on() -> None:
    world = World()
    _, undo = undo_of_a_run(world)
    world.approves("ana", undo)
    first, second = undo.steps
    world.stops_at(lambda name: die() if name == f"{second.id}:before-intent" else None)
    with pytest.raises(Killed):
        world.works()
    world.stops_at(None)
    effects = len(world.cloud.effects)
    forged(world, world.plan(undo), first, WRITES["another registered action"])
    world.restarts()
    world.works_on(1)
    assert (world.plan(undo).state, len(world.cloud.effects)) == (PlanState.FAILED, effects)
