"""Taking it back: a plan of its own, with its own two keys, from what was there before (rule 7)."""

import pytest

from twokey.core.errors import Refused
from twokey.core.executions import StepState
from twokey.core.incidents import State
from twokey.core.runbooks import PlanState, digest_of
from twokey.testing.clouds import ACCOUNT, KEY_ID, QUARANTINE, WORKLOADS
from twokey.testing.runbooks import PROTECT_BUCKETS, QUARANTINE_ACCOUNT


def refused(code):
    return pytest.raises(Refused, match=f"^{code}")


def undoes(world, plan, *people):
    proposer, *approvers = people or ("cho", "ana")
    undo = world.proposes_undo(proposer, plan)
    for name in approvers:
        world.approves(name, undo)
    world.works_on(1)
    return world.plan(undo)


def test_an_undo_restores_what_was_there_before(world):
    world.incident()
    before = list(world.cloud.state.bucket_policies["acme-invoices"])
    plan = world.contains(PROTECT_BUCKETS)
    assert world.cloud.state.bucket_policies["acme-invoices"] != before
    assert undoes(world, plan).state is PlanState.DONE
    assert world.cloud.state.bucket_policies["acme-invoices"] == before


def test_a_key_that_was_inactive_before_is_not_made_active_by_an_undo(world):
    """The captured status is what goes back, not the word Active."""
    world.incident()
    plan = world.contains()
    undo = world.containment.preview_undo(plan.id, world.who("ana"))
    assert undo.steps[-1].inputs["status"] == "Active"
    assert world.journal(plan)["deactivate_key"].prior == {"status": "Active"}


def test_an_undo_goes_last_first(world):
    world.incident()
    plan = world.contains(QUARANTINE_ACCOUNT, "ana", "ben", "cho")
    undo = undoes(world, plan, "ana", "ben", "cho")
    assert undo.state is PlanState.DONE
    assert [step.id for step in undo.steps] == [
        "undo-move_account",
        "undo-attach_scp",
        "undo-create_scp",
        "undo-create_ou",
    ]
    assert world.cloud.state.accounts[ACCOUNT] == WORKLOADS
    assert [unit.parent for unit in world.cloud.state.units.values()].count(QUARANTINE) == 0
    assert list(world.cloud.state.policies) == ["p-FullAWSAccess"]


def test_an_undo_needs_its_own_keys(world):
    world.incident()
    plan = world.contains()
    undo = world.proposes_undo("ana", plan)
    assert undo.state is PlanState.PROPOSED
    assert [key.person_id for key in world.keys(undo)] == ["d-ana"]
    with refused("refused.own_plan"):
        world.approves("ana", undo)
    world.works_on(1)
    assert world.cloud.state.keys[KEY_ID].status == "Inactive"


def test_undoing_a_critical_plan_needs_three_people_too(world):
    world.incident()
    plan = world.contains(QUARANTINE_ACCOUNT, "ana", "ben", "cho")
    assert undoes(world, plan, "ana", "ben").state is PlanState.PROPOSED


def test_an_undo_marks_what_it_took_back_and_is_not_done_twice(world):
    world.incident()
    plan = world.contains()
    undoes(world, plan)
    journal = world.journal(plan)
    assert {journal[step].state for step in ("deactivate_key", "deny_user")} == {StepState.UNDONE}
    with refused("refused.nothing_to_undo"):
        world.containment.preview_undo(plan.id, world.who("ana"))


def test_an_undo_whose_step_was_skipped_does_not_say_that_it_was_undone(world):
    world.incident()
    plan = world.contains()
    undo = world.proposes_undo("cho", plan)
    world.approves("ana", undo)
    world.cloud.fault_on("apply aws.iam.delete_user_policy", lambda: 1 / 0, times=8)
    world.works_on(30)
    assert world.plan(undo).state is PlanState.ASKING
    world.skips("ana", "ben", undo)
    world.works_on(1)
    journal = world.journal(plan)
    assert journal["deny_user"].state is StepState.VERIFIED
    assert journal["deactivate_key"].state is StepState.UNDONE


def test_an_undo_is_possible_after_the_incident_is_over(world):
    """A quarantined account must be able to come back, however the incident's papers stand."""
    world.incident(severity=5.0)
    plan = world.contains()
    world.response.change_state("INC-1", State.RESOLVED, world.who("ana"))
    world.response.change_state("INC-1", State.CLOSED, world.who("ana"))
    with refused("refused.incident_over"):
        world.proposes("ana", PROTECT_BUCKETS)
    assert undoes(world, plan).state is PlanState.DONE
    assert world.cloud.state.keys[KEY_ID].status == "Active"


def test_an_undo_is_voided_when_the_cloud_is_not_as_it_was_shown(world):
    world.incident()
    plan = world.contains()
    undo = world.proposes_undo("cho", plan)
    world.approves("ana", undo)
    world.cloud.state.keys[KEY_ID].status = "Active"
    effects = len(world.cloud.effects)
    world.works_on(1)
    assert world.plan(undo).state is PlanState.VOIDED
    assert len(world.cloud.effects) == effects


def test_an_undo_does_not_bring_the_incident_into_containment(world):
    world.incident()
    plan = world.contains()
    contained = world.incidents()[0].times.contained
    world.response.change_state("INC-1", State.INVESTIGATING, world.who("ana"))
    undoes(world, plan)
    assert (world.incidents()[0].state, world.incidents()[0].times.contained) == (
        State.INVESTIGATING,
        contained,
    )


def test_a_plan_that_has_not_ended_is_not_undone(world):
    world.incident()
    plan = world.proposes("ana")
    with refused("refused.not_undoable"):
        world.containment.preview_undo(plan.id, world.who("ana"))


def test_what_a_failed_plan_did_can_be_undone(world):
    world.incident()
    plan = world.proposes("ana", QUARANTINE_ACCOUNT)
    world.approves("ben", plan)
    world.approves("cho", plan)
    world.cloud.refuse_on("apply aws.organizations.move_account")
    world.works_on(1)
    assert world.plan(plan).state is PlanState.FAILED
    assert "execution.undo_offered" in world.told()
    assert undoes(world, plan, "ana", "ben", "cho").state is PlanState.DONE
    assert list(world.cloud.state.policies) == ["p-FullAWSAccess"]


def test_an_effect_that_was_not_seen_to_work_is_in_the_undo(world):
    """The call was answered; only the verification failed. What it changed is changed."""
    world.incident()
    plan = world.proposes("ana")
    world.approves("ben", plan)
    world.stops_at(
        lambda name: (
            world.cloud.answers_no("aws.iam.key_status_equals", 99)
            if name == "deactivate_key:after-call"
            else None
        )
    )
    world.works_on(2)
    assert world.plan(plan).state is PlanState.FAILED
    undo = world.containment.preview_undo(plan.id, world.who("ana"))
    assert [step.id for step in undo.steps] == ["undo-deactivate_key"]


def test_an_undo_preview_is_a_proposal_and_not_the_old_plan_again(world):
    world.incident()
    plan = world.contains()
    undo = world.containment.preview_undo(plan.id, world.who("cho"))
    assert (undo.state, undo.undo_of, undo.requester) == (PlanState.PROPOSED, plan.id, "d-cho")
    assert undo.digest == digest_of(undo) != plan.digest
