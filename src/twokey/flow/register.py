"""The register of what is contained: a run that ends enters its verified writes, an undo takes them out."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from twokey.core.approvals import Approval
from twokey.core.containments import WHILE_OPEN, InForce, InForceState
from twokey.core.executions import StepRecord, StepState, record_id
from twokey.core.incidents import Incident
from twokey.core.jobs import watch_job
from twokey.core.runbooks import Plan, PlanState, Step, Touch
from twokey.flow.lookup import canonical_id
from twokey.ports import Snapshot, Transaction

ALL = 1_000_000
IN_FORCE = tuple(state for state in InForceState if state is not InForceState.UNDONE)
_NOTHING_DONE = (
    PlanState.PROPOSED,
    PlanState.APPROVED,
    PlanState.REFUSED,
    PlanState.WITHDRAWN,
    PlanState.EXPIRED,
    PlanState.VOIDED,
)


def keep_register(tx: Transaction, plan: Plan, now: datetime) -> list[InForce]:
    """Enter what a plan's run has done and a read has shown, or take out what it has undone; twice is once.

    What a run has contained stands, however the run ended, or while it waits for an answer.
    """
    if plan.state in _NOTHING_DONE:
        return []
    verified = {row.step_id: row for row in tx.find(StepRecord, plan_id=plan.id, state=StepState.VERIFIED)}
    if plan.undo_of:
        return _taken_out(tx, plan, verified, now)
    known = tx.find(InForce, plan_id=plan.id)
    there = {row.id for row in known}
    fresh = [step for step in plan.writes if step.id in verified and record_id(plan.id, step.id) not in there]
    if not fresh:
        return []
    active = [row.look for row in known if row.state is not InForceState.UNDONE]
    look = active[0] if active else tx.head()[0] if known else 0
    incident = tx.get(Incident, plan.incident_id)
    people = tuple(dict.fromkeys(one.person_id for one in tx.find(Approval, plan_id=plan.id)))
    rows = [
        InForce(
            id=record_id(plan.id, step.id),
            plan_id=plan.id,
            incident_id=plan.incident_id,
            state=InForceState.IN_FORCE,
            account=plan.target.account,
            since=verified[step.id].ended_at or now,
            step_id=step.id,
            action=step.action,
            title=plan.title,
            digest=plan.digest,
            touches=_touched(plan, step, verified[step.id]),
            people=people,
            owner=(incident.commander if incident else "") or plan.requester,
            last_seen=verified[step.id].ended_at,
            look=look,
        )
        for step in fresh
    ]
    for row in rows:
        tx.add(row)
    tx.enqueue(watch_job(plan.id, look, now + WHILE_OPEN[0]))
    return rows


def contained(look: Snapshot, which: str = "") -> list[InForce]:
    """Return what is contained now, oldest first: all of it, of one incident, or in one account."""
    if not which:
        return look.find(InForce, state=IN_FORCE, limit=ALL)
    if look.get(Incident, canonical_id(which)):
        return look.find(InForce, incident_id=canonical_id(which), state=IN_FORCE, limit=ALL)
    return look.find(InForce, account=which, state=IN_FORCE, limit=ALL)


def _taken_out(tx: Transaction, undo: Plan, verified: dict[str, StepRecord], now: datetime) -> list[InForce]:
    found = [tx.get(InForce, record_id(undo.undo_of, step_id.removeprefix("undo-"))) for step_id in verified]
    rows = [
        replace(row, state=InForceState.UNDONE, changed_at=now, reason=None)
        for row in found
        if row is not None and row.state is not InForceState.UNDONE
    ]
    for row in rows:
        tx.put(row)
    return rows


def _touched(plan: Plan, step: Step, record: StepRecord) -> tuple[Touch, ...]:
    """Return which of the plan's targets a step was about: those that its call named, else all."""
    named = {str(value) for value in (*step.inputs.values(), *record.inputs.values())}
    return tuple(touch for touch in plan.touches if {touch.id, touch.name} & named) or plan.touches
