"""The tables: one for each kind of noun, the audit trail, owed jobs, and counters.

A noun's table has an id that is unique, typed columns for what is looked up, the tenancy columns, and
`body`: the whole noun as JSON. `position` is the order in which nouns were first kept.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlmodel import Field, SQLModel

from twokey.store.types import KeyText, UTCDateTime

# SQLite numbers rows by itself only for a column that is declared INTEGER.
Position = BigInteger().with_variant(Integer(), "sqlite")

NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "pk": "pk_%(table_name)s",
}


class Row(SQLModel):
    """What every table of nouns has."""

    metadata: ClassVar[MetaData] = MetaData(naming_convention=NAMES)

    position: int | None = Field(default=None, primary_key=True, sa_type=Position)
    id: str = Field(sa_type=KeyText, unique=True)
    workspace: str = Field(default="", sa_type=KeyText)
    enterprise: str = Field(default="", sa_type=KeyText)
    account: str = Field(default="", sa_type=KeyText)
    tenant: str = Field(default="", sa_type=KeyText)
    body: str = Field(sa_type=Text)


def _looked_up(table: str, *columns: str) -> tuple[Index, ...]:
    # With the position behind it, an index answers "the oldest ten of this state" without a sort.
    return tuple(Index(f"ix_{table}_{column}_position", column, "position") for column in columns)


class RawNotificationRow(Row, table=True):
    """A notification as it arrived: the bytes are not inside the JSON."""

    __tablename__ = "raw_notification"
    __table_args__ = (
        *_looked_up("raw_notification", "state", "source", "account"),
        CheckConstraint("state IN ('new', 'sorted', 'unreadable')", name="state"),
    )

    state: str = Field(sa_type=KeyText)
    source: str = Field(sa_type=KeyText)
    received_at: datetime = Field(sa_type=UTCDateTime)
    content: bytes = Field(sa_type=LargeBinary)


class SightingRow(Row, table=True):
    """One signal that was taken in: a repeat is seen by its id."""

    __tablename__ = "sighting"
    __table_args__ = _looked_up("sighting", "subject", "incident_id")

    subject: str = Field(sa_type=KeyText)
    incident_id: str = Field(sa_type=KeyText)


class IncidentRow(Row, table=True):
    """One matter; its number is given once."""

    __tablename__ = "incident"
    __table_args__ = (
        *_looked_up("incident", "group", "subject", "state", "account", "provider", "label"),
        *_looked_up("incident", "commander", "tracking_id"),
        UniqueConstraint("number"),
        CheckConstraint("number > 0", name="number"),
    )

    number: int
    group: str = Field(sa_type=KeyText)
    subject: str = Field(sa_type=KeyText)
    state: str = Field(sa_type=KeyText)
    provider: str = Field(sa_type=KeyText)
    label: str = Field(sa_type=KeyText)
    commander: str = Field(sa_type=KeyText)
    tracking_id: str = Field(sa_type=KeyText)


class PlanRow(Row, table=True):
    """What two people confirm."""

    __tablename__ = "plan"
    __table_args__ = (
        *_looked_up("plan", "incident_id", "state", "digest"),
        CheckConstraint("digest <> ''", name="digest"),
    )

    incident_id: str = Field(sa_type=KeyText)
    state: str = Field(sa_type=KeyText)
    digest: str = Field(sa_type=KeyText)


class ApprovalRow(Row, table=True):
    """A key: one person turns one at most on one plan, whatever its id says."""

    __tablename__ = "approval"
    __table_args__ = (
        UniqueConstraint("plan_id", "person_id"),
        *_looked_up("approval", "person_id"),
        CheckConstraint("plan_id <> '' AND person_id <> '' AND digest <> ''", name="whole"),
    )

    plan_id: str = Field(sa_type=KeyText)
    person_id: str = Field(sa_type=KeyText)
    digest: str = Field(sa_type=KeyText)


class StepUpUseRow(Row, table=True):
    """A step-up code that was used: unique, so that it opens one door once."""

    __tablename__ = "step_up_use"


class ExecutionRow(Row, table=True):
    """One run of one plan."""

    __tablename__ = "execution"
    __table_args__ = (*_looked_up("execution", "incident_id"), CheckConstraint("fence > 0", name="fence"))

    incident_id: str = Field(sa_type=KeyText)
    fence: int


class StepRecordRow(Row, table=True):
    """The journal's row for one step."""

    __tablename__ = "step_record"
    __table_args__ = _looked_up("step_record", "plan_id", "state")

    plan_id: str = Field(sa_type=KeyText)
    state: str = Field(sa_type=KeyText)


