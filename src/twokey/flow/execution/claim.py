"""Claim a run: may it begin, or go on, right now? Approvals, runbook, cloud and guards are checked once more."""

from __future__ import annotations

from dataclasses import replace

from twokey.core.approvals import Approval, require_confirmed, require_runnable, require_still_held
from twokey.core.errors import Json, Refused, RetryAfter, TwokeyError, Unavailable, message
from twokey.core.executions import Execution, StepState, has_written
from twokey.core.passkeys import require_signed
from twokey.core.people import Roster
from twokey.core.runbooks import Plan, PlanState, digest_of
from twokey.core.stops import Limits, is_counted
from twokey.flow import outbox
from twokey.flow.execution.journal import EXECUTOR, Run, journal_of
from twokey.flow.execution.outcomes import RunOver, ask_in_run, end, stop_run, void
from twokey.flow.execution.stops import is_held_back, was_held_back
from twokey.flow.execution.undone import require_undo_follows, run_undone
from twokey.flow.lookup import incident_by_id
from twokey.flow.planning.planner import Planner
from twokey.ports import Clock, Library, Passkeys, Rosters, Store, Transaction

_OVER = (
    PlanState.DONE,
    PlanState.FAILED,
    PlanState.VOIDED,
    PlanState.REFUSED,
    PlanState.WITHDRAWN,
    PlanState.EXPIRED,
)


def claim(
    store: Store, clock: Clock, rosters: Rosters, limits: Limits, passkeys: Passkeys, plan_id: str
) -> Run | None:
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
                # What is on its way is found out by reads first; before it writes again, all is asked again.
                require_confirmed(plan, approvals, digest_of(plan))
            elif isinstance(roster, TwokeyError):
                raise roster
            else:
                require_runnable(plan, approvals, incident, roster, digest_of(plan), now=clock.now())
                require_signed(plan, approvals, roster, passkeys.signs)
        except TwokeyError as refusal:
            state = PlanState.FAILED if has_begun else PlanState.VOIDED
            end(tx, plan, state, refusal.message, clock.now())
            return None
        if is_held_back(tx, plan, limits, clock.now()):
            return None
        return replace(_acquire(tx, store, clock, plan, roster), is_resumed=has_begun)


def _acquire(tx: Transaction, store: Store, clock: Clock, plan: Plan, roster: Roster | TwokeyError) -> Run:
    """Raise the fence, so that an earlier worker writes nothing more; what it left open counts as unknown."""
    earlier, now = tx.get(Execution, plan.id), clock.now()
    fence = earlier.fence + 1 if earlier else 1
    begins = Execution(
        plan.id, plan.incident_id, now, account=plan.target.account, is_counted=is_counted(plan)
    )
    execution = replace(earlier, fence=fence) if earlier else begins
    left_open = [row for row in journal_of(tx, plan.id).values() if row.state is StepState.STARTED]
    for row in left_open:
        tx.put(replace(row, state=StepState.UNKNOWN, fence=fence))
    running = replace(plan, state=PlanState.RUNNING, reason=None if was_held_back(plan) else plan.reason)
    tx.put(running)
    entry = tx.append(
        EXECUTOR,
        "run.resumed" if earlier else "run.started",
        incident_id=plan.incident_id,
        plan_id=plan.id,
        data={
            "attempt": fence,
            "unknown": [row.step_id for row in left_open],
            "digest": plan.digest,
            "account": plan.target.account,
            "contains": is_counted(plan),
            "roster": roster.digest if isinstance(roster, Roster) else "",
        },
    )
    if not execution.head:
        execution = replace(execution, head_seq=entry.seq, head=entry.hash)
    tx.put(execution)
    if not earlier:
        outbox.tell_thread(tx, entry, message("execution.started", plan=plan.short, title=plan.title))
    outbox.redraw_plan(tx, running, now)
    return Run(store, clock, running, fence, (execution.head_seq, execution.head))


def require_unchanged(run: Run, planner: Planner, library: Library) -> None:
    """Look at runbook and cloud once more; any difference from what was confirmed voids the approvals."""
    plan = run.plan
    try:
        if plan.undo_of:
            with run.store.read() as look:
                undone, journal = run_undone(look, plan)
            fresh = planner.observe_undo_again(plan, undone, journal)
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


def require_undo_goes_on(run: Run, planner: Planner) -> None:
    """End an undo that has begun, and whose row is no longer what the run that it takes back leads to."""
    try:
        with run.store.read() as look:
            require_undo_follows(look, planner, run.plan)
    except TwokeyError as refusal:
        with run.store.change() as tx:
            end(tx, run.held(tx), PlanState.FAILED, refusal.message, run.now())
        raise RunOver from refusal


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


def require_may_go_on(
    run: Run, planner: Planner, library: Library, rosters: Rosters, passkeys: Passkeys
) -> None:
    """Ask again before a run that was taken up after its first write writes more: keys, incident, runbook, guards.

    What is no more so ends it. A roster that cannot be read says nothing about anybody: then people are asked.
    What its own writes have changed is not compared with what was confirmed.
    """
    try:
        roster = rosters.current()
    except TwokeyError as fault:
        ask_in_run(run, fault.message)
    with run.store.read() as look:
        plan = run.held(look)
        approvals = look.find(Approval, plan_id=plan.id)
        incident = incident_by_id(look, plan.incident_id)
    try:
        require_still_held(plan, approvals, incident, roster, digest_of(plan))
        require_signed(plan, approvals, roster, passkeys.signs)
        if not plan.undo_of and library.runbook(plan.runbook_id).digest != plan.runbook_digest:
            raise Refused("refused.runbook_differs", runbook=plan.runbook_id, plan=plan.short)
        planner.ask_guards(plan)
    except Unavailable:
        raise
    except TwokeyError as refusal:
        stop_run(run, refusal.message)


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
