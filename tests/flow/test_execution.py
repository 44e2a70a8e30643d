"""How a run goes: verified by a read, stopped or asked as the runbook says, and never stuck without a way on."""

from dataclasses import replace

import pytest

from twokey.core.errors import NotFound, Refused
from twokey.core.executions import Execution, StepState
from twokey.core.incidents import State
from twokey.core.jobs import Job, JobKind
from twokey.core.notices import NoticeKind
from twokey.core.runbooks import OnFailure, PlanState, Retry
from twokey.testing.clouds import KEY_ID, MemoryCloud
from twokey.testing.runbooks import LEAKED_KEY, PROTECT_BUCKETS


def approved(world, runbook=LEAKED_KEY, **step_changes):
    """Return a plan with its keys; `step_changes` are made to the runbook's step of that name first."""
    book = world.library.runbooks[runbook]
    steps = tuple(replace(step, **step_changes.get(step.id, {})) for step in book.steps)
    world.library.runbooks[runbook] = replace(book, steps=steps)
    if not world.incidents():
        world.incident()
    plan = world.proposes("ana", runbook)
    world.approves("ben", plan)
    return plan


def state(world, plan):
    return world.plan(plan).state


def test_the_trail_tells_every_step_in_order(world):
    plan = approved(world)
    world.works()
    told = [(e.action, e.data.get("step", "")) for e in world.trail(plan)]
    assert told == [
        ("proposed", ""),
        ("shown", ""),
        ("approved", ""),
        ("run.started", ""),
        ("step.read", "resolve"),
        ("step.read", "export_trail"),
        ("step.started", "deactivate_key"),
        ("step.done", "deactivate_key"),
        ("step.verified", "deactivate_key"),
        ("step.started", "deny_user"),
        ("step.done", "deny_user"),
        ("step.verified", "deny_user"),
        ("run.done", ""),
    ]


def test_every_write_has_a_key_of_its_own_that_stays_the_same(world):
    plan = approved(world)
    world.works()
    assert [key for _, _, key in world.cloud.effects] == [f"{plan.id}/deactivate_key", f"{plan.id}/deny_user"]


def test_a_contained_incident_says_when(world):
    approved(world)
    world.works()
    incident = world.incidents()[0]
    assert (incident.state, incident.times.contained) == (State.CONTAINED, world.clock.now())


def test_verification_waits_as_long_as_the_step_allows(world):
    plan = approved(world)
    world.stops_at(
        lambda name: (
            world.cloud.answers_no("aws.iam.key_status_equals", 5)
            if name == "deactivate_key:after-call"
            else None
        )
    )
    world.works()
    assert state(world, plan) is PlanState.RUNNING
    assert world.journal(plan)["deactivate_key"].state is StepState.DONE
    world.works_on(0.5)
    assert state(world, plan) is PlanState.DONE
    assert len(world.cloud.effects) == 2


def test_verification_that_never_succeeds_is_a_failure_and_not_done(world):
    plan = approved(world)
    world.stops_at(
        lambda name: (
            world.cloud.answers_no("aws.iam.key_status_equals", 999)
            if name == "deactivate_key:after-call"
            else None
        )
    )
    world.works_on(2)
    assert state(world, plan) is PlanState.FAILED
    assert world.incidents()[0].state is State.TRIAGE
    assert world.incidents()[0].times.contained is None


def test_verification_waits_also_for_an_effect_that_was_found_after_a_crash(world):
    """Its end was never recorded: waiting must not start anew with every look, for ever."""
    plan = approved(world)
    world.cloud.lose_answer("aws.iam.update_access_key")
    world.stops_at(
        lambda name: (
            world.cloud.answers_no("aws.iam.key_status_equals", 999)
            if name == "deactivate_key:after-intent"
            else None
        )
    )
    world.works_on(5)
    assert state(world, plan) is PlanState.FAILED


def test_a_step_without_a_check_is_verified_by_finding_its_effect(world):
    plan = approved(world, deactivate_key={"verify": None})
    world.works()
    assert state(world, plan) is PlanState.DONE
    assert world.journal(plan)["deactivate_key"].seen == {"found": "done"}


def test_a_denied_step_stops_the_run_where_the_runbook_says_stop(world):
    plan = approved(world)
    world.cloud.refuse_on("apply aws.iam.update_access_key")
    world.works()
    assert state(world, plan) is PlanState.FAILED
    assert world.cloud.effects == []
    assert world.journal(plan)["deactivate_key"].state is StepState.FAILED
    with world.store.read() as look:
        assert look.get(Execution, plan.id).ended_at == world.clock.now()
    assert "execution.step_failed" in world.told()
    assert "cloud.access_denied" in world.told()


