"""One look on record: what it changes, who is told, and which look is owed next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from twokey.core.audit import AuditEntry
from twokey.core.containments import (
    Answer,
    InForce,
    InForceState,
    after_look,
    is_worth_noting,
    next_reminder,
    review_of,
    wait_before_next,
)
from twokey.core.errors import Json, Message, message
from twokey.core.executions import StepRecord, StepState
from twokey.core.incidents import Incident, reopened
from twokey.core.jobs import watch_job
from twokey.core.people import system
from twokey.core.runbooks import Plan, PlanState
from twokey.flow import outbox
from twokey.flow.lookup import incident_by_id
from twokey.flow.register import IN_FORCE
from twokey.ports import Snapshot, Transaction

WATCH = system("watch")
_SOON = timedelta(seconds=1)
_NOT_BEGUN = (StepState.SKIPPED, StepState.WAITING)


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at a plan's containments comes to: each as it was and is, and when to look again."""

    plan: Plan
    incident: Incident
    rows: tuple[tuple[InForce, InForce], ...]
    is_review_due: bool
    wait: timedelta

    @property
    def is_worth_noting(self) -> bool:
        """Say whether any of it goes on record."""
        return self.is_review_due or any(is_worth_noting(*pair) for pair in self.rows)

    def became(self, state: InForceState) -> list[InForce]:
        """Return those whose state is this since the look."""
        return [now for before, now in self.rows if now.state is state is not before.state]


def watched(look: Snapshot, plan_id: str, number: str) -> list[InForce]:
    """Return what a look is to look at; nothing where all was undone, or another look is owed by now."""
    rows = look.find(InForce, plan_id=plan_id, state=IN_FORCE)
    return rows if all(str(row.look) == number for row in rows) else []


def judged(
    look: Snapshot,
    plan: Plan,
    rows: Sequence[InForce],
    answers: Mapping[str, Answer],
    now: datetime,
    review_after: timedelta,
) -> Look:
    """Hold the answers of a cloud against the register; what an undo is at work on is not judged."""
    incident = incident_by_id(look, plan.incident_id)
    is_open = incident.is_worked_on
    being_undone = _being_undone(look, plan)
    pairs = tuple(
        (row, row)
        if row.step_id in being_undone or row.id not in answers
        else (row, after_look(row, answers[row.id], now, is_open=is_open))
        for row in rows
    )
    quiet_since = max(row.changed_at or row.since for _, row in pairs)
    if not is_open and incident.times.resolved:
        quiet_since = max(quiet_since, incident.times.resolved)
    is_unsure = any(answer.holds is None for answer in answers.values())
    wait = wait_before_next(now if is_unsure else quiet_since, now, is_open=is_open)
    remind_at = min(next_reminder(row, review_after) for row in rows)
    is_due = remind_at <= now
    if not is_due:
        wait = max(_SOON, min(wait, remind_at - now))
    return Look(plan, incident, pairs, is_due, wait)


def note(tx: Transaction, look: Look, now: datetime, review_after: timedelta) -> None:
    """Write a look down, tell people what is new, and owe the next one."""
    rows = [after for _, after in look.rows]
    if drifted := look.became(InForceState.DRIFTED):
        _drifted(tx, look, drifted, {before.id: before for before, _ in look.rows}, now)
    if unseen := look.became(InForceState.UNSEEN):
        _write(tx, look, "containment.unseen", unseen, message("watch.unseen", **_named(look.plan)))
    back = look.became(InForceState.IN_FORCE)
    if back:
        _write(
            tx, look, "containment.back", back, message("watch.back", **_named(look.plan)), is_private=False
        )
    if look.is_review_due:
        rows = [replace(row, reminded=row.reminded + 1) for row in rows]
        _review_due(tx, look, rows, review_after)
    if not (drifted or unseen or back or look.is_review_due):
        _log(tx, look, "containment.seen", rows)
    number = tx.head()[0]
    for row in rows:
        tx.put(replace(row, look=number))
    tx.enqueue(watch_job(look.plan.id, number, now + look.wait))


def _drifted(
    tx: Transaction, look: Look, rows: list[InForce], before: Mapping[str, InForce], now: datetime
) -> None:
    """Open the incident again and tell everybody whom it concerns.

    Where an incident was over before anybody watched (an earlier version's), only its thread is told: what was
    taken away by hand since, long ago, is no news.
    """
    is_news = look.incident.is_open or any(before[row.id].last_seen for row in rows)
    incident = reopened(look.incident) if is_news else look.incident
    told = [message("watch.drifted" if is_news else "watch.gone_before", **_named(look.plan))]
    if incident is not look.incident:
        tx.put(incident)
        told.append(message("watch.reopened", incident=incident.id, before=look.incident.state.value))
    data: dict[str, Json] = {"state": incident.state.value, "before": look.incident.state.value}
    _write(tx, look, "containment.drifted", rows, *told, data=data, is_private=is_news, broadcast=is_news)
    outbox.redraw_card(tx, incident, now)


def _review_due(tx: Transaction, look: Look, rows: list[InForce], review_after: timedelta) -> None:
    first = rows[0]
    entry = _log(tx, look, "containment.review_due", rows, {"reminded": first.reminded, "owner": first.owner})
    due = message(
        "watch.review_due",
        **_named(look.plan),
        what=first.what,
        since=f"{first.since:%Y-%m-%d}",
        review=f"{review_of(first, review_after):%Y-%m-%d}",
    )
    outbox.tell_thread(tx, entry, due, plan_id=look.plan.id)
    outbox.tell_person(tx, entry, first.owner, [due], look.plan.id)


def _write(
    tx: Transaction,
    look: Look,
    action: str,
    rows: list[InForce],
    *told: Message,
    data: Mapping[str, Json] | None = None,
    is_private: bool = True,
    broadcast: bool = True,
) -> None:
    """Write one entry and tell it in the thread and channel, and each person whom it concerns."""
    entry = _log(tx, look, action, rows, data)
    each = [
        message("watch.step_reason", step=row.step_id, what=row.what, why=row.reason)
        for row in rows
        if row.reason is not None
    ]
    outbox.tell_thread(tx, entry, *told, *each, broadcast=broadcast, plan_id=look.plan.id)
    people = (rows[0].owner, look.incident.commander, look.plan.requester, *rows[0].people)
    for person in dict.fromkeys(people) if is_private else ():
        if person:
            outbox.tell_person(tx, entry, person, [*told, *each], look.plan.id)


def _log(
    tx: Transaction, look: Look, action: str, rows: Sequence[InForce], data: Mapping[str, Json] | None = None
) -> AuditEntry:
    said: dict[str, Json] = {"steps": [row.step_id for row in rows], **(data or {})}
    if reason := rows[0].reason:
        said |= {"code": reason.code, **reason.params}
    return tx.append(WATCH, action, incident_id=look.incident.id, plan_id=look.plan.id, data=said)


def _named(plan: Plan) -> dict[str, str]:
    return {"title": plan.title, "plan": plan.short}


def _being_undone(look: Snapshot, plan: Plan) -> frozenset[str]:
    """Return the steps that a running undo has begun to take back: they do not hold, and that is wanted."""
    running = (PlanState.RUNNING, PlanState.ASKING)
    undos = [
        one for one in look.find(Plan, incident_id=plan.incident_id, state=running) if one.undo_of == plan.id
    ]
    begun = [
        row for undo in undos for row in look.find(StepRecord, plan_id=undo.id) if row.state not in _NOT_BEGUN
    ]
    return frozenset(row.step_id.removeprefix("undo-") for row in begun)
