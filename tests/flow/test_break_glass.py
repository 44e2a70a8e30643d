"""One person alone: only where the runbook allows it, loudly, and with a confirmation owed (rule 8)."""

from datetime import timedelta

import pytest

from twokey.core.errors import Refused
from twokey.core.incidents import State
from twokey.core.notices import NoticeKind
from twokey.core.people import Role
from twokey.core.runbooks import PlanState
from twokey.testing.clouds import KEY_ID, denied
from twokey.testing.people import identity
from twokey.testing.runbooks import LEAKED_KEY, PROTECT_BUCKETS, QUARANTINE_ACCOUNT


def refused(code):
    return pytest.raises(Refused, match=f"^{code}")


def glass(world, name="ana", runbook=LEAKED_KEY, **given):
    return world.breaks_glass(name, world.previews(name, runbook), **given)


def test_one_person_runs_a_plan_with_code_and_reason(world):
    world.incident()
    plan = glass(world)
    world.works_on(1)
    assert world.plan(plan).state is PlanState.DONE
    assert world.cloud.state.keys[KEY_ID].status == "Inactive"


def test_everybody_who_could_approve_is_told_at_once(world):
    world.incident()
    glass(world)
    private = {notice.person_id for notice in world.notices() if notice.kind is NoticeKind.PRIVATE}
    loud = [notice for notice in world.notices() if notice.kind is NoticeKind.BROADCAST]
    assert private == {"d-ben", "d-cho", "d-eve"}
    assert "containment.glass_broken" in [said.code for notice in loud for said in notice.messages]


@pytest.mark.parametrize(
    ("runbook", "given", "code"),
    [
        (PROTECT_BUCKETS, {}, "refused.no_break_glass"),
        (QUARANTINE_ACCOUNT, {}, "refused.no_break_glass"),
        (LEAKED_KEY, {"code": "111111"}, "refused.step_up_wrong"),
        (LEAKED_KEY, {"code": ""}, "refused.step_up_wrong"),
        (LEAKED_KEY, {"reason": ""}, "refused.reason_missing"),
        (LEAKED_KEY, {"reason": "urgent"}, "refused.reason_missing"),
        (LEAKED_KEY, {"typed": ""}, "refused.typed_wrong"),
        (LEAKED_KEY, {"typed": "XXXX"}, "refused.typed_wrong"),
    ],
)
def test_it_is_refused_with_the_exact_reason_and_on_record(world, runbook, given, code):
    world.incident()
    with refused(code):
        glass(world, runbook=runbook, **given)
    world.works_on(1)
    assert world.cloud.effects == []
    entry = world.trail()[-1]
    assert (entry.action, entry.data["code"], entry.incident_id) == ("break_glass.refused", code, "INC-1")


def test_critical_has_no_one_person_path_even_if_its_runbook_says_so(world):
    world.library.edit(QUARANTINE_ACCOUNT, break_glass=True)
    world.incident()
    with refused("refused.no_break_glass"):
        glass(world, runbook=QUARANTINE_ACCOUNT)


@pytest.mark.parametrize("name", ["dia", "far"])
def test_who_could_not_approve_cannot_break_the_glass(world, name):
    world.incident()
    plan = world.previews("ana")
    with pytest.raises(Refused):
        world.breaks_glass(name, plan)
    assert world.cloud.effects == []


def test_codes_cannot_be_guessed_at_the_glass(world):
    world.incident()
    for _ in range(5):
        with refused("refused.step_up_wrong"):
            glass(world, code="111111")
    with refused("refused.step_up_locked"):
        glass(world)


def test_a_code_that_was_used_before_does_not_break_the_glass(world):
    world.incident()
    world.approves("ana", world.proposes("ben", PROTECT_BUCKETS))
    glass(world, code="000017")
    world.works_on(1)
    with refused("refused.step_up_used"):
        world.approves("ana", world.proposes("ben", QUARANTINE_ACCOUNT), code="000017")


