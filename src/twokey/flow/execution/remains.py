"""What a run leaves: which writes are in force, which are not, who needs which, and what that makes of the incident."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from twokey.core.errors import Message, message
from twokey.core.executions import (
    StepRecord,
    dependents,
    dependents_of_undo,
    left_undone,
    verified_writes,
)
from twokey.core.incidents import Incident, State
from twokey.core.runbooks import Plan, PlanState, Step
from twokey.flow import outbox
from twokey.flow.execution.journal import journal_of
from twokey.flow.lookup import incident_by_id, plan_by_id
from twokey.ports import Snapshot, Transaction

# From where a run's end may move an incident; what people have moved on since stays where they put it.
_WHOLE_FROM = (State.TRIAGE, State.INVESTIGATING, State.PARTLY_CONTAINED)
_PARTLY_FROM = (State.TRIAGE, State.INVESTIGATING, State.CONTAINED, State.MONITORING)


def dependents_in(look: Snapshot, plan: Plan, step: Step) -> tuple[str, ...]:
    """Return the later steps of a plan, or of an undo, that need one of its steps."""
    if plan.undo_of:
        return dependents_of_undo(plan, plan_by_id(look, plan.undo_of), step.id)
    return dependents(plan, step.id)


def what_stands(plan: Plan, journal: Mapping[str, StepRecord]) -> Message:
    """Return the sentence that says which writes of a run were seen in force, and which were not."""
    done = ", ".join(f"{step.id} ({step.action})" for step in verified_writes(plan, journal))
    left = ", ".join(f"{step.id} ({step.action})" for step in left_undone(plan, journal))
    return message("execution.stands", done=done or "-", left=left or "-")


def mark_contained(tx: Transaction, plan: Plan, now: datetime) -> Incident:
    """Move the incident of a run that ended: contained, or partly where a write of it, or of another, is missing."""
    incident = incident_by_id(tx, plan.incident_id)
    journal = journal_of(tx, plan.id)
    if plan.undo_of or not verified_writes(plan, journal):
        return incident
    if left_undone(plan, journal) or _is_left_by_another(tx, plan):
        state = State.PARTLY_CONTAINED if incident.state in _PARTLY_FROM else incident.state
        after = replace(incident, state=state)
    else:
        state = State.CONTAINED if incident.state in _WHOLE_FROM else incident.state
        times = replace(incident.times, contained=incident.times.contained or now)
        after = replace(incident, state=state, times=times)
    tx.put(after)
    outbox.redraw_card(tx, after, now)
    return after


def _is_left_by_another(look: Snapshot, plan: Plan) -> bool:
    """Say whether the last run of another runbook of this incident has left something out."""
    last: dict[str, bool] = {}
    for other in look.find(Plan, incident_id=plan.incident_id, state=(PlanState.DONE, PlanState.FAILED)):
        journal = journal_of(look, other.id)
        if not other.undo_of and other.id != plan.id and verified_writes(other, journal):
            last[other.runbook_id] = bool(left_undone(other, journal))
    return any(is_left for runbook, is_left in last.items() if runbook != plan.runbook_id)
