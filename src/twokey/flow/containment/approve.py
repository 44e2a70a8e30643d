"""Approve a plan: one more person behind exactly what was shown. What that is worth, core/approvals.py decides."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from twokey.core.approvals import (
    Approval,
    ApprovalStatus,
    approval_id,
    approval_status,
    is_out_of_time,
    require_approver,
    role_for,
)
from twokey.core.errors import Json, message
from twokey.core.incidents import Incident
from twokey.core.people import Person
from twokey.core.runbooks import Plan, PlanState
from twokey.flow.containment.approvals import add_approval, use_required_code
from twokey.flow.execution.stops import require_not_stopped
from twokey.flow.execution.undone import require_undo_follows
from twokey.flow.lookup import incident_by_id, plan_by_id
from twokey.flow.planning.planner import Planner
from twokey.flow.plans import move, owe_run
from twokey.flow.refusals import Caller
from twokey.ports import Snapshot, StepUp, Transaction


@dataclass(frozen=True, slots=True)
class Confirmation:
    """What an approver was shown, and gave: the plan's digest, its target as they typed it, a code."""

    digest: str
    typed: str
    code: str


def approve_plan(
    tx: Transaction,
    planner: Planner,
    step_up: StepUp,
    plan_id: str,
    caller: Caller,
    given: Confirmation,
    now: datetime,
) -> ApprovalStatus:
    """Keep an approval of exactly the plan that was shown, and owe the run once there are enough."""
    person, plan = caller.person, plan_by_id(tx, plan_id)
    incident = incident_by_id(tx, plan.incident_id)
    approvals = tx.find(Approval, plan_id=plan.id)
    role = require_approver(
        plan, person, incident, approvals, digest=given.digest, typed=given.typed, now=now
    )
    require_not_stopped(tx, plan)
    require_undo_follows(tx, planner, plan)
    used = use_required_code(tx, step_up, plan, person, code=given.code, now=now)
    approvals.append(add_approval(tx, plan, caller, role=role, now=now, used=used))
    status = approval_status(plan, approvals, incident, caller.roster)
    count = {"keys": len(status.people), "needed": status.needed}
    if status.is_satisfied:
        plan = replace(plan, state=PlanState.APPROVED)
        owe_run(tx, plan)
    approved = message("containment.approved", person=person.name, plan=plan.short, **count)
    data: dict[str, Json] = {"digest": plan.digest, "role": role, **count, "roster": caller.roster.digest}
    move(tx, plan, caller.actor, "approved", approved, now=now, data=data)
    return status


def could_approve(look: Snapshot, plan: Plan, person: Person, now: datetime) -> bool:
    """Say whether a plan that waits could get this person's approval now."""
    incident = look.get(Incident, plan.incident_id)
    if incident is None or is_out_of_time(plan, now) or not (incident.is_open or plan.undo_of):
        return False
    if plan.requester == person.id or not role_for(person, plan, incident):
        return False
    return look.get(Approval, approval_id(plan.id, person.id)) is None
