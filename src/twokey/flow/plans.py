"""The life of a plan on record: stored once, moved from state to state, with the work that it is owed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from twokey.core.approvals import (
    approvals_needed,
    expires_after_s,
    is_out_of_time,
    needs_signature,
    proposer_needs_code,
    require_open_incident,
    require_role,
)
from twokey.core.errors import Json, Message, Refused
from twokey.core.incidents import Incident
from twokey.core.jobs import Job, JobKind
from twokey.core.people import Actor, Person, Roster
from twokey.core.runbooks import Plan, PlanState, digest_of
from twokey.flow import outbox
from twokey.flow.lookup import incident_by_id
from twokey.flow.register import keep_register
from twokey.ports import Snapshot, Transaction

LIVE = (PlanState.PROPOSED, PlanState.APPROVED, PlanState.RUNNING, PlanState.ASKING)


def require_own_preview(plan: Plan, person: Person) -> None:
    """Refuse a preview that was made for somebody else, or was changed since."""
    require_role(person, plan.target.account)
    if plan.requester != person.id or digest_of(plan) != plan.digest:
        raise Refused("refused.plan_changed", plan=plan.short)


def incident_for(look: Snapshot, plan: Plan) -> Incident:
    """Return the incident of a plan that wants approvals, or refuse because it is over."""
    incident = incident_by_id(look, plan.incident_id)
    require_open_incident(plan, incident)
    return incident


def require_no_duplicate(look: Snapshot, plan: Plan, now: datetime) -> None:
    """Refuse a plan of which an equal one is on its way."""
    for other in look.find(Plan, incident_id=plan.incident_id, state=LIVE):
        if other.digest == plan.digest and not is_out_of_time(other, now):
            raise Refused("refused.same_plan_waiting", plan=other.short, title=other.title)


def as_proposed(look: Snapshot, plan: Plan, person: Person, now: datetime) -> Plan:
    """Return a preview as it will be stored: with an id of its own, its requester and its end."""
    # The id is opaque, so that nothing can be read from a button, and unguessable by what it is made from.
    text = f"{plan.digest}:{person.id}:{now.isoformat()}:{look.head()[1]}"
    return replace(
        plan,
        id="plan-" + hashlib.sha256(text.encode()).hexdigest()[:20],
        requester=person.id,
        requested_at=now,
        expires_at=now + timedelta(seconds=expires_after_s(plan)),
        state=PlanState.PROPOSED,
        proposer_code=proposer_needs_code(plan),
    )


def proposal_data(plan: Plan, reason: str, roster: Roster, *, is_key: bool) -> dict[str, Json]:
    """Return what the trail says about a stored plan: enough to tell from the trail alone whether it may run."""
    return {
        "runbook": plan.runbook_id,
        "digest": plan.digest,
        "risk": plan.risk.value,
        "needed": approvals_needed(plan),
        "proposer_counts": is_key,
        # Whoever judges the trail must know which keys have to be signatures.
        **({"step_up": plan.approval.step_up} if needs_signature(plan) else {}),
        "expires_at": plan.expires_at.isoformat() if plan.expires_at else "",
        "undo_of": plan.undo_of,
        "roster": roster.digest,
        "reason": reason[:2000],
    }


def move(
    tx: Transaction,
    plan: Plan,
    actor: Actor,
    action: str,
    *messages: Message,
    now: datetime,
    data: Mapping[str, Json] | None = None,
    broadcast: bool = False,
) -> None:
    """Keep a plan as it is from now on: the row, the audit entry, what the thread is told, the card drawn anew."""
    tx.put(plan)
    keep_register(tx, plan, now)
    entry = tx.append(actor, action, incident_id=plan.incident_id, plan_id=plan.id, data=data or {})
    outbox.tell_thread(tx, entry, *messages, broadcast=broadcast, plan_id=plan.id)
    outbox.redraw_plan(tx, plan, now)


def owe_run(tx: Transaction, plan: Plan, again: str = "", not_before: datetime | None = None) -> None:
    """Owe the run of a plan; one run at a time for one incident."""
    name = f"execute:{plan.id}" + (f":{again}" if again else "")
    tx.enqueue(Job(name, JobKind.EXECUTE, {"plan_id": plan.id}, plan.incident_id, not_before))


def owe_expiry(tx: Transaction, plan: Plan) -> None:
    """Owe the end of a plan that nobody answers."""
    tx.enqueue(Job(f"expire:{plan.id}", JobKind.EXPIRE, {"plan_id": plan.id}, not_before=plan.expires_at))


def owe_end_of_asking(tx: Transaction, plan: Plan) -> None:
    """Owe the end of a run that asks and that nobody answers; each question has its own."""
    name = f"asking:{plan.id}:{tx.head()[0]}"
    tx.enqueue(Job(name, JobKind.EXPIRE, {"plan_id": plan.id}, not_before=plan.asking_until))


def owe_confirmation(tx: Transaction, plan: Plan) -> None:
    """Owe the question whether somebody confirmed a run on one approval."""
    tx.enqueue(Job(f"confirm:{plan.id}", JobKind.CONFIRM, {"plan_id": plan.id}, not_before=plan.confirm_by))
