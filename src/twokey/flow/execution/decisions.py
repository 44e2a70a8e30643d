"""Decisions: what a person answers a run that stopped to ask: retry the step, skip it, or stop the run."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from twokey.core.approvals import role_for
from twokey.core.errors import Refused, message
from twokey.core.executions import Execution, StepRecord, StepState, next_step, record_id
from twokey.core.runbooks import Plan, PlanState
from twokey.flow.execution.journal import journal_of
from twokey.flow.lookup import incident_by_id, plan_by_id
from twokey.flow.plans import move, owe_run
from twokey.flow.refusals import Caller
from twokey.ports import Transaction

DECISIONS = ("retry", "skip", "stop")


def decide_run(tx: Transaction, plan_id: str, caller: Caller, decision: str, now: datetime) -> Plan:
    """Let an approver retry the step that is stuck, skip it, or stop the run."""
    if decision not in DECISIONS:
        raise Refused("refused.no_such_decision", decision=decision[:40])
    person, plan = caller.person, plan_by_id(tx, plan_id)
    incident = incident_by_id(tx, plan.incident_id)
    if plan.state is not PlanState.ASKING:
        raise Refused("refused.not_asking", plan=plan.short, state=plan.state.value)
    if not role_for(person, plan, incident):
        raise Refused("refused.not_approver", person=person.name, scope=plan.target.account)
    # Where the run stands: the first step that is not over, with its record if it was begun.
    step = next_step(plan, journal_of(tx, plan.id))
    stuck = tx.get(StepRecord, record_id(plan.id, step.id)) if step else None
    if decision == "skip":
        if stuck is None:  # the run was parked between two steps: there is nothing that failed
            raise Refused("refused.nothing_to_skip", plan=plan.short)
        tx.put(replace(stuck, passed_over=True))
    elif decision == "retry" and stuck:
        # What was sent may have arrived: a retry reads first, like after a crash.
        state = StepState.UNKNOWN if stuck.key else StepState.WAITING
        tx.put(replace(stuck, state=state, attempt=1, error=None))
    elif decision == "stop" and (execution := tx.get(Execution, plan.id)):
        tx.put(replace(execution, ended_at=now))
    answer = message(
        f"containment.decided_{decision}",
        person=person.name,
        step=step.id if step else "-",
        plan=plan.short,
    )
    is_over = decision == "stop"
    after = replace(plan, state=PlanState.FAILED if is_over else PlanState.RUNNING, reason=answer)
    action = "failed" if is_over else "run.continued"
    move(tx, after, caller.actor, action, answer, now=now, data={"decision": decision})
    if not is_over:
        owe_run(tx, plan, again=str(tx.head()[0]))
    return after