def test_a_step_that_may_fail_is_passed_over_and_told(world):
    plan = approved(world)
    world.cloud.refuse_on("apply aws.cloudtrail.export_events")
    world.works()
    assert state(world, plan) is PlanState.DONE
    assert world.journal(plan)["export_trail"].passed_over
    assert "execution.step_passed_over" in world.told()
    end = [n for n in world.notices() if n.kind is NoticeKind.BROADCAST][-1]
    assert [m.code for m in end.messages] == ["execution.done", "execution.done_without"]
    assert end.messages[1].params == {"steps": "export_trail"}


def test_a_write_with_an_unknown_outcome_is_not_passed_over_silently(world):
    plan = approved(world, deactivate_key={"on_failure": OnFailure.CONTINUE})
    world.cloud.lose_answer("aws.iam.update_access_key")
    world.cloud.fault_on("find aws.iam.update_access_key", times=99)
    world.works_on(30, step_s=10)
    assert state(world, plan) is PlanState.ASKING


def test_a_run_in_which_nothing_was_verified_does_not_say_contained(world):
    plan = approved(world, PROTECT_BUCKETS, protect={"on_failure": OnFailure.CONTINUE})
    world.cloud.refuse_on("apply aws.s3.merge_bucket_policy")
    world.works()
    assert state(world, plan) is PlanState.DONE
    assert (world.incidents()[0].state, world.incidents()[0].times.contained) == (State.TRIAGE, None)


def test_a_step_that_is_not_needed_is_skipped_and_says_what_was_seen(world):
    world.incident()
    plan = approved(world, deny_user={"on_failure": OnFailure.STOP})
    # it is switched off by somebody else after the run has looked, before the step
    world.stops_at(
        lambda name: (
            setattr(world.cloud.state.keys[KEY_ID], "status", "Inactive")
            if name == "deactivate_key:before-intent"
            else None
        )
    )
    world.works()
    assert world.journal(plan)["deactivate_key"].state is StepState.SKIPPED
    assert [name for name, _, _ in world.cloud.effects] == ["aws.iam.put_user_policy"]
    undo = world.containment.preview_undo(plan.id, world.who("ana"))
    assert [step.id for step in undo.steps] == ["undo-deny_user"]


def test_a_precondition_that_does_not_hold_fails_the_step_before_it_touches_anything(world):
    book = world.library.runbooks[LEAKED_KEY]
    check = replace(book.steps[2].pre[0], or_skip=False)
    plan = approved(world, deactivate_key={"pre": (check,)})
    world.stops_at(
        lambda name: (
            setattr(world.cloud.state.keys[KEY_ID], "status", "Inactive")
            if name == "deactivate_key:before-intent"
            else None
        )
    )
    world.works()
    assert state(world, plan) is PlanState.FAILED
    assert world.cloud.effects == []
    assert "execution.pre_failed" in world.told()


# a run that asks


def asking(world):
    plan = approved(world)
    world.cloud.refuse_on("apply aws.iam.put_user_policy")
    world.works()
    assert state(world, plan) is PlanState.ASKING
    assert "execution.step_asks" in world.told()
    return plan


def test_a_person_may_have_the_step_tried_again(world):
    plan = asking(world)
    world.containment.decide(plan.id, world.who("ben"), "retry")
    world.works()
    assert state(world, plan) is PlanState.DONE
    assert len(world.cloud.effects) == 2


def test_trying_again_looks_first(world):
    plan = asking(world)
    step = world.journal(plan)["deny_user"]
    user, policy = step.inputs["user_name"], step.inputs["policy_name"]
    world.cloud.state.user_policies["111122223333", user, policy] = step.inputs["document"]
    world.containment.decide(plan.id, world.who("ben"), "retry")
    world.works()
    assert state(world, plan) is PlanState.DONE
    assert world.cloud.done("aws.iam.put_user_policy") == []


def test_two_people_may_have_the_run_go_on_without_a_write(world):
    plan = asking(world)
    world.skips("ben", "cho", plan)
    world.works()
    assert state(world, plan) is PlanState.DONE
    assert world.journal(plan)["deny_user"].passed_over
    assert len(world.cloud.effects) == 1


def test_one_person_may_have_the_run_go_on_without_a_read(world):
    plan = approved(world, export_trail={"on_failure": OnFailure.ASK})
    world.cloud.refuse_on("apply aws.cloudtrail.export_events")
    world.works()
    world.containment.decide(plan.id, world.who("ben"), "skip")
    world.works()
    assert state(world, plan) is PlanState.DONE
    assert world.incidents()[0].state is State.CONTAINED


