"""Decisions: where a run stopped to ask, who may answer, and what an answer changes: retry, skip or stop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from twokey.core.approvals import is_asking_over, require_decider
from twokey.core.errors import Json, Refused, message
from twokey.core.executions import Execution, StepRecord, StepState, next_step, record_id
from twokey.core.runbooks import Plan, PlanState, Step
from twokey.flow.execution.journal import journal_of
from twokey.flow.execution.outcomes import stop
from twokey.flow.execution.remains import dependents_in
from twokey.flow.lookup import incident_by_id, plan_by_id
from twokey.flow.plans import move, owe_run
from twokey.flow.refusals import Caller
from twokey.ports import Snapshot, Transaction

DECISIONS = ("retry", "skip", "stop")


@dataclass(frozen=True, slots=True)
class Question:
    """A run that asks: the plan, the first step that is not over, its record if it was begun, and which stop it is."""

    plan: Plan
    step: Step | None
    stuck: StepRecord | None
    fence: int


def question_for(look: Snapshot, plan_id: str, caller: Caller, decision: str, now: datetime) -> Question:
    """Return the question that this person may answer in this way now, or refuse."""
    if decision not in DECISIONS:
        raise Refused("refused.no_such_decision", decision=decision[:40])
    plan = plan_by_id(look, plan_id)
    if plan.state is not PlanState.ASKING:
        raise Refused("refused.not_asking", plan=plan.short, state=plan.state.value)
    require_decider(caller.person, plan, incident_by_id(look, plan.incident_id))
    if decision != "stop" and is_asking_over(plan, now):
        raise Refused("refused.asking_over", plan=plan.short)
    question = question_of(look, plan)
    if decision == "skip":
        _require_skippable(look, question)
    return question


def question_of(look: Snapshot, plan: Plan) -> Question:
    """Return where a run stands that asks."""
    step, execution = next_step(plan, journal_of(look, plan.id)), look.get(Execution, plan.id)
    stuck = look.get(StepRecord, record_id(plan.id, step.id)) if step else None
    return Question(plan, step, stuck, execution.fence if execution else 0)


def _require_skippable(look: Snapshot, question: Question) -> None:
    """Refuse to pass over a step that others need; whoever wants those without it needs another plan."""
    plan, step = question.plan, question.step
    if step is None or question.stuck is None:  # parked between two steps: there is nothing that failed
        raise Refused("refused.nothing_to_skip", plan=plan.short)
    needed_by = dependents_in(look, plan, step)
    if needed_by:
        raise Refused("refused.step_is_needed", step=step.id, by=", ".join(needed_by), plan=plan.short)


def carry_out(
    tx: Transaction,
    question: Question,
    caller: Caller,
    decision: str,
    now: datetime,
    data: Mapping[str, Json] | None = None,
) -> Plan:
    """Do what was decided: the run goes on, or ends here; `data` says on the trail who else was behind it."""
    plan, step, stuck = question.plan, question.step, question.stuck
    answer = message(
        f"containment.decided_{decision}",
        person=caller.person.name,
        step=step.id if step else "-",
        plan=plan.short,
    )
    if decision == "stop":
        return stop(tx, plan, answer, now=now, actor=caller.actor, data={"decision": decision})
    if stuck and decision == "skip":
        tx.put(replace(stuck, passed_over=True))
    elif stuck:
        # What was sent may have arrived: a retry reads first, like after a crash.
        state = StepState.UNKNOWN if stuck.key else StepState.WAITING
        tx.put(replace(stuck, state=state, attempt=1, error=None))
    after = replace(plan, state=PlanState.RUNNING, reason=answer, asking_until=None)
    said = {"decision": decision, "step": step.id if step else "", **(data or {})}
    move(tx, after, caller.actor, "run.continued", answer, now=now, data=said)
    owe_run(tx, plan, again=str(tx.head()[0]))
    return after
