"""Pass over a write: one person asks, with what stays undone in view, and another confirms exactly that."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime

from twokey.core.approvals import is_asking_over, require_decider
from twokey.core.errors import Conflict, Json, NotFound, Refused, message
from twokey.core.executions import Decision
from twokey.core.people import Person, Roster
from twokey.core.runbooks import Plan, PlanState, Step, digest_of
from twokey.flow import outbox
from twokey.flow.containment.approvals import use_required_code
from twokey.flow.execution.decisions import Question, carry_out, question_for, question_of
from twokey.flow.lookup import incident_by_id
from twokey.flow.refusals import Caller
from twokey.ports import Snapshot, StepUp, Transaction


@dataclass(frozen=True, slots=True)
class Skipped:
    """What a person sees who is about to have a step passed over, or to confirm it."""

    plan: Plan
    step: Step


def decide_run(
    tx: Transaction, step_up: StepUp, plan_id: str, caller: Caller, decision: str, code: str, now: datetime
) -> Plan:
    """Let a person answer a run that asks; to pass over a write is only asked for, until another confirms it."""
    question = question_for(tx, plan_id, caller, decision, now)
    if decision != "skip" or question.step is None or not question.step.effect.is_write:
        return carry_out(tx, question, caller, decision, now)
    return _ask_to_skip(tx, step_up, question, question.step, caller, code, now)


def _ask_to_skip(
    tx: Transaction,
    step_up: StepUp,
    question: Question,
    step: Step,
    caller: Caller,
    code: str,
    now: datetime,
) -> Plan:
    plan, person = _unchanged(question.plan), caller.person
    if waiting := asked_of(tx, plan, caller.roster, now):
        raise Refused(
            "refused.skip_asked", plan=plan.short, person=_name(caller.roster, waiting[0].person_id)
        )
    text = f"{plan.id}:{step.id}:{question.fence}:{person.id}"
    asked = Decision(
        # Opaque, like a plan's: nothing can be read from a button.
        id="decision-" + hashlib.sha256(text.encode()).hexdigest()[:20],
        plan_id=plan.id,
        step_id=step.id,
        decision="skip",
        person_id=person.id,
        at=now,
        digest=plan.digest,
        fence=question.fence,
        step_up=_used_code(tx, step_up, plan, person, code, now),
        account=caller.account,
    )
    try:
        tx.add(asked)
    except Conflict as twice:  # asked before, by one who had lost the role meanwhile
        raise Refused("refused.skip_asked", plan=plan.short, person=person.name) from twice
    data: dict[str, Json] = {
        "decision_id": asked.id,
        "decision": "skip",
        "step": step.id,
        "action": step.action,
        "digest": plan.digest,
    }
    entry = tx.append(
        caller.actor, "decision.asked", incident_id=plan.incident_id, plan_id=plan.id, data=data
    )
    said = message(
        "containment.skip_asked",
        person=person.name,
        step=step.id,
        action=step.action,
        effect=step.effect.value,
        check=step.verify.check if step.verify else "-",
        account=plan.target.account,
        plan=plan.short,
    )
    outbox.tell_thread(tx, entry, said, plan_id=plan.id)
    outbox.redraw_plan(tx, plan, now)
    return plan


def confirm_skip(
    tx: Transaction, step_up: StepUp, decision_id: str, caller: Caller, code: str, now: datetime
) -> Plan:
    """Confirm, as the second person, exactly what another asked for at this very stop; it counts once."""
    asked, question = _confirmable(tx, decision_id, caller, now)
    plan, person = _unchanged(question.plan), caller.person
    used = _used_code(tx, step_up, plan, person, code, now)
    tx.put(replace(asked, confirmed_by=person.id, confirmed_at=now, confirmed_step_up=used))
    return carry_out(
        tx, question, caller, "skip", now, {"decision_id": asked.id, "asked_by": asked.person_id}
    )


def to_skip(look: Snapshot, plan_id: str, caller: Caller, now: datetime) -> Skipped:
    """Return what this person would have passed over, or refuse."""
    question = question_for(look, plan_id, caller, "skip", now)
    if question.step is None:
        raise Refused("refused.nothing_to_skip", plan=question.plan.short)
    return Skipped(question.plan, question.step)


def to_confirm(look: Snapshot, decision_id: str, caller: Caller, now: datetime) -> tuple[Skipped, Decision]:
    """Return what another asked for and this person may confirm, or refuse."""
    asked, question = _confirmable(look, decision_id, caller, now)
    (step,) = [step for step in question.plan.steps if step.id == asked.step_id]
    return Skipped(question.plan, step), asked


def asked_of(look: Snapshot, plan: Plan, roster: Roster, now: datetime) -> list[Decision]:
    """Return what is asked about the stop at which a run stands now, by people who still may."""
    if plan.state is not PlanState.ASKING or is_asking_over(plan, now):
        return []
    question = question_of(look, plan)
    return [
        asked
        for asked in look.find(Decision, plan_id=plan.id)
        if not asked.confirmed_by
        and asked.decision == "skip"
        and (asked.fence, asked.digest) == (question.fence, plan.digest)
        and question.step is not None
        and asked.step_id == question.step.id
        and _may_decide(look, plan, roster.person(asked.person_id))
    ]


def _confirmable(
    look: Snapshot, decision_id: str, caller: Caller, now: datetime
) -> tuple[Decision, Question]:
    asked = decision_by_id(look, decision_id)
    question = question_for(look, asked.plan_id, caller, "skip", now)
    if caller.person.id == asked.person_id:
        raise Refused("refused.own_decision", person=caller.person.name)
    if asked not in asked_of(look, question.plan, caller.roster, now):
        raise Refused("refused.decision_over", plan=question.plan.short)
    return asked, question


def decision_by_id(look: Snapshot, decision_id: str) -> Decision:
    """Return what somebody asked for, or say that there is no such thing."""
    asked = look.get(Decision, decision_id)
    if asked is None:
        raise NotFound("containment.no_such_decision", decision=decision_id[:40])
    return asked


def _may_decide(look: Snapshot, plan: Plan, person: Person | None) -> bool:
    if person is None:
        return False
    try:
        require_decider(person, plan, incident_by_id(look, plan.incident_id))
    except Refused:
        return False
    return True


def _unchanged(plan: Plan) -> Plan:
    """Return a plan that is still what its keys were turned on, or refuse."""
    if digest_of(plan) != plan.digest:
        raise Refused("refused.plan_changed", plan=plan.short)
    return plan


def _used_code(tx: Transaction, step_up: StepUp, plan: Plan, person: Person, code: str, now: datetime) -> str:
    """Return the identity of the code that was given: both people give one where the plan's keys needed one."""
    used = use_required_code(tx, step_up, plan, person, code=code, now=now).used
    if plan.approval.step_up and not used:
        raise Refused("refused.step_up_wrong", person=person.name)
    return used


def _name(roster: Roster, person_id: str) -> str:
    person = roster.person(person_id)
    return person.name if person else person_id
