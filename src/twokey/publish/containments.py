"""What the templates print of one containment: who asked, who turned keys, what was done, how it ended."""

from __future__ import annotations

from markupsafe import Markup

from twokey.core.executions import undoable
from twokey.core.postmortems import ContainmentRecord, Metric
from twokey.core.runbooks import PlanState, Step
from twokey.publish.markdown import code, md
from twokey.publish.timeline import what_happened
from twokey.publish.words import Facts, PageWords

MOST_RESOURCES = 50
MOST_EVENTS = 20


def metric(one: Metric, words: PageWords) -> Facts:
    """Return one duration with both its ends."""
    return {
        "name": words.label("metric", one.name),
        "start_name": words.label("moment", one.start_name),
        "start": words.utc(one.start),
        "end_name": words.label("moment", one.end_name),
        "end": words.utc(one.end),
        "value": words.duration(one.value),
        "plan": code(one.of) if one.of else None,
    }


def containment(number: int, kept: ContainmentRecord, words: PageWords) -> Facts:
    """Return one plan as it went: asked, turned, foreseen against real, and whether it was taken back."""
    plan = kept.plan
    return {
        "number": number,
        "id": code(plan.id),
        "title": md(plan.title, 200),
        "runbook": code(f"{plan.runbook_id}@{plan.runbook_version}"),
        "runbook_digest": code(plan.runbook_digest) if plan.runbook_digest else None,
        "digest": code(plan.digest) if plan.digest else None,
        "short": code(plan.short) if plan.digest else None,
        "state": words.label("plan", plan.state.value),
        "state_code": plan.state.value,
        "risk": words.label("risk", plan.risk.value),
        "target": code(f"{plan.target.account} {plan.target.region}".strip())
        if plan.target.account
        else None,
        "proposer": md(kept.proposer) if kept.proposer else None,
        "requested": words.utc(plan.requested_at),
        "requested_local": words.local(plan.requested_at),
        "turned": [
            {
                "name": md(name),
                "role": words.label("key", role),
                "utc": words.utc(at),
                "local": words.local(at),
            }
            for name, role, at in kept.keys
        ],
        "touches": [
            {
                "kind": words.label("touch", touch.kind),
                "id": code(touch.id),
                "name": md(touch.name) if touch.name else None,
            }
            for touch in plan.touches[:MOST_RESOURCES]
        ],
        "touches_left_out": max(0, len(plan.touches) - MOST_RESOURCES),
        "blast": words.counts(plan.blast),
        "steps": [_step(step, kept, words) for step in plan.steps],
        "undo": _undo(kept, words),
        "undo_of": code(plan.undo_of[:24]) if plan.undo_of else None,
        "reason": words.message(plan.reason),
        "break_glass": {
            "by": words.person(plan.break_glass_by),
            "reason": md(plan.break_glass_reason) if plan.break_glass_reason else None,
            "confirmed_by": words.person(plan.confirmed_by),
            "confirm_by": words.utc(plan.confirm_by),
        }
        if plan.break_glass_by
        else None,
        "events": [
            {
                "utc": words.utc(entry.at),
                "who": words.actor(entry.actor),
                **what_happened(entry, words),
                "seq": entry.seq,
            }
            for entry in kept.events[:MOST_EVENTS]
        ],
        "events_left_out": max(0, len(kept.events) - MOST_EVENTS),
    }


def _step(step: Step, kept: ContainmentRecord, words: PageWords) -> Facts:
    row = next((row for row in kept.journal if row.step_id == step.id), None)
    observed = kept.plan.observed.get(step.id)
    before = words.pairs(observed) if isinstance(observed, dict) else None
    seen = words.pairs(row.seen or row.outputs) if row else None
    return {
        "id": code(step.id),
        "action": code(step.action),
        "phase": words.label("phase", step.phase),
        "effect": words.label("effect", step.effect.value),
        "foreseen": before or Markup("–"),
        "result": words.label("step", row.state.value if row else "not-reached"),
        "seen": seen or Markup("–"),
        "attempts": row.attempt if row else 0,
        "error": words.message(row.error) if row else None,
    }


def _undo(kept: ContainmentRecord, words: PageWords) -> Markup:
    plan = kept.plan
    if plan.undo_of:
        return words.label("undo", "is-undo") or Markup("")
    if kept.undone_by and kept.undo_state is PlanState.DONE:
        done = words.label("undo", "done") or Markup("")
        return done + Markup(" ") + code(kept.undone_by[:24])
    ready = len(undoable(plan, {row.step_id: row for row in kept.journal}))
    if kept.undone_by and kept.undo_state:
        asked = words.label("undo", "asked") or Markup("")
        return asked + Markup(" ") + (words.label("plan", kept.undo_state.value) or Markup(""))
    return words.label("undo", "ready" if ready else "nothing") or Markup("")
