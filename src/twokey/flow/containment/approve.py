"""Approve a plan: one more person behind exactly what was shown. What that is worth, core/approvals.py decides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
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
from twokey.flow.containment.approvals import add_approval, use_required_code, use_signature
from twokey.flow.containment.showings import showing_data, showing_of
from twokey.flow.execution.stops import require_not_stopped
from twokey.flow.execution.undone import require_undo_follows
from twokey.flow.lookup import incident_by_id, plan_by_id
from twokey.flow.planning.planner import Planner
from twokey.flow.plans import move, owe_run
from twokey.flow.refusals import Caller
from twokey.ports import Passkeys, Snapshot, StepUp, Transaction


@dataclass(frozen=True, slots=True)
class Confirmation:
    """What an approver was shown, and gave: the plan's digest, its target as they typed it, a code, from which view."""

    digest: str
    typed: str
    code: str
    view: str = ""
    assertion: Mapping[str, str] = field(default_factory=dict)  # what a passkey signed, in place of a code


def approve_plan(
    tx: Transaction,
    planner: Planner,
    step_up: StepUp,
    passkeys: Passkeys,
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
    showing = showing_of(tx, plan, person, given.view)
    if given.assertion:
        second = use_signature(tx, passkeys, plan, person, given.assertion, now)
    else:
        second = use_required_code(tx, step_up, plan, person, code=given.code, now=now)
    approvals.append(add_approval(tx, plan, caller, role=role, now=now, given=second, showing=showing))
    status = approval_status(plan, approvals, incident, caller.roster)
    count = {"keys": len(status.people), "needed": status.needed}
    if status.is_satisfied:
        plan = replace(plan, state=PlanState.APPROVED)
        owe_run(tx, plan)
    approved = message("containment.approved", person=person.name, plan=plan.short, **count)
    data: dict[str, Json] = {
        "digest": plan.digest,
        "role": role,
        **count,
        "roster": caller.roster.digest,
        **showing_data(showing),
    }
    if given.assertion:
        data["passkey"] = dict(given.assertion)
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
