"""Where nothing may act: looked at before a key is turned, before a run begins, and before each of its writes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from twokey.core.approvals import Approval, expires_after_s
from twokey.core.errors import Json, Message, Refused, RetryAfter, message
from twokey.core.executions import Execution
from twokey.core.runbooks import Plan, PlanState, Step
from twokey.core.stops import Limits, Stop, StopKind, begun, holds_back, is_counted, stop_id
from twokey.flow import outbox
from twokey.flow.execution.journal import EXECUTOR, Run
from twokey.flow.execution.outcomes import RunOver, ask
from twokey.flow.plans import move, owe_run
from twokey.ports import Snapshot, Transaction

_LOOKED_AT = 10  # times the limit: among that many of the newest runs the counted ones are looked for
_ASK_AGAIN_S = 15.0


def stop_over(look: Snapshot, plan: Plan, counts: Callable[[Stop], bool]) -> Stop | None:
    """Return the stop that counts for a plan: the whole installation's, or its account's."""
    ids = dict.fromkeys((stop_id(""), stop_id(plan.target.account)))
    there = (look.get(Stop, one) for one in ids)
    return next((stop for stop in there if stop and counts(stop)), None)


def is_switched_off(stop: Stop) -> bool:
    """Say whether somebody stopped all acting there."""
    return stop.kind is StopKind.SWITCH and not stop.is_lifted


def require_not_stopped(look: Snapshot, plan: Plan) -> None:
    """Refuse a key where somebody stopped all acting."""
    if stop := stop_over(look, plan, is_switched_off):
        raise Refused("refused.stopped", where=stop.where, reason=stop.reason)


def require_may_begin(look: Snapshot, plan: Plan) -> None:
    """Refuse a plan of one person where its run could not begin: nobody lines up alone before a breaker."""
    require_not_stopped(look, plan)
    if stop := stop_over(look, plan, lambda stop: holds_back(stop, plan)):
        raise Refused("refused.breaker_open", where=stop.where)


def is_held_back(tx: Transaction, plan: Plan, limits: Limits, now: datetime) -> bool:
    """Leave a plan approved whose run may not begin, and tell it once; open the breaker where too many began.

    This is called in the change that would begin the run, and changes come one after the other: two workers
    cannot both take the last place. What cannot be counted raises, and nothing begins.
    """
    if tx.get(Execution, plan.id):
        return False  # under way: what it may still do is asked before each write
    stop = stop_over(tx, plan, lambda stop: holds_back(stop, plan)) or _opened(tx, plan, limits, now)
    if stop is None:
        return False
    until = _end_of_keys(tx, plan)
    why = _held(stop)
    if (
        plan.reason == why
    ):  # told before, and asked again too early: by a clock that went back, or after a crash
        raise RetryAfter(min(_ASK_AGAIN_S, max(0.0, (until - now).total_seconds())))
    waiting = replace(plan, reason=why)
    data: dict[str, Json] = {"where": stop.where, "kind": stop.kind.value, "stop": stop.seq}
    move(tx, waiting, EXECUTOR, "run.held", why, now=now, data=data)
    # Nothing waits in the line of the incident's runs meanwhile: an undo must get through. Whoever lifts the
    # stop owes the run again, and the keys' end ends the plan.
    owe_run(tx, plan, again="keys-end", not_before=until)
    return True


def was_held_back(plan: Plan) -> bool:
    """Say whether a plan has its keys and waits for a stop to be lifted."""
    return plan.state is PlanState.APPROVED and plan.reason is not None and plan.reason.code in _HELD


def require_going_on(run: Run, step: Step) -> None:
    """Park a run before its next write, and ask people, where somebody stopped all acting since it began."""
    with run.store.read() as look:
        if stop_over(look, run.plan, is_switched_off) is None:
            return
    with run.store.change() as tx:
        plan = run.held(tx)
        stop = stop_over(tx, plan, is_switched_off)
        if stop is None:
            return
        why = message(
            "execution.parked_by_stop", where=stop.where, reason=stop.reason, step=step.id, audit=stop.seq
        )
        data: dict[str, Json] = {"step": step.id, "where": stop.where, "stop": stop.seq}
        ask(tx, plan, "run.parked", why, now=run.now(), data=data, broadcast=True)
    raise RunOver


_HELD = ("execution.held_by_stop", "execution.held_by_breaker")


def _held(stop: Stop) -> Message:
    if stop.kind is StopKind.BREAKER:
        return message("execution.held_by_breaker", where=stop.where, audit=stop.seq)
    return message("execution.held_by_stop", where=stop.where, reason=stop.reason, audit=stop.seq)


def _opened(tx: Transaction, plan: Plan, limits: Limits, now: datetime) -> Stop | None:
    """Open the breaker, for everybody to hear, where one more run would be one too many."""
    if not is_counted(plan):
        return None
    most_of = {"": limits.everywhere} | (
        {plan.target.account: limits.in_account} if plan.target.account else {}
    )
    runs = tx.find(Execution, newest_first=True, limit=_LOOKED_AT * max(most_of.values()))
    for account, most in most_of.items():
        before = tx.get(Stop, stop_id(account))
        counts_from = before.counts_from if before else 0
        count = begun(runs, account, limits, counts_from, now)
        if count >= most:
            minutes = round(limits.within_s / 60, 1)
            where = Stop("", account, now).where
            entry = tx.append(
                EXECUTOR,
                "breaker.opened",
                incident_id=plan.incident_id,
                plan_id=plan.id,
                data={"where": where, "runs": count, "most": most, "minutes": minutes},
            )
            stop = Stop(
                stop_id(account), account, now, StopKind.BREAKER, seq=entry.seq, counts_from=counts_from
            )
            tx.put(stop)
            opened = message(
                "stops.breaker_opened",
                where=where,
                runs=count,
                minutes=f"{minutes:g}",
                plan=plan.short,
                place=where,
            )
            outbox.tell_security(tx, f"stop:{entry.seq}", opened, now)
            return stop
    return None


def _end_of_keys(look: Snapshot, plan: Plan) -> datetime:
    newest = max(one.at for one in look.find(Approval, plan_id=plan.id) if one.role != "confirmation")
    return newest + timedelta(seconds=expires_after_s(plan))
