"""One no ends a plan, time ends a plan, and old buttons answer for ever: DESIGN §5, rules 5 to 7."""

from dataclasses import replace

import pytest

from twokey.core.errors import Refused, RetryAfter
from twokey.core.incidents import State
from twokey.core.runbooks import PlanState
from twokey.testing.runbooks import PROTECT_BUCKETS, QUARANTINE_ACCOUNT


def refused(code):
    return pytest.raises(Refused, match=f"^{code}")


def test_one_no_ends_the_plan(world):
    world.incident()
    plan = world.proposes("ana")
    world.containment.reject(plan.id, world.who("ben"), "the key is the release pipeline's")
    with refused("refused.plan_refused"):
        world.approves("cho", plan)
    world.works_on(1)
    assert world.cloud.effects == []
    assert world.plan(plan).state is PlanState.REFUSED


def test_a_no_counts_after_the_last_key_and_before_the_first_write(world):
    world.incident()
    plan = world.proposes("ana")
    world.approves("ben", plan)
    world.containment.reject(plan.id, world.who("cho"), "wrong key")
    world.works_on(1)
    assert world.cloud.effects == []
    assert world.plan(plan).state is PlanState.REFUSED


@pytest.mark.parametrize(
    "moment",
    ["run:claimed", "deactivate_key:before-intent"],
)
def test_a_no_counts_while_the_run_is_still_reading(world, moment):
    """Evidence can take ten minutes: nothing has been touched, so a no must still stop it."""
    world.incident()
    plan = world.proposes("ana")
    world.approves("ben", plan)

    def cho_says_no(name):
        if name == moment:
            world.stops_at(None)
            world.containment.reject(plan.id, world.who("cho"), "wrong key")

    world.stops_at(cho_says_no)
    world.works_on(1)
    assert world.cloud.effects == []
    assert world.plan(plan).state is PlanState.REFUSED


def test_a_no_between_the_check_and_the_intent_stops_the_first_write(world):
    world.incident()
    plan = world.proposes("ana")
    world.approves("ben", plan)
    world.cloud.fault_on(
        "capture aws.iam.update_access_key",
        lambda: world.containment.reject(plan.id, world.who("cho"), "wrong key") and None,
    )
    world.works_on(1)
    assert world.cloud.effects == []
    assert world.plan(plan).state is PlanState.REFUSED


def test_a_no_after_the_first_write_is_too_late_and_says_so(world):
    world.incident()
    plan = world.proposes("ana")
    world.approves("ben", plan)
    answers = []

    def cho_says_no(name):
        if name == "deactivate_key:after-intent":
            with refused("refused.plan_running") as refusal:
                world.containment.reject(plan.id, world.who("cho"), "too late")
            answers.append(refusal.value.message.code)

    world.stops_at(cho_says_no)
    world.works_on(1)
    assert answers == ["refused.plan_running"]
    assert world.plan(plan).state is PlanState.DONE


def test_a_no_needs_a_reason_and_an_approver_or_the_requester(world):
    world.incident()
    plan = world.proposes("ana")
    with refused("refused.reason_missing"):
        world.containment.reject(plan.id, world.who("ben"), "  ")
    with refused("refused.not_approver"):
        world.containment.reject(plan.id, world.who("dia"), "no")
    assert world.containment.reject(plan.id, world.who("ana"), "my mistake").state is PlanState.REFUSED


def test_only_the_requester_withdraws(world):
    world.incident()
    plan = world.proposes("ana")
    with refused("refused.not_requester"):
        world.containment.withdraw(plan.id, world.who("ben"))
    assert world.containment.withdraw(plan.id, world.who("ana")).state is PlanState.WITHDRAWN
    with refused("refused.plan_withdrawn"):
        world.approves("ben", plan)


def test_an_approved_plan_can_be_withdrawn_before_it_begins(world):
    world.incident()
    plan = world.proposes("ana")
    world.approves("ben", plan)
    world.containment.withdraw(plan.id, world.who("ana"))
    world.works_on(1)
    assert world.cloud.effects == []


