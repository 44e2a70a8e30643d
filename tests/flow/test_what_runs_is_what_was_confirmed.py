"""Approve one thing, execute another: attack S4. Every difference between the keys and the run ends the plan."""

from dataclasses import fields, replace
from datetime import timedelta

import pytest

from twokey.core.approvals import Approval
from twokey.core.errors import Refused, Unavailable, message
from twokey.core.executions import Execution
from twokey.core.people import ChatAccount, Role
from twokey.core.runbooks import OnFailure, Plan, PlanState, Risk, Target, Touch, digest_of
from twokey.core.signals import Principal
from twokey.testing.clouds import KEY_ID, AccessKey, Killed, die
from twokey.testing.runbooks import LEAKED_KEY, PROTECT_BUCKETS
from twokey.words import say


@pytest.fixture
def plan(world):
    """Return a plan that has its keys and has not begun."""
    world.incident("f0", account="444455556666", principal=Principal("other", "IAMUser", "AKIAOTHER"))
    world.incident()
    plan = world.proposes("ana")
    world.approves("ben", plan)
    return world.plan(plan)


def reasons(world):
    return [entry.data.get("code") for entry in world.trail() if entry.action == "voided"]


def is_void(world, plan, code=None):
    world.works_on(1)
    voided = world.plan(plan).state is PlanState.VOIDED
    return world.cloud.effects == [] and voided and code in (None, *reasons(world))


# What each field is changed to, one by one. These are what people confirmed ...
CONFIRMED = {
    "incident_id": "INC-1",  # the other incident
    "runbook_id": PROTECT_BUCKETS,
    "runbook_version": "1.0.1",
    "runbook_digest": "f" * 64,
    "title": "Something harmless",
    "provider": "azure",
    "target": Target("444455556666", "eu-central-1"),
    "risk": Risk.LOW,
    "reversible": "none",
    "params": {"account_id": "444455556666"},
    "steps": (),
    "guards": (),
    "approval": None,  # see below
    "observed": {},
    "touches": (Touch("account", "444455556666"),),
    "blast": {"principals": 0},
    "typed_target": "0000",
    "break_glass_allowed": False,
    "warnings": (message("aws.key.reactivates", key="AKIA", user="deploy"),),
    "undo_of": "plan-0",
    "provenance": {"account_id": "person"},
    "began": "2020-01-01T00:00:00+00:00",
}
# ... these decide whether it may run ...
DECIDING = {"digest": "0" * 64, "requester": "d-cho", "break_glass_by": "d-ana", "state": PlanState.PROPOSED}
# ... and these are only shown: the run does what was confirmed, whatever they say.
SHOWN = {
    *("notes", "reason", "requested_at", "expires_at", "break_glass_reason"),
    *("confirm_by", "confirmed_by", "asking_until", "why", "shown"),
}
# ... and this one can only make it more: whether the proposer's key counts with a code only.
STRICTER = {"proposer_code"}


def test_every_field_of_a_plan_is_in_one_of_the_three_groups():
    assert {field.name for field in fields(Plan)} == {"id", *CONFIRMED, *DECIDING, *SHOWN, *STRICTER}


def mutated(plan, name):
    value = {**CONFIRMED, **DECIDING}[name]
    if name == "approval":
        value = replace(plan.approval, min_approvals=1, step_up="")
    if name == "steps":
        value = tuple(
            replace(step, inputs={**step.inputs, "user_name": "admin"}) if step.effect.is_write else step
            for step in plan.steps
        )
    return replace(plan, **{name: value})


@pytest.mark.parametrize("name", sorted(CONFIRMED))
def test_a_plan_whose_row_was_changed_after_the_keys_makes_no_cloud_call(world, plan, name):
    changed = mutated(plan, name)
    assert getattr(changed, name) != getattr(plan, name)
    world.tampers(changed)
    calls = len(world.cloud.calls)
    world.works_on(1)
    assert len(world.cloud.calls) == calls
    assert world.plan(plan).state is PlanState.VOIDED
    assert "refused.plan_changed" in reasons(world)


@pytest.mark.parametrize("name", sorted(CONFIRMED))
def test_a_changed_row_with_a_digest_made_to_fit_makes_no_cloud_call_either(world, plan, name):
    changed = mutated(plan, name)
    world.tampers(replace(changed, digest=digest_of(changed)))
    calls = len(world.cloud.calls)
    world.works_on(1)
    assert len(world.cloud.calls) == calls
    assert world.plan(plan).state is PlanState.VOIDED


