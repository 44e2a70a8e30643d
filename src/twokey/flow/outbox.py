"""Telling people: every message is an outbox row, written in the transaction of the change it tells of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from twokey.core.audit import AuditEntry
from twokey.core.errors import Message
from twokey.core.incidents import Incident
from twokey.core.notices import Notice, NoticeKind, NoticeState
from twokey.core.runbooks import Plan
from twokey.ports import Snapshot, Transaction


def redraw_card(tx: Transaction, incident: Incident, now: datetime) -> None:
    """Owe the incident's card: the first time a post, later an update of the same message."""
    _redraw(tx, Notice(f"card:{incident.id}", NoticeKind.CARD, now, incident_id=incident.id))


def redraw_plan(tx: Transaction, plan: Plan, now: datetime) -> None:
    """Owe the plan's approval card in the thread."""
    notice_id = f"approval:{plan.id}"
    _redraw(tx, Notice(notice_id, NoticeKind.APPROVAL, now, incident_id=plan.incident_id, plan_id=plan.id))


def send_file(tx: Transaction, plan: Plan, now: datetime) -> None:
    """Owe the thread the whole plan as a file, whose SHA-256 is the digest that people confirm."""
    tx.put(
        Notice(
            f"file:{plan.id}",
            NoticeKind.FILE,
            now,
            incident_id=plan.incident_id,
            plan_id=plan.id,
            order=tx.next_number("notice"),
        )
    )


def file_state(look: Snapshot, plan_id: str) -> NoticeState | None:
    """Say how far the file of a plan is on its way; a plan from before there were files has none."""
    notice = look.get(Notice, f"file:{plan_id}")
    return notice.state if notice else None


def tell_thread(
    tx: Transaction,
    entry: AuditEntry,
    *messages: Message,
    broadcast: bool = False,
    plan_id: str = "",
) -> None:
    """Owe a thread message about a change; it carries the audit entry's number and hash to the outside."""
    # Told twice about one change, people get one message that says both.
    notice_id = f"thread:{entry.incident_id}:{entry.seq}"
    earlier = tx.get(Notice, notice_id)
    loud = broadcast or (earlier is not None and earlier.kind is NoticeKind.BROADCAST)
    tx.put(
        Notice(
            notice_id,
            NoticeKind.BROADCAST if loud else NoticeKind.THREAD,
            entry.at,
            incident_id=entry.incident_id,
            plan_id=plan_id or (earlier.plan_id if earlier else ""),
            messages=(*(earlier.messages if earlier else ()), *messages),
            order=earlier.order if earlier else tx.next_number("notice"),
            context={"audit_seq": str(entry.seq), "audit_hash": entry.hash},
        )
    )


def tell_person(
    tx: Transaction, entry: AuditEntry, person_id: str, messages: Sequence[Message], plan_id: str = ""
) -> None:
    """Owe one person a private message."""
    tx.put(
        Notice(
            f"private:{person_id}:{entry.seq}",
            NoticeKind.PRIVATE,
            entry.at,
            incident_id=entry.incident_id,
            plan_id=plan_id,
            messages=tuple(messages),
            person_id=person_id,
            order=tx.next_number("notice"),
        )
    )


def tell_unreadable(tx: Transaction, raw_id: str, reason: Message, now: datetime) -> None:
    """Owe the channel the news that a notification came which could not be understood."""
    tx.put(
        Notice(
            f"unreadable:{raw_id}",
            NoticeKind.UNREADABLE,
            now,
            messages=(reason,),
            order=tx.next_number("notice"),
            context={"raw_id": raw_id},
        )
    )


def tell_duty(tx: Transaction, name: str, notice: Message, now: datetime, *, elsewhere: bool = False) -> None:
    """Owe whoever is on duty a message in the channel, or elsewhere where that cannot be written; once a name."""
    _tell_once(tx, name, notice, now, {"elsewhere": "yes"} if elsewhere else {})


def tell_security(tx: Transaction, name: str, notice: Message, now: datetime) -> None:
    """Owe whoever minds security a message in their channel; once a name."""
    _tell_once(tx, name, notice, now, {"security": "yes"})


def is_duty_told(look: Snapshot, name: str) -> bool:
    """Say whether this was told, or is owed."""
    return look.get(Notice, f"duty:{name}") is not None


def _tell_once(
    tx: Transaction, name: str, notice: Message, now: datetime, context: Mapping[str, str]
) -> None:
    if not is_duty_told(tx, name):
        tx.put(
            Notice(
                f"duty:{name}",
                NoticeKind.DUTY,
                now,
                messages=(notice,),
                order=tx.next_number("notice"),
                context=context,
            )
        )


def _redraw(tx: Transaction, fresh: Notice) -> None:
    # `attempts` and `sent_as` stay: the sender must know what may have been posted already.
    notice = tx.get(Notice, fresh.id) or fresh
    if notice.state is NoticeState.PENDING and notice.order:
        return  # an update that is still owed will show this change too
    tx.put(replace(notice, state=NoticeState.PENDING, order=tx.next_number("notice"), not_before=None))
