"""Undone: what an undo takes back, told from the record of that run, and whether the undo follows from it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from twokey.core.approvals import Approval, approvals_needed, proposer_counts, require_confirmed
from twokey.core.audit import AuditEntry
from twokey.core.errors import NotFound, Refused
from twokey.core.executions import StepRecord, kept_digest, undoable
from twokey.core.runbooks import Plan, PlanState, digest_of
from twokey.flow.execution.journal import EXECUTOR, journal_of
from twokey.flow.lookup import plan_by_id
from twokey.flow.planning.planner import Planner
from twokey.ports import Snapshot

_PAGE = 1000


def run_undone(look: Snapshot, plan: Plan) -> tuple[Plan, dict[str, StepRecord]]:
    """Return the run that an undo takes back, with its journal, or refuse where the record does not bear it out.

    Rows can be written by whoever has the database, so each is held against the others and against the trail.
    """
    try:
        original = plan_by_id(look, plan.undo_of)
    except NotFound as gone:
        raise _forged(plan, "plan") from gone
    if original.state not in (PlanState.DONE, PlanState.FAILED) or original.incident_id != plan.incident_id:
        raise _forged(plan, "state")
    _require_keys(look, plan, original)
    journal = journal_of(look, original.id)
    trail = list(_trail(look, original))
    if not any(e.action == "run.started" and e.data.get("digest") == original.digest for e in trail):
        raise _forged(plan, "run.started")
    for step in undoable(original, journal):
        if not any(_bears_out(entry, journal[step.id]) for entry in trail):
            raise _forged(plan, step.id)
    return original, journal


def require_undo_follows(look: Snapshot, planner: Planner, plan: Plan) -> None:
    """Refuse an undo that is not, but for what is seen in the cloud, what the record of its run leads to."""
    if not plan.undo_of:
        return
    original, journal = run_undone(look, plan)
    derived = planner.undo_steps(original, journal)
    seen = replace(
        derived, observed=plan.observed, touches=plan.touches, blast=plan.blast, warnings=plan.warnings
    )
    if digest_of(seen) != plan.digest:
        raise _forged(plan, "steps")


def _require_keys(look: Snapshot, plan: Plan, original: Plan) -> None:
    keys = look.find(Approval, plan_id=original.id)
    try:
        require_confirmed(original, keys, digest_of(original))
    except Refused as changed:
        raise _forged(plan, "keys") from changed
    people = {
        key.person_id
        for key in keys
        if key.role not in ("break-glass", "confirmation")
        and (key.role != "proposer" or proposer_counts(original))
    }
    alone = original.break_glass_by and any(
        key.role == "break-glass" and key.person_id == original.break_glass_by for key in keys
    )
    if not alone and len(people) < approvals_needed(original):
        raise _forged(plan, "keys")


def _trail(look: Snapshot, original: Plan) -> Iterator[AuditEntry]:
    after = 0
    while entries := look.audit(incident_id=original.incident_id, after=after, limit=_PAGE):
        yield from (e for e in entries if e.plan_id == original.id and e.actor == EXECUTOR)
        after = entries[-1].seq


def _bears_out(entry: AuditEntry, row: StepRecord) -> bool:
    """Say whether an entry tells of this very effect; those of earlier versions say no digest of what was kept."""
    if entry.action not in ("step.done", "step.found_done") or entry.data.get("step") != row.step_id:
        return False
    return entry.data.get("kept", kept_digest(row)) == kept_digest(row)


def _forged(plan: Plan, what: str) -> Refused:
    return Refused("refused.undo_not_of_record", plan=plan.short, of=plan.undo_of[:40], what=what)