@pytest.mark.parametrize("name", sorted(DECIDING))
def test_a_row_that_lies_about_its_keys_makes_no_cloud_call(world, plan, name):
    world.tampers(mutated(plan, name))
    calls = len(world.cloud.calls)
    world.works_on(1)
    assert len(world.cloud.calls) == calls
    assert world.plan(plan).state is PlanState.VOIDED


@pytest.mark.parametrize("name", sorted(SHOWN))
def test_what_is_only_shown_does_not_change_what_is_done(world, plan, name):
    shown = {
        "notes": (),
        "reason": None,
        "requested_at": plan.requested_at + timedelta(days=1),
        "expires_at": None,
        "asking_until": plan.expires_at,
        "confirm_by": plan.requested_at,
        "shown": {"deactivate_key": {"seen": "something else"}},
    }
    world.tampers(replace(plan, **{name: shown.get(name, "d-zoe")}))
    world.works_on(1)
    assert [inputs["user_name"] for inputs in world.cloud.done()] == ["deploy", "deploy"]


def test_a_plan_that_was_changed_in_the_middle_of_its_run_is_stopped_after_the_restart(world, plan):
    """The first write is done, the process dies, somebody edits the row: the rest must not run."""
    world.stops_at(lambda name: die() if name == "deny_user:before-intent" else None)
    with pytest.raises(Killed):
        world.works()
    begun = world.plan(plan)
    steps = tuple(
        replace(step, inputs={**step.inputs, "user_name": "admin"}) if step.id == "deny_user" else step
        for step in begun.steps
    )
    changed = replace(begun, steps=steps)
    world.tampers(replace(changed, digest=digest_of(changed)))
    world.stops_at(None)
    world.restarts()
    world.works_on(1)
    assert [name for name, _, _ in world.cloud.effects] == ["aws.iam.update_access_key"]
    assert world.plan(plan).state is PlanState.FAILED
    assert "execution.failed" in world.told()


def test_keys_that_were_copied_from_another_plan_do_not_count(world, plan):
    other = world.proposes("ana", PROTECT_BUCKETS)
    for key in world.keys(plan):
        world.tampers(replace(key, id=f"{other.id}:{key.person_id}", plan_id=other.id))
    world.tampers(replace(other, state=PlanState.APPROVED))
    world.executor.execute(other.id)
    assert world.plan(other).state is PlanState.VOIDED
    assert not world.cloud.done("aws.s3.merge_bucket_policy")


# the world changed between the click and the run


def test_the_observed_state_is_observed_again(world, plan):
    world.cloud.state.keys[KEY_ID] = AccessKey("111122223333", "deploy", "Inactive")
    assert is_void(world, plan, "execution.observed_differs")


def test_a_guard_that_says_no_by_now_voids_the_keys(world, plan):
    world.cloud.state.user_tags[("111122223333", "deploy")] = {"twokey:never-contain"}
    assert is_void(world, plan, "refused.guard")


def test_a_guard_that_says_no_right_before_the_first_write_voids_the_keys(world, plan):
    """It said yes when the run began; evidence was collected for minutes since."""

    def tagged_meanwhile(name):
        if name == "deactivate_key:before-intent":
            world.cloud.state.user_tags[("111122223333", "deploy")] = {"twokey:never-contain"}

    world.stops_at(tagged_meanwhile)
    assert is_void(world, plan, "refused.guard")


def test_a_guard_stops_the_run_even_where_the_step_says_continue(world):
    """`on_failure: continue` is about a step's own failure; it must not lead past a guard to the next write."""

    book = world.library.runbooks[LEAKED_KEY]
    world.library.edit(
        LEAKED_KEY, steps=tuple(replace(step, on_failure=OnFailure.CONTINUE) for step in book.steps)
    )
    world.incident()
    plan = world.proposes("ana")
    world.approves("ben", plan)

    def tagged_meanwhile(name):
        if name == "deactivate_key:before-intent":
            world.cloud.state.user_tags[("111122223333", "deploy")] = {"twokey:never-contain"}

    world.stops_at(tagged_meanwhile)
    assert is_void(world, plan, "refused.guard")


def test_an_edited_runbook_voids_the_keys(world, plan):
    world.library.edit(LEAKED_KEY, title="The same, but not quite")
    assert is_void(world, plan, "execution.observed_differs")


def test_a_runbook_that_is_no_longer_approved_voids_the_keys(world, plan):
    world.library.disapprove(LEAKED_KEY)
    assert is_void(world, plan, "runbook.not_approved")