class NoticeRow(Row, table=True):
    """The outbox."""

    __tablename__ = "notice"
    __table_args__ = (
        *_looked_up("notice", "kind", "incident_id", "plan_id"),
        Index("ix_notice_state_order", "state", "order"),
        CheckConstraint("state IN ('pending', 'sending', 'sent', 'failed')", name="state"),
    )

    kind: str = Field(sa_type=KeyText)
    incident_id: str = Field(sa_type=KeyText)
    plan_id: str = Field(sa_type=KeyText)
    state: str = Field(sa_type=KeyText)
    order: int = Field(sa_type=BigInteger)


class DeliveryRow(Row, table=True):
    """One thing a person did in the chat: its id is unique, so a repeat is seen."""

    __tablename__ = "delivery"


class CursorRow(Row, table=True):
    """How far a source was read: one row a source."""

    __tablename__ = "cursor"


class PostmortemRow(Row, table=True):
    """A drafted version of a post-mortem."""

    __tablename__ = "postmortem"
    __table_args__ = _looked_up("postmortem", "incident_id")

    incident_id: str = Field(sa_type=KeyText)


class DecisionRow(Row, table=True):
    """What people decided about a step at which a run stopped."""

    __tablename__ = "decision"
    __table_args__ = _looked_up("decision", "plan_id")

    plan_id: str = Field(sa_type=KeyText)


class ShowingRow(Row, table=True):
    """What was shown to whom before they agreed."""

    __tablename__ = "showing"
    __table_args__ = _looked_up("showing", "plan_id", "person_id")

    plan_id: str = Field(sa_type=KeyText)
    person_id: str = Field(sa_type=KeyText)


class SigningRequestRow(Row, table=True):
    """A link by which one person signs one digest."""

    __tablename__ = "signing_request"
    __table_args__ = _looked_up("signing_request", "plan_id", "person_id")

    plan_id: str = Field(sa_type=KeyText)
    person_id: str = Field(sa_type=KeyText)


class EnrolmentRow(Row, table=True):
    """A public key that waits for a second person."""

    __tablename__ = "enrolment"
    __table_args__ = _looked_up("enrolment", "person_id", "state")

    person_id: str = Field(sa_type=KeyText)
    state: str = Field(sa_type=KeyText)


class RosterSeenRow(Row, table=True):
    """The roster as it was last read: one row."""

    __tablename__ = "roster_seen"


class StopRow(Row, table=True):
    """Where nothing may act for now."""

    __tablename__ = "stop"
    __table_args__ = _looked_up("stop", "account")


class InForceRow(Row, table=True):
    """A containment that is in force, or was."""

    __tablename__ = "in_force"
    __table_args__ = _looked_up("in_force", "plan_id", "incident_id", "state", "account")

    plan_id: str = Field(sa_type=KeyText)
    incident_id: str = Field(sa_type=KeyText)
    state: str = Field(sa_type=KeyText)


class TimeStampRow(Row, table=True):
    """A time stamp over a head of the trail."""

    __tablename__ = "time_stamp"


