"""How steps and runs end: tried again later, given up, parked, voided, finished; and who is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import NoReturn

from twokey.core.errors import Later, Message, Unavailable, message
from twokey.core.executions import Execution, StepRecord, StepState, record_id
from twokey.core.incidents import Incident, State
from twokey.core.runbooks import OnFailure, Plan, PlanState, Step
from twokey.flow import outbox
from twokey.flow.execution.journal import EXECUTOR, Run, journal_of
from twokey.flow.lookup import incident_by_id
from twokey.ports import Clock, Store, Transaction

_TRIES = 5  # at least, where the cloud does not answer
_LONGEST_WAIT_S = 300.0


class RunOver(Exception):
    """The run was ended just now, and the record says why."""


def try_later(run: Run, step: Step, fault: Unavailable) -> bool:
    """Wait for a cloud that did not answer: what was sent may have arrived, so the next attempt reads first."""
    row = run.journal().get(step.id) or replace(run.row(step, StepState.WAITING, {}), attempt=0)
    # Evidence that may be missing does not hold up a containment. What the rest needs is asked for again,
    # and an effect of unknown outcome must be found out.
    may_be_missing = not step.effect.is_write and step.on_failure is OnFailure.CONTINUE
    tries = step.retry.max_attempts if may_be_missing else max(step.retry.max_attempts, _TRIES)
    if row.attempt + may_be_missing >= tries:
        return give_up(run, step, fault.message)
    unsure = row.state in (StepState.STARTED, StepState.UNKNOWN)
    state = StepState.UNKNOWN if unsure else row.state
    waiting = replace(row, state=state, attempt=row.attempt + 1, error=fault.message, fence=run.fence)
    run.write(waiting, "step.unavailable", {"reason": str(fault), "attempt": waiting.attempt})
    wait = min(step.retry.backoff_s * 2 ** min(row.attempt, 10), _LONGEST_WAIT_S)
    raise Later(wait, "execution.unavailable", step=step.id)


def give_up(run: Run, step: Step, reason: Message) -> bool:
    """Do as the runbook says with a step that failed for good; True when the run goes on without it."""
    with run.store.change() as tx:
        plan = run.held(tx)
        row = tx.get(StepRecord, record_id(plan.id, step.id)) or run.row(step, StepState.STARTED, {})
        # A step whose outcome is unknown stays unknown: only a read or a person can settle it. One that
        # was answered but not seen to work stays done: what it changed must be in the undo.
        stays = row.state in (StepState.UNKNOWN, StepState.DONE)
        state = row.state if stays else StepState.FAILED
        goes_on = step.on_failure is OnFailure.CONTINUE and state is not StepState.UNKNOWN
        asks = step.on_failure is OnFailure.ASK or state is StepState.UNKNOWN
        tx.put(replace(row, state=state, error=reason, passed_over=goes_on, ended_at=run.now()))
        entry = tx.append(
            EXECUTOR,
            "step.failed",
            incident_id=plan.incident_id,
            plan_id=plan.id,
            data={"step": step.id, "code": reason.code, **reason.params},
        )
        said = _said(step, reason, plan, goes_on=goes_on, asks=asks)
        outbox.tell_thread(tx, entry, *said, plan_id=plan.id)
        if not goes_on:
            after = replace(plan, state=PlanState.ASKING if asks else PlanState.FAILED, reason=reason)
            tx.put(after)
            if not asks:
                _close(tx, plan, run.now())
            outbox.redraw_plan(tx, after, run.now())
    return goes_on


def _said(step: Step, reason: Message, plan: Plan, *, goes_on: bool, asks: bool) -> list[Message]:
    if goes_on:
        return [message("execution.step_passed_over", step=step.id, action=step.action), reason]
    if asks:
        return [message("execution.step_asks", step=step.id, action=step.action), reason]
    told = [message("execution.step_failed", step=step.id, action=step.action), reason]
    if step.on_failure is OnFailure.ROLLBACK:
        told.append(message("execution.undo_offered", plan=plan.short))
    return told


def park_run(store: Store, clock: Clock, plan_id: str, fault: str) -> None:
    """Stop a run that the engine gave up on, and ask a person."""
    with store.change() as tx:
        plan = tx.get(Plan, plan_id)
        entry = tx.append(
            EXECUTOR,
            "run.parked",
            incident_id=plan.incident_id if plan else "",
            plan_id=plan_id,
            data={"fault": fault[:500]},
        )
        if plan and plan.state in (PlanState.APPROVED, PlanState.RUNNING):
            said = message("execution.parked", fault=fault[:200])
            asking = replace(plan, state=PlanState.ASKING, reason=said)
            tx.put(asking)
            outbox.tell_thread(tx, entry, said, plan_id=plan.id)
            outbox.redraw_plan(tx, asking, clock.now())


def void(run: Run, why: Message) -> NoReturn:
    """Take the keys back before anything was touched, and end this run."""
    with run.store.change() as tx:
        end(tx, run.held(tx), PlanState.VOIDED, why, run.now())
    raise RunOver


def end(tx: Transaction, plan: Plan, state: PlanState, why: Message, now: datetime) -> None:
    """End a plan that may not run, and say why."""
    ended = replace(plan, state=state, reason=why)
    tx.put(ended)
    entry = tx.append(
        EXECUTOR,
        state.value,
        incident_id=plan.incident_id,
        plan_id=plan.id,
        data={"code": why.code, **why.params},
    )
    _close(tx, plan, now)
    said = message(f"execution.{state.value}", plan=plan.short, title=plan.title)
    outbox.tell_thread(tx, entry, said, why, plan_id=plan.id)
    outbox.redraw_plan(tx, ended, now)


def finish(run: Run) -> None:
    """End a run all of whose steps are over: the incident is contained, or an earlier plan is undone."""
    now = run.now()
    with run.store.change() as tx:
        plan = run.held(tx)
        incident = incident_by_id(tx, plan.incident_id)
        done = replace(plan, state=PlanState.DONE)
        tx.put(done)
        _close(tx, plan, now)
        journal = journal_of(tx, plan.id)
        if plan.undo_of:
            _mark_undone(tx, plan, journal)
        elif any(_is(journal.get(step.id), StepState.VERIFIED) for step in plan.writes):
            incident = _contained(incident, now)
            tx.put(incident)
        entry = tx.append(EXECUTOR, "run.done", incident_id=incident.id, plan_id=plan.id)
        said = "execution.undone" if plan.undo_of else "execution.done"
        told = [message(said, plan=plan.short, title=plan.title)]
        if without := [step.id for step in plan.steps if _is_passed_over(journal.get(step.id))]:
            told.append(message("execution.done_without", steps=", ".join(without)))
        outbox.tell_thread(tx, entry, *told, broadcast=True, plan_id=plan.id)
        outbox.redraw_plan(tx, done, now)
        outbox.redraw_card(tx, incident, now)


def _contained(incident: Incident, now: datetime) -> Incident:
    is_early = incident.state in (State.TRIAGE, State.INVESTIGATING)
    times = replace(incident.times, contained=incident.times.contained or now)
    return replace(incident, state=State.CONTAINED if is_early else incident.state, times=times)


def _mark_undone(tx: Transaction, plan: Plan, journal: Mapping[str, StepRecord]) -> None:
    for step in plan.writes:
        row = tx.get(StepRecord, record_id(plan.undo_of, step.id.removeprefix("undo-")))
        if row and _is(journal.get(step.id), StepState.VERIFIED):
            tx.put(replace(row, state=StepState.UNDONE))


def _close(tx: Transaction, plan: Plan, now: datetime) -> None:
    if execution := tx.get(Execution, plan.id):
        tx.put(replace(execution, ended_at=now))


def _is(row: StepRecord | None, state: StepState) -> bool:
    return row is not None and row.state is state


def _is_passed_over(row: StepRecord | None) -> bool:
    return row is not None and row.passed_over