def test_a_runbook_that_is_gone_voids_the_keys(world, plan):
    world.library.remove(LEAKED_KEY)
    assert is_void(world, plan, "runbook.unknown")


def test_a_runbook_that_is_not_approved_is_not_proposed(world):
    world.incident()
    world.library.disapprove(LEAKED_KEY)
    with pytest.raises(Refused, match=r"runbook.not_approved"):
        world.previews("ana")
    assert LEAKED_KEY not in [book.id for book in world.containment.suggestions("INC-1")]


def test_a_blast_radius_that_grew_voids_the_keys(world, plan):
    book = world.library.runbooks[LEAKED_KEY]
    world.library.runbooks[LEAKED_KEY] = replace(book, blast_max={"principals": 0})
    assert is_void(world, plan, "refused.blast_radius")


# the people changed between the click and the run


def test_an_approver_who_was_removed_after_the_click_voids_the_keys(world, plan):
    world.rosters.without("d-ben")
    assert is_void(world, plan, "refused.keys_void")


def test_a_proposer_who_was_removed_after_the_click_voids_the_keys(world, plan):
    world.rosters.without("d-ana")
    assert is_void(world, plan, "refused.keys_void")


@pytest.mark.parametrize(
    "changes", [{"roles": frozenset({Role.RESPONDER})}, {"scopes": ("000011112222",)}, {"scopes": ()}]
)
def test_an_approver_who_lost_the_role_after_the_click_voids_the_keys(world, plan, changes):
    world.rosters.change("d-ben", **changes)
    assert is_void(world, plan, "refused.keys_void")


def test_a_commander_who_handed_over_after_the_click_voids_the_keys(world):
    world.incident()
    world.response.assign("INC-1", "ic", ChatAccount("T1", "U-EVE"), world.who("ana"))
    plan = world.proposes("ana")
    world.approves("eve", plan)
    world.response.assign("INC-1", "ic", ChatAccount("T1", "U-BEN"), world.who("ana"))
    assert is_void(world, plan, "refused.keys_void")


@pytest.mark.parametrize(
    "fault",
    [Refused("refused.roster_unreadable", reason="line 3"), Unavailable("store.unavailable", reason="away")],
)
def test_a_roster_that_cannot_be_read_when_the_run_starts_voids_the_keys(world, plan, fault):
    world.rosters.fault = fault
    assert is_void(world, plan, fault.message.code)


def test_an_empty_roster_when_the_run_starts_voids_the_keys(world, plan):
    for person in ("d-ana", "d-ben", "d-cho", "d-dia", "d-eve", "d-far"):
        world.rosters.without(person)
    assert is_void(world, plan)


def test_a_voided_plan_says_why_and_a_new_one_can_be_proposed(world, plan):
    world.rosters.without("d-ben")
    world.works()
    assert "execution.voided" in world.told()
    again = world.proposes("ana")
    world.approves("cho", again)
    world.works_on(1)
    assert world.plan(again).state is PlanState.DONE


# nothing but an approved row reaches a cloud


@pytest.mark.parametrize("state", [s for s in PlanState if s is not PlanState.APPROVED])
def test_the_executor_takes_nothing_but_a_plan_whose_keys_hold(world, state):
    world.incident()
    plan = world.proposes("ana")
    world.tampers(replace(plan, state=state))
    calls = len(world.cloud.calls)
    world.executor.execute(plan.id)
    assert len(world.cloud.calls) == calls
    assert world.cloud.effects == []


def test_an_unknown_plan_is_not_executed(world):
    world.executor.execute("plan-nobody")
    assert world.cloud.calls == []


def test_a_key_row_that_is_deleted_from_the_count_voids_the_run(world, plan):
    with world.store.read() as look:
        ben = look.get(Approval, f"{plan.id}:d-ben")
    world.tampers(replace(ben, digest="0" * 64))
    assert is_void(world, plan, "refused.plan_changed")


def test_a_plan_that_is_over_is_not_run_again_by_a_second_job(world, plan):
    world.works_on(1)
    effects = list(world.cloud.effects)
    for _ in range(3):
        world.executor.execute(plan.id)
    assert world.cloud.effects == effects
    with world.store.read() as look:
        assert look.get(Execution, plan.id).fence == 1


def test_people_read_who_is_missing_in_their_own_language(world, plan):
    world.rosters.without("d-ben")
    world.works()
    why = next(m for n in world.notices() for m in n.messages if m.code == "refused.keys_void")
    assert why.nested["why"].code == "standing.left_roster"
    for language in ("en", "ja"):
        assert "standing." not in say(why, language)