@pytest.mark.parametrize(("runbook", "minutes"), [(PROTECT_BUCKETS, 30), (QUARANTINE_ACCOUNT, 15)])
def test_silence_is_never_a_yes(world, runbook, minutes):
    world.incident()
    plan = world.proposes("ana", runbook)
    world.clock.advance(minutes * 60)
    with refused("refused.plan_expired"):
        world.approves("ben", plan)
    world.works()
    assert world.plan(plan).state is PlanState.EXPIRED
    assert "containment.expired" in world.told()
    assert world.cloud.effects == []


def test_an_engine_that_asks_too_early_is_told_to_come_again(world):
    world.incident()
    plan = world.proposes("ana")
    world.clock.advance(1799)
    with pytest.raises(RetryAfter) as later:
        world.containment.expire(plan.id)
    assert later.value.seconds == 1
    world.clock.advance(1)
    world.containment.expire(plan.id)
    assert world.plan(plan).state is PlanState.EXPIRED


def test_expiry_does_not_touch_a_plan_that_has_its_keys(world):
    world.incident()
    plan = world.proposes("ana")
    world.approves("ben", plan)
    world.containment.expire(plan.id)
    assert world.plan(plan).state is PlanState.APPROVED


def make_refused(world, plan):
    world.containment.reject(plan.id, world.who("cho"), "no")


def make_withdrawn(world, plan):
    world.containment.withdraw(plan.id, world.who("ana"))


def make_expired(world, plan):
    world.clock.advance(1801)
    world.works()


def make_voided(world, plan):
    world.approves("ben", plan)
    world.rosters.without("d-ben")
    world.works()


def make_done(world, plan):
    world.approves("ben", plan)
    world.works_on(1)


def make_failed(world, plan):
    world.approves("ben", plan)
    world.cloud.refuse_on("apply aws.iam.update_access_key")
    world.works_on(1)


def make_asking(world, plan):
    world.approves("ben", plan)
    world.cloud.refuse_on("apply aws.iam.put_user_policy")
    world.works_on(1)


ENDS = {
    PlanState.REFUSED: make_refused,
    PlanState.WITHDRAWN: make_withdrawn,
    PlanState.EXPIRED: make_expired,
    PlanState.VOIDED: make_voided,
    PlanState.DONE: make_done,
    PlanState.FAILED: make_failed,
    PlanState.ASKING: make_asking,
}


@pytest.mark.parametrize("state", ENDS)
def test_an_old_button_answers_and_changes_nothing(world, state):
    world.incident()
    plan = world.proposes("ana")
    ENDS[state](world, plan)
    before, effects = world.plan(plan), list(world.cloud.effects)
    assert before.state is state
    for press in (
        lambda: world.approves("cho", plan),
        lambda: world.containment.reject(plan.id, world.who("cho"), "no"),
        lambda: world.containment.withdraw(plan.id, world.who("ana")),
    ):
        with refused(f"refused.plan_{state.value}"):
            press()
    world.works_on(1)
    assert (world.plan(plan), world.cloud.effects) == (before, effects)


@pytest.mark.parametrize("state", ENDS)
def test_every_end_is_told_and_redraws_the_buttons(world, state):
    world.incident()
    plan = world.proposes("ana")
    ENDS[state](world, plan)
    with world.store.read() as look:
        from twokey.core.notices import Notice

        thread = [n for n in look.find(Notice, plan_id=plan.id) if n.messages]
        card = look.get(Notice, f"approval:{plan.id}")
    assert len(thread) >= 2
    assert card is not None


def test_keys_do_not_outlive_a_night_in_which_the_engine_was_down(world):
    world.incident()
    plan = world.proposes("ana")
    world.approves("ben", plan)
    world.clock.advance(8 * 3600)
    world.works()
    assert world.plan(plan).state is PlanState.VOIDED
    assert world.cloud.effects == []


@pytest.mark.parametrize("reason", ["benign", "false-positive"])
def test_an_approved_plan_does_not_run_when_the_incident_is_cancelled_meanwhile(world, reason):
    world.incident()
    plan = world.proposes("ana")
    world.approves("ben", plan)
    with refused("refused.plan_on_its_way"):  # a plan on its way is rejected first
        world.response.change_state("INC-1", State.CANCELLED, world.who("cho"), reason)
    world.tampers(replace(world.incidents()[0], state=State.CANCELLED, cancel_reason=reason))
    world.works()
    assert world.plan(plan).state is PlanState.VOIDED
    assert world.cloud.effects == []
