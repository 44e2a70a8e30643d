"""What people must be told: one outbox row a message, written with the change that it tells of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from twokey.core.errors import Message


class NoticeKind(StrEnum):
    """Where a message goes; what it looks like is the chat's own affair."""

    CARD = "card"  # the incident's one card: posted once, then updated in place
    THREAD = "thread"  # into the incident's thread
    FILE = "file"  # the whole plan as a file, into the thread
    APPROVAL = "approval"  # a plan's approval card in the thread: posted once, then updated in place
    BROADCAST = "broadcast"  # into the thread and the channel
    PRIVATE = "private"  # to one person only
    UNREADABLE = "unreadable"  # a notification that could not be understood
    DUTY = "duty"  # to whoever is on duty: something about twokey itself or what it listens to


class NoticeState(StrEnum):
    """An outbox row's life. `SENDING` found after a restart means: it may have been sent."""

    PENDING = "pending"
    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Notice:
    """One message that is owed to people.

    `id` is the stable key: `card:INC-1`, `approval:<plan>`, `file:<plan>`, `thread:INC-1:<audit seq>`. A card or
    approval notice put again while sent goes back to pending and becomes an update of the same message.
    `sent_as` is the chat's own opaque address of the message ("" until posted).
    """

    id: str
    kind: NoticeKind
    created_at: datetime
    incident_id: str = ""
    plan_id: str = ""
    messages: tuple[Message, ...] = ()
    person_id: str = ""  # for PRIVATE
    state: NoticeState = NoticeState.PENDING
    order: int = 0  # outbox sequence: kept per incident
    attempts: int = 0
    not_before: datetime | None = None
    sent_as: str = ""
    sent_at: datetime | None = None
    error: str = ""
    context: Mapping[str, str] = field(default_factory=dict)  # e.g. audit_seq and audit_hash that were shown


@dataclass(frozen=True, slots=True)
class Delivery:
    """One thing a person did in the chat, seen once: the key comes from the chat's own payload."""

    id: str
    received_at: datetime
    workspace: str = ""
    enterprise: str = ""
