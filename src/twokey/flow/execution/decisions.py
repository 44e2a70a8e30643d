"""Deciding: what a person answers a run that stopped to ask."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from twokey.core.approvals import role_for
from twokey.core.errors import Refused, message
from twokey.core.executions import Execution, StepRecord, StepState, next_step, record_id
from twokey.core.people import ChatIdentity, Person, acting
from twokey.core.runbooks import Plan, PlanState, Step
from twokey.flow.execution.journal import journal_of
from twokey.flow.lookup import incident_by_id, plan_by_id
from twokey.flow.plans import move, owe_run
from twokey.ports import Store, Transaction

DECISIONS = ("retry", "skip", "stop")


def decide_run(
    store: Store, plan_id: str, who: ChatIdentity, person: Person, decision: str, *, now: datetime
) -> Plan:
    """Let an approver retry the step that is stuck, skip it, or stop the run."""
    if decision not in DECISIONS:
        raise Refused("refused.no_such_decision", decision=decision[:40])
    with store.change() as tx:
        plan = plan_by_id(tx, plan_id)
        incident = incident_by_id(tx, plan.incident_id)
        if plan.state is not PlanState.ASKING:
            raise Refused("refused.not_asking", plan=plan.short, state=plan.state.value)
        if not role_for(person, plan, incident):
            raise Refused("refused.not_approver", person=person.name, scope=plan.target.account)
        step, stuck = _stuck(tx, plan)
        _apply(tx, plan, stuck, decision, now)
        said = message(
            f"containment.decided_{decision}",
            person=person.name,
            step=step.id if step else "-",
            plan=plan.short,
        )
        after = PlanState.FAILED if decision == "stop" else PlanState.RUNNING
        moved = move(tx, plan, after, acting(person, who.account), said, now=now, data={"decision": decision})
        if decision != "stop":
            owe_run(tx, plan, again=str(tx.head()[0]))
    return moved


def _stuck(tx: Transaction, plan: Plan) -> tuple[Step | None, StepRecord | None]:
    """Return where a run stands: the first step that is not over, with its record if it was begun."""
    step = next_step(plan, journal_of(tx, plan.id))
    return step, tx.get(StepRecord, record_id(plan.id, step.id)) if step else None


def _apply(tx: Transaction, plan: Plan, stuck: StepRecord | None, decision: str, now: datetime) -> None:
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
