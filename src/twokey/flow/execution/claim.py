"""Claim a run: may it begin, or go on, right now? Approvals, runbook, cloud and guards are checked once more."""

from __future__ import annotations

from dataclasses import replace

from twokey.core.approvals import Approval, require_confirmed, require_runnable
from twokey.core.errors import Json, RetryAfter, TwokeyError, Unavailable, message
from twokey.core.executions import Execution, StepState, has_written
from twokey.core.people import Roster
from twokey.core.runbooks import Plan, PlanState, digest_of
from twokey.flow import outbox
from twokey.flow.execution.journal import EXECUTOR, Run, journal_of
from twokey.flow.execution.outcomes import end, void
from twokey.flow.lookup import incident_by_id
from twokey.flow.planning.planner import Planner
from twokey.ports import Clock, Library, Rosters, Store, Transaction

_OVER = (
    PlanState.DONE,
    PlanState.FAILED,
    PlanState.VOIDED,
    PlanState.REFUSED,
    PlanState.WITHDRAWN,
    PlanState.EXPIRED,
)


def claim(store: Store, clock: Clock, rosters: Rosters, plan_id: str) -> Run | None:
    """Acquire the run: raise the fence, mark what an earlier worker left open; or end what may not run."""
    roster: Roster | TwokeyError
    try:
        roster = rosters.current()
    except TwokeyError as fault:
        roster = fault  # it stops a run only before the first write
    with store.change() as tx:
        plan = tx.get(Plan, plan_id)
        if plan is None or plan.state in _OVER or plan.state is PlanState.ASKING:
            tx.append(EXECUTOR, "run.not_needed", plan_id=plan_id)
            return None
        has_begun = has_written(plan, journal_of(tx, plan.id))
        approvals = tx.find(Approval, plan_id=plan.id)
        try:
            incident = incident_by_id(tx, plan.incident_id)
            if has_begun:
                # Who may stand behind it was settled before the first write; what it is must still be so.
                require_confirmed(plan, approvals, digest_of(plan))
            elif isinstance(roster, TwokeyError):
                raise roster
            else:
                require_runnable(plan, approvals, incident, roster, digest_of(plan), now=clock.now())
        except TwokeyError as refusal:
            state = PlanState.FAILED if has_begun else PlanState.VOIDED
            end(tx, plan, state, refusal.message, clock.now())
            return None
        return _acquire(tx, store, clock, plan)


def _acquire(tx: Transaction, store: Store, clock: Clock, plan: Plan) -> Run:
    """Raise the fence, so that an earlier worker writes nothing more; what it left open counts as unknown."""
    earlier, now = tx.get(Execution, plan.id), clock.now()
    fence = earlier.fence + 1 if earlier else 1
    tx.put(replace(earlier, fence=fence) if earlier else Execution(plan.id, plan.incident_id, now, fence))
    left_open = [row for row in journal_of(tx, plan.id).values() if row.state is StepState.STARTED]
    for row in left_open:
        tx.put(replace(row, state=StepState.UNKNOWN, fence=fence))
    running = replace(plan, state=PlanState.RUNNING)
    tx.put(running)
    entry = tx.append(
        EXECUTOR,
        "run.resumed" if earlier else "run.started",
        incident_id=plan.incident_id,
        plan_id=plan.id,
        data={"attempt": fence, "unknown": [row.step_id for row in left_open], "digest": plan.digest},
    )
    if not earlier:
        outbox.tell_thread(tx, entry, message("execution.started", plan=plan.short, title=plan.title))
    outbox.redraw_plan(tx, running, now)
    return Run(store, clock, running, fence)


def require_unchanged(run: Run, planner: Planner, library: Library) -> None:
    """Look at runbook and cloud once more; any difference from what was confirmed voids the approvals."""
    plan = run.plan
    try:
        if plan.undo_of:
            fresh = planner.observe_undo_again(plan)
        else:
            runbook = library.runbook(plan.runbook_id)
            with run.store.read() as look:
                incident = incident_by_id(look, plan.incident_id)
            fresh = planner.observe_again(plan, runbook, incident)
    except Unavailable as fault:
        # Nothing was begun: wait for the cloud, but no longer than the approvals are good for.
        with run.store.change() as tx:
            data = {"reason": str(fault)[:500]}
            run.held(tx)
            tx.append(EXECUTOR, "run.waits", incident_id=plan.incident_id, plan_id=plan.id, data=data)
        raise RetryAfter(min(2.0 * run.fence, 60.0), "execution.unavailable", step="-") from fault
    except TwokeyError as refusal:
        void(run, refusal.message)
    if fresh.digest != plan.digest:
        void(run, message("execution.observed_differs", what=_difference(plan, fresh)))
    _tell_what_differs(run, fresh)


def _tell_what_differs(run: Run, fresh: Plan) -> None:
    """Say what is different now and changes nothing of the effect: people see it, and the run goes on."""
    shown = run.plan.shown
    differs = sorted(name for name in {*shown, *fresh.shown} if shown.get(name) != fresh.shown.get(name))
    if not differs:
        return
    data: dict[str, Json] = {"steps": [*differs], "now": {name: fresh.shown.get(name) for name in differs}}
    with run.store.change() as tx:
        run.held(tx)
        ids = {"incident_id": run.plan.incident_id, "plan_id": run.plan.id}
        entry = tx.append(EXECUTOR, "run.shown_differs", **ids, data=data)
        what = message("execution.shown_differs", plan=run.plan.short, steps=", ".join(differs))
        outbox.tell_thread(tx, entry, what)


def require_guards_hold(run: Run, planner: Planner) -> None:
    """Ask the guards again right before the first write, and void the approvals unless they say what people saw."""
    # A no counts whatever a step says about its failures, and so does a yes for another reason.
    try:
        seen = planner.ask_guards(run.plan)
    except Unavailable:
        raise
    except TwokeyError as refusal:
        void(run, refusal.message)
    changed = [name for name, now in seen.items() if run.plan.observed.get(name) != now]
    if changed:
        void(run, message("execution.observed_differs", what=", ".join(changed)))


def _difference(before: Plan, after: Plan) -> str:
    """Name what is different between two plans that should be one, for people."""
    parts = [
        name
        for name in ("runbook_digest", "params", "provenance", "began", "steps", "guards", "touches", "blast")
        if getattr(before, name) != getattr(after, name)
    ]
    changed = {
        k for k in {*before.observed, *after.observed} if before.observed.get(k) != after.observed.get(k)
    }
    return ", ".join([*parts, *sorted(changed)]) or "digest"