def test_a_read_that_later_steps_need_is_not_gone_on_without(world):
    plan = approved(world, resolve={"on_failure": OnFailure.ASK})
    world.cloud.refuse_on("apply aws.iam.get_access_key_last_used")
    world.works()
    with pytest.raises(Refused, match=r"refused.step_is_needed"):
        world.containment.decide(plan.id, world.who("ben"), "skip")
    world.containment.decide(plan.id, world.who("ben"), "retry")
    world.works()
    assert state(world, plan) is PlanState.DONE


def test_a_person_may_stop_the_run(world):
    plan = asking(world)
    world.containment.decide(plan.id, world.who("ben"), "stop")
    world.works()
    assert state(world, plan) is PlanState.FAILED
    with world.store.read() as look:
        assert look.get(Execution, plan.id).ended_at is not None
    assert world.containment.preview_undo(plan.id, world.who("ana")).steps


@pytest.mark.parametrize("name", ["dia", "far", "eve"])
def test_only_who_could_turn_a_key_decides(world, name):
    plan = asking(world)
    with pytest.raises(Refused, match=r"refused.not_approver"):
        world.containment.decide(plan.id, world.who(name), "skip")
    assert state(world, plan) is PlanState.ASKING
    assert world.actions(plan)[-1] == "decision.refused"


def test_a_decision_counts_once_and_only_while_the_run_asks(world):
    plan = asking(world)
    with pytest.raises(Refused, match=r"refused.no_such_decision"):
        world.containment.decide(plan.id, world.who("ben"), "whatever")
    world.skips("ben", "cho", plan)
    with pytest.raises(Refused, match=r"refused.not_asking"):
        world.containment.decide(plan.id, world.who("cho"), "stop")


def test_a_run_can_ask_about_the_same_step_again_and_again(world):
    plan = asking(world)
    for _ in range(3):
        world.cloud.refuse_on("apply aws.iam.put_user_policy")
        world.containment.decide(plan.id, world.who("ben"), "retry")
        world.works()
        assert state(world, plan) is PlanState.ASKING
    world.containment.decide(plan.id, world.who("cho"), "retry")
    world.works()
    assert state(world, plan) is PlanState.DONE


def test_a_run_that_asks_before_its_first_write_still_needs_keys_that_hold(world):
    plan = approved(world, export_trail={"on_failure": OnFailure.ASK})
    world.cloud.refuse_on("apply aws.cloudtrail.export_events")
    world.works()
    assert state(world, plan) is PlanState.ASKING
    world.rosters.without("d-ana")
    world.containment.decide(plan.id, world.who("ben"), "skip")
    world.works()
    assert state(world, plan) is PlanState.VOIDED
    assert world.cloud.effects == []


def test_a_run_that_asks_before_its_first_write_can_still_be_refused(world):
    plan = approved(world, export_trail={"on_failure": OnFailure.ASK})
    world.cloud.refuse_on("apply aws.cloudtrail.export_events")
    world.works()
    world.containment.reject(plan.id, world.who("cho"), "no evidence, no containment")
    assert state(world, plan) is PlanState.REFUSED


# a cloud that does not answer


def test_throttling_is_waited_out(world):
    plan = approved(world)
    world.cloud.throttle(3)
    world.works_on(3)
    assert state(world, plan) is PlanState.DONE
    assert len(world.cloud.effects) == 2


def test_a_step_that_is_never_answered_fails_after_a_few_tries(world):
    plan = approved(world)
    world.cloud.fault_on("apply aws.iam.update_access_key", times=99)
    world.works_on(60, step_s=10)
    assert state(world, plan) in (PlanState.FAILED, PlanState.ASKING)
    applied = [call for call in world.cloud.calls if call == "apply aws.iam.update_access_key"]
    assert 2 <= len(applied) <= 6


def test_a_runbook_with_many_tries_never_waits_for_days(world):
    plan = approved(world, export_trail={"retry": Retry(max_attempts=30, backoff_s=10.0)})
    world.cloud.fault_on("apply aws.cloudtrail.export_events", times=25)
    world.works_on(25 * 5, step_s=60)
    assert state(world, plan) is not PlanState.RUNNING


def test_a_slow_cloud_is_only_slow(world):
    plan = approved(world)
    world.cloud.slow_on("apply aws.cloudtrail.export_events", 600, world.clock.advance)
    world.works()
    assert state(world, plan) is PlanState.DONE


# a run that the engine gives up