class AuditRow(SQLModel, table=True):
    """The audit trail. Triggers refuse UPDATE, DELETE, TRUNCATE, and what does not follow the last entry."""

    metadata: ClassVar[MetaData] = Row.metadata
    __tablename__ = "audit_entry"
    __table_args__ = (
        Index("ix_audit_entry_incident_id_seq", "incident_id", "seq"),
        CheckConstraint("seq > 0", name="seq"),
        CheckConstraint("actor <> ''", name="actor"),
        CheckConstraint("length(hash) = 64 AND length(previous) = 64", name="hashes"),
    )

    seq: int = Field(primary_key=True, sa_type=Position, sa_column_kwargs={"autoincrement": False})
    at: str = Field(sa_type=Text)  # ISO 8601, the very text that was hashed
    actor: str = Field(sa_type=Text)
    team: str = Field(sa_type=Text)
    user: str = Field(sa_type=Text)
    action: str = Field(sa_type=Text)
    incident_id: str = Field(sa_type=Text)
    plan_id: str = Field(sa_type=Text)
    data: str = Field(sa_type=Text)  # canonical JSON (RFC 8785)
    previous: str = Field(sa_type=Text)
    hash: str = Field(sa_type=Text)


class JobRow(SQLModel, table=True):
    """Owed work, and the memory of which ids were ever owed.

    `handed` means: another engine holds it, and this row only keeps its id from being owed twice.
    `holds` means: it keeps its place before later jobs of its lock even while it waits for its time.
    `turn` grows with every take: who does not hold the last turn must not settle the job.
    """

    metadata: ClassVar[MetaData] = Row.metadata
    __tablename__ = "job"
    __table_args__ = (
        Index(
            "ix_job_waiting",
            "due",
            "position",
            sqlite_where=text("state = 'waiting'"),
            postgresql_where=text("state = 'waiting'"),
        ),
        Index(
            "ix_job_ahead",
            "due",
            "position",
            sqlite_where=text("state = 'waiting' AND kind <> 'sort'"),
            postgresql_where=text("state = 'waiting' AND kind <> 'sort'"),
        ),
        Index(
            "ix_job_lock",
            "lock",
            "position",
            sqlite_where=text("state IN ('waiting', 'running')"),
            postgresql_where=text("state IN ('waiting', 'running')"),
        ),
        Index(
            "ix_job_running",
            "lease_until",
            sqlite_where=text("state = 'running'"),
            postgresql_where=text("state = 'running'"),
        ),
        Index(
            "ix_job_parked",
            "position",
            sqlite_where=text("state = 'parked'"),
            postgresql_where=text("state = 'parked'"),
        ),
        CheckConstraint("state IN ('waiting', 'running', 'done', 'parked', 'handed')", name="state"),
    )

    position: int | None = Field(default=None, primary_key=True, sa_type=Position)
    id: str = Field(sa_type=KeyText, unique=True)
    kind: str = Field(sa_type=Text)
    payload: str = Field(sa_type=Text)
    lock: str = Field(sa_type=KeyText)
    state: str = Field(sa_type=Text)
    due: datetime = Field(sa_type=UTCDateTime)
    holds: bool
    not_before: datetime | None = Field(default=None, sa_type=UTCDateTime)
    attempts: int = Field(default=0)
    turn: int = Field(default=0)
    worker: str = Field(default="", sa_type=Text)
    lease_until: datetime | None = Field(default=None, sa_type=UTCDateTime)
    error: str = Field(default="", sa_type=Text)


class CounterRow(SQLModel, table=True):
    """Numbers that are given once each."""

    metadata: ClassVar[MetaData] = Row.metadata
    __tablename__ = "counter"
    __table_args__ = (CheckConstraint("last > 0", name="last"),)

    name: str = Field(primary_key=True, sa_type=KeyText)
    last: int = Field(sa_type=BigInteger)


METADATA = Row.metadata


def table_of(row: type[Any]) -> Table:
    """Return the table behind a row class."""
    table = row.__table__
    assert isinstance(table, Table)
    return table


AUDIT = table_of(AuditRow)
JOB = table_of(JobRow)
COUNTER = table_of(CounterRow)
