"""The outcomes of steps and runs: tried again later, given up, parked, voided, finished; and who is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import NoReturn

from twokey.core.approvals import expires_after_s, is_asking_over
from twokey.core.errors import Json, Message, RetryAfter, Unavailable, message
from twokey.core.executions import (
    Execution,
    StepRecord,
    StepState,
    left_undone,
    record_id,
    verified_writes,
)
from twokey.core.people import Actor
from twokey.core.runbooks import OnFailure, Plan, PlanState, Step
from twokey.flow import outbox
from twokey.flow.execution.journal import EXECUTOR, Run, journal_of
from twokey.flow.execution.remains import dependents_in, mark_contained, what_stands
from twokey.flow.plans import move, owe_end_of_asking
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
    raise RetryAfter(wait, "execution.unavailable", step=step.id)


def give_up(run: Run, step: Step, reason: Message) -> bool:
    """Do as the runbook says with a step that failed for good; True when the run goes on without it."""
    with run.store.change() as tx:
        plan, now = run.held(tx), run.now()
        row = tx.get(StepRecord, record_id(plan.id, step.id)) or run.row(step, StepState.STARTED, {})
        # A step whose outcome is unknown stays unknown: only a read or a person can settle it. One that
        # was answered but not seen to work stays done: what it changed must be in the undo.
        stays = row.state in (StepState.UNKNOWN, StepState.DONE)
        state = row.state if stays else StepState.FAILED
        may_be_missing = step.on_failure is OnFailure.CONTINUE and not dependents_in(tx, plan, step)
        goes_on = may_be_missing and state is not StepState.UNKNOWN
        # What later steps need is never passed over, whatever the runbook says about its failure.
        asks = step.on_failure in (OnFailure.ASK, OnFailure.CONTINUE) or state is StepState.UNKNOWN
        tx.put(replace(row, state=state, error=reason, passed_over=goes_on, ended_at=now))
        data = {"step": step.id, "code": reason.code, **reason.params}
        if goes_on:
            passed_over = message("execution.step_passed_over", step=step.id, action=step.action)
            entry = tx.append(
                EXECUTOR, "step.failed", incident_id=plan.incident_id, plan_id=plan.id, data=data
            )
            outbox.tell_thread(tx, entry, passed_over, reason, plan_id=plan.id)
        elif asks:
            question = message("execution.step_asks", step=step.id, action=step.action)
            ask(tx, plan, "step.failed", question, reason, now=now, data=data)
        else:
            ended = replace(plan, state=PlanState.FAILED, reason=reason)
            why = [message("execution.step_failed", step=step.id, action=step.action), reason]
            if step.on_failure is OnFailure.ROLLBACK:
                why.append(message("execution.undo_offered", plan=plan.short))
            move(tx, ended, EXECUTOR, "step.failed", *why, now=now, data=data)
            _close(tx, plan, now)
    return goes_on


def park_run(store: Store, clock: Clock, plan_id: str, fault: str) -> None:
    """Stop a run that the engine gave up on, and ask a person."""
    data = {"fault": fault[:500]}
    with store.change() as tx:
        plan = tx.get(Plan, plan_id)
        if plan and plan.state in (PlanState.APPROVED, PlanState.RUNNING):
            why = message("execution.parked", fault=fault[:200])
            ask(tx, plan, "run.parked", why, now=clock.now(), data=data)
        else:
            incident_id = plan.incident_id if plan else ""
            tx.append(EXECUTOR, "run.parked", incident_id=incident_id, plan_id=plan_id, data=data)


def ask(
    tx: Transaction,
    plan: Plan,
    action: str,
    *said: Message,
    now: datetime,
    data: Mapping[str, Json],
    broadcast: bool = False,
) -> None:
    """Stop a run and ask people, for as long as its plan would have waited for its keys."""
    until = now + timedelta(seconds=expires_after_s(plan))
    asking = replace(plan, state=PlanState.ASKING, reason=said[-1], asking_until=until)
    move(tx, asking, EXECUTOR, action, *said, now=now, data=data, broadcast=broadcast)
    owe_end_of_asking(tx, asking)


def end_unanswered(tx: Transaction, plan: Plan, now: datetime) -> None:
    """End a run that asked and that nobody answered; what it left out needs a plan of its own."""
    if plan.asking_until and now < plan.asking_until:
        # Asked too early, by a clock that is ahead, or about a question that was answered since.
        raise RetryAfter((plan.asking_until - now).total_seconds(), plan=plan.short)
    if is_asking_over(plan, now):
        why = message("execution.asking_ended", plan=plan.short)
        stop(tx, plan, why, now=now)


def stop(
    tx: Transaction,
    plan: Plan,
    why: Message,
    *,
    now: datetime,
    actor: Actor = EXECUTOR,
    data: Mapping[str, Json] | None = None,
) -> Plan:
    """End a run in the middle, and say loudly what it did and what it did not."""
    stands = what_stands(plan, journal_of(tx, plan.id))
    ended = message("execution.failed", plan=plan.short, title=plan.title)
    failed = replace(plan, state=PlanState.FAILED, reason=why, asking_until=None)
    mark_contained(tx, failed, now)
    data = data or {"code": why.code, **why.params}
    move(tx, failed, actor, "failed", ended, why, stands, now=now, data=data, broadcast=True)
    _close(tx, plan, now)
    return failed


def stop_run(run: Run, why: Message) -> NoReturn:
    """End a run that may not write any more, for what is so now."""
    with run.store.change() as tx:
        stop(tx, run.held(tx), why, now=run.now())
    raise RunOver


def ask_in_run(run: Run, why: Message) -> NoReturn:
    """Stop a run and ask people, because nobody can tell whether it may go on."""
    with run.store.change() as tx:
        ask(tx, run.held(tx), "run.parked", why, now=run.now(), data={"code": why.code, **why.params})
    raise RunOver


def void(run: Run, why: Message) -> NoReturn:
    """Take the approvals back before anything was touched, and end this run."""
    with run.store.change() as tx:
        end(tx, run.held(tx), PlanState.VOIDED, why, run.now())
    raise RunOver


def end(tx: Transaction, plan: Plan, state: PlanState, why: Message, now: datetime) -> None:
    """End a plan that may not run, and say why."""
    ended = replace(plan, state=state, reason=why)
    outcome = message(f"execution.{state.value}", plan=plan.short, title=plan.title)
    data = {"code": why.code, **why.params}
    move(tx, ended, EXECUTOR, state.value, outcome, why, now=now, data=data)
    _close(tx, plan, now)


def finish(run: Run) -> None:
    """End a run all of whose steps are over: the incident is contained, or an earlier plan is undone."""
    now = run.now()
    with run.store.change() as tx:
        plan = run.held(tx)
        _close(tx, plan, now)
        journal = journal_of(tx, plan.id)
        left = left_undone(plan, journal)
        for step in verified_writes(plan, journal) if plan.undo_of else ():
            undone = tx.get(StepRecord, record_id(plan.undo_of, step.id.removeprefix("undo-")))
            if undone:
                tx.put(replace(undone, state=StepState.UNDONE))
        incident = mark_contained(tx, plan, now)
        code = "execution.undone" if plan.undo_of else "execution.done"
        outcome = [message(f"{code}_partly" if left else code, plan=plan.short, title=plan.title)]
        without = [step.id for step in plan.steps if step.id in journal and journal[step.id].passed_over]
        if without:
            outcome.append(message("execution.done_without", steps=", ".join(without)))
        stands = what_stands(plan, journal) if left else None
        done = replace(plan, state=PlanState.DONE, reason=stands)
        said = [*outcome, stands] if stands else outcome
        move(tx, done, EXECUTOR, "run.done", *said, now=now, broadcast=True)
        outbox.redraw_card(tx, incident, now)


def _close(tx: Transaction, plan: Plan, now: datetime) -> None:
    if execution := tx.get(Execution, plan.id):
        tx.put(replace(execution, ended_at=now))