def test_a_bug_is_tried_again_and_then_asked_about_and_then_decided(world):
    plan = approved(world)
    world.cloud.fault_on("apply aws.iam.put_user_policy", lambda: 1 / 0, times=4)
    world.cloud.fault_on("find aws.iam.put_user_policy", lambda: 1 / 0, times=8)
    world.works_on(30)
    assert state(world, plan) is PlanState.ASKING
    assert "execution.parked" in world.told()
    for _ in range(4):
        world.containment.decide(plan.id, world.who("ben"), "retry")
        world.works_on(30)
        if state(world, plan) is PlanState.DONE:
            break
    assert state(world, plan) is PlanState.DONE
    assert len(world.cloud.effects) == 2


@pytest.mark.parametrize("before", [PlanState.APPROVED, PlanState.RUNNING])
def test_a_plan_that_is_given_up_before_any_step_is_not_stuck_for_ever(world, before):
    plan = approved(world)
    world.tampers(replace(world.plan(plan), state=before))
    world.parked(Job("execute:x", JobKind.EXECUTE, {"plan_id": plan.id}), RuntimeError("a bug"))
    assert state(world, plan) is PlanState.ASKING
    with pytest.raises(Refused, match=r"refused.nothing_to_skip"):
        world.containment.decide(plan.id, world.who("ben"), "skip")
    world.containment.decide(plan.id, world.who("ben"), "retry")
    world.works()
    assert state(world, plan) is PlanState.DONE


def test_a_plan_that_is_given_up_before_any_step_can_be_stopped(world):
    plan = approved(world)
    world.parked(Job("execute:x", JobKind.EXECUTE, {"plan_id": plan.id}), RuntimeError("a bug"))
    world.containment.decide(plan.id, world.who("ben"), "stop")
    world.works()
    assert state(world, plan) is PlanState.FAILED
    assert world.cloud.effects == []


@pytest.mark.parametrize("after", [s for s in PlanState if s not in (PlanState.APPROVED, PlanState.RUNNING)])
def test_giving_up_does_not_move_a_plan_that_is_not_on_its_way(world, after):
    plan = approved(world)
    world.tampers(replace(world.plan(plan), state=after))
    world.parked(Job("execute:x", JobKind.EXECUTE, {"plan_id": plan.id}), RuntimeError("a bug"))
    assert state(world, plan) is after


def test_the_text_of_an_unexpected_fault_is_not_shown(world):
    plan = approved(world)
    world.parked(Job("execute:x", JobKind.EXECUTE, {"plan_id": plan.id}), RuntimeError("AKIASECRET"))
    assert "AKIASECRET" not in str(world.trail()) + str(world.notices())


def test_a_cloud_that_is_no_longer_configured_voids_the_keys(world):
    plan = approved(world)
    world.planner = replace(world.planner, clouds={"azure": MemoryCloud("azure")})
    world.executor = replace(world.executor, planner=world.planner)
    world.executor.execute(plan.id)
    assert state(world, plan) is PlanState.VOIDED


def test_a_plan_that_is_unknown_says_so(world):
    with pytest.raises(NotFound):
        world.plan("plan-nobody")


def test_two_plans_of_one_incident_run_one_after_the_other(world):
    first, second = approved(world), approved(world, PROTECT_BUCKETS)
    order = []
    world.stops_at(lambda name: order.append(name) if name in ("run:claimed", "run:finish") else None)
    world.works()
    assert state(world, first) is state(world, second) is PlanState.DONE
    assert order == ["run:claimed", "run:finish"] * 2


def test_a_step_for_each_bucket_is_journalled_by_itself(world):
    bucket = world.finding().resources[0]
    world.incident(resources=(bucket, replace(bucket, id="arn:aws:s3:::acme-photos")))
    plan = approved(world, PROTECT_BUCKETS)
    world.works()
    assert list(world.journal(plan)) == ["protect[1]", "protect[2]"]
    assert [inputs["bucket"] for inputs in world.cloud.done()] == ["acme-invoices", "acme-photos"]


def test_evidence_that_may_be_missing_does_not_hold_up_a_containment(world):
    plan = approved(world)
    world.cloud.fault_on("apply aws.cloudtrail.export_events", times=99)
    world.works()
    assert state(world, plan) is PlanState.DONE
    assert world.journal(plan)["export_trail"].passed_over


def test_evidence_that_the_rest_needs_is_asked_for_again(world):
    plan = approved(world)
    world.cloud.fault_on("apply aws.iam.get_access_key_last_used", times=3)
    world.works_on(3)
    assert state(world, plan) is PlanState.DONE