def test_the_incident_cannot_close_until_a_second_person_confirms(world):
    world.incident(severity=5.0)
    plan = glass(world)
    world.works_on(1)
    world.response.change_state("INC-1", State.RESOLVED, world.who("ana"))
    with refused("refused.confirmation_owed"):
        world.response.change_state("INC-1", State.CLOSED, world.who("ana"))
    world.confirms("ben", plan)
    assert world.response.change_state("INC-1", State.CLOSED, world.who("ana")).state is State.CLOSED


def test_cancelling_the_incident_is_no_way_around_the_confirmation(world):
    world.incident()
    glass(world)
    with refused("refused.confirmation_owed"):
        world.response.change_state("INC-1", State.CANCELLED, world.who("ana"), "false-positive")


def test_the_same_person_cannot_confirm_with_any_account(world):
    world.incident()
    plan = glass(world, "ben")
    world.works_on(1)
    for who in (world.who("ben"), identity("U-BEN-2")):
        with refused("refused.own_plan"):
            world.containment.confirm(plan.id, who, code=world.code())
    with refused("refused.not_approver"):
        world.confirms("dia", plan)
    world.confirms("ana", plan)
    with refused("refused.nothing_to_confirm"):
        world.confirms("cho", plan)


def test_nothing_is_confirmed_that_had_two_keys(world):
    world.incident()
    plan = world.contains()
    with refused("refused.nothing_to_confirm"):
        world.confirms("cho", plan)


@pytest.mark.parametrize("moment", ["run:claimed", "deactivate_key:after-call", "run:finish"])
def test_nobody_confirms_a_run_whose_outcome_is_not_known_yet(world, moment):
    world.incident()
    plan = glass(world)

    def ben_confirms(name):
        if name == moment:
            with refused("refused.run_not_over"):
                world.confirms("ben", plan)

    world.stops_at(ben_confirms)
    world.works_on(1)
    assert (world.plan(plan).state, world.plan(plan).confirmed_by) == (PlanState.DONE, "")
    world.confirms("ben", plan)
    assert world.plan(plan).confirmed_by == "d-ben"


def test_a_run_that_stopped_to_ask_can_be_confirmed_and_the_confirmation_is_not_lost_when_it_goes_on(world):
    """The executor writes the plan's row too: it must not write back what it read before."""
    world.incident()
    plan = glass(world)
    world.cloud.fault_on("apply aws.iam.put_user_policy", denied)
    world.works_on(1)
    assert world.plan(plan).state is PlanState.ASKING
    world.confirms("ben", plan)
    world.containment.decide(plan.id, world.who("ben"), "retry")
    world.works_on(1)
    assert (world.plan(plan).state, world.plan(plan).confirmed_by) == (PlanState.DONE, "d-ben")


def test_a_confirmation_that_is_late_is_called_for(world):
    world.incident()
    plan = glass(world)
    world.works_on(1)
    assert plan.confirm_by - plan.requested_at == timedelta(hours=24)
    world.clock.advance(24 * 3600)
    world.works()
    assert "containment.confirmation_owed" in world.told()


def test_a_confirmation_that_came_in_time_is_not_called_for(world):
    world.incident()
    plan = glass(world)
    world.works_on(1)
    world.confirms("ben", plan)
    world.clock.advance(24 * 3600)
    world.works()
    assert "containment.confirmation_owed" not in world.told()


def test_any_approver_can_stop_it_before_the_first_write(world):
    world.incident()
    plan = glass(world)
    world.containment.reject(plan.id, world.who("cho"), "that key is our own scanner's")
    world.works_on(1)
    assert world.cloud.effects == []


def test_its_person_must_still_be_allowed_when_it_runs(world):
    world.incident()
    plan = glass(world)
    world.rosters.change("d-ana", roles=frozenset({Role.RESPONDER}))
    world.works_on(1)
    assert world.plan(plan).state is PlanState.VOIDED
    assert world.cloud.effects == []


def test_an_undo_has_no_one_person_path(world):
    world.incident()
    plan = world.contains()
    undo = world.containment.preview_undo(plan.id, world.who("ana"))
    with refused("refused.no_break_glass"):
        world.breaks_glass("ana", undo)
