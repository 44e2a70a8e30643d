"""The first tables. A revision is never edited once it was released: it says what was, not what is."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.schema import SchemaItem

revision = "0001"
down_revision = None

POSITION = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime(timezone=True)
NOT_SETTLED = sa.text("state IN ('waiting', 'running')")


def upgrade() -> None:
    """Create everything."""
    _nouns(
        "raw_notification",
        *_texts("state", "source"),
        sa.Column("received_at", MOMENT, nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        _check("raw_notification", "state", "state IN ('new', 'sorted', 'unreadable')"),
        looked_up=("state", "source", "account"),
    )
    _nouns("sighting", *_texts("subject", "incident_id"), looked_up=("subject", "incident_id"))
    incident = ("group", "subject", "state", "provider", "label", "commander", "tracking_id")
    _nouns(
        "incident",
        sa.Column("number", sa.Integer(), nullable=False),
        *_texts(*incident),
        sa.UniqueConstraint("number", name="uq_incident_number"),
        _check("incident", "number", "number > 0"),
        looked_up=(*incident, "account"),
    )
    _nouns(
        "plan",
        *_texts("incident_id", "state", "digest"),
        _check("plan", "digest", "digest <> ''"),
        looked_up=("incident_id", "state", "digest"),
    )
    _nouns(
        "approval",
        *_texts("plan_id", "person_id", "digest"),
        sa.UniqueConstraint("plan_id", "person_id", name="uq_approval_plan_id_person_id"),
        _check("approval", "whole", "plan_id <> '' AND person_id <> '' AND digest <> ''"),
        looked_up=("person_id",),
    )
    _nouns("step_up_use")
    _nouns(
        "execution",
        *_texts("incident_id"),
        sa.Column("fence", sa.Integer(), nullable=False),
        _check("execution", "fence", "fence > 0"),
        looked_up=("incident_id",),
    )
    _nouns("step_record", *_texts("plan_id", "state"), looked_up=("plan_id", "state"))
    _nouns(
        "notice",
        *_texts("kind", "incident_id", "plan_id", "state"),
        sa.Column("order", sa.BigInteger(), nullable=False),
        _check("notice", "state", "state IN ('pending', 'sending', 'sent', 'failed')"),
        looked_up=("kind", "incident_id", "plan_id"),
    )
    op.create_index("ix_notice_state_order", "notice", ["state", "order"])
    _nouns("delivery")
    _nouns("postmortem", *_texts("incident_id"), looked_up=("incident_id",))
    _job()
    op.create_table(
        "counter",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_counter"),
        _check("counter", "last", "last > 0"),
    )
    _audit()


def _nouns(table: str, *items: SchemaItem, looked_up: tuple[str, ...] = ()) -> None:
    op.create_table(
        table,
        sa.Column("position", POSITION, nullable=False),
        *_texts("id", "workspace", "enterprise", "account", "tenant", "body"),
        *items,
        sa.PrimaryKeyConstraint("position", name=f"pk_{table}"),
        sa.UniqueConstraint("id", name=f"uq_{table}_id"),
    )
    for column in looked_up:
        op.create_index(f"ix_{table}_{column}_position", table, [column, "position"])


def _texts(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text(), nullable=False) for name in names]


def _check(table: str, name: str, condition: str) -> sa.CheckConstraint:
    return sa.CheckConstraint(condition, name=op.f(f"ck_{table}_{name}"))


def _job() -> None:
    op.create_table(
        "job",
        sa.Column("position", POSITION, nullable=False),
        *_texts("id", "kind", "payload", "lock", "state"),
        sa.Column("due", MOMENT, nullable=False),
        sa.Column("holds", sa.Boolean(), nullable=False),
        sa.Column("not_before", MOMENT),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("turn", sa.Integer(), nullable=False),
        sa.Column("worker", sa.Text(), nullable=False),
        sa.Column("lease_until", MOMENT),
        sa.Column("error", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("position", name="pk_job"),
        sa.UniqueConstraint("id", name="uq_job_id"),
        _check("job", "state", "state IN ('waiting', 'running', 'done', 'parked', 'handed')"),
    )
    _partial("ix_job_waiting", ["due", "position"], sa.text("state = 'waiting'"))
    _partial("ix_job_lock", ["lock", "position"], NOT_SETTLED)
    _partial("ix_job_running", ["lease_until"], sa.text("state = 'running'"))
    _partial("ix_job_parked", ["position"], sa.text("state = 'parked'"))


def _partial(name: str, columns: list[str], where: sa.TextClause) -> None:
    op.create_index(name, "job", columns, sqlite_where=where, postgresql_where=where)


def _audit() -> None:
    op.create_table(
        "audit_entry",
        sa.Column("seq", POSITION, autoincrement=False, nullable=False),
        *_texts(
            "at", "actor", "team", "user", "action", "incident_id", "plan_id", "data", "previous", "hash"
        ),
        sa.PrimaryKeyConstraint("seq", name="pk_audit_entry"),
        _check("audit_entry", "seq", "seq > 0"),
        _check("audit_entry", "actor", "actor <> ''"),
        _check("audit_entry", "hashes", "length(hash) = 64 AND length(previous) = 64"),
    )
    op.create_index("ix_audit_entry_incident_id_seq", "audit_entry", ["incident_id", "seq"])
    on_postgres = op.get_bind().dialect.name == "postgresql"
    for statement in POSTGRES_TRIGGERS if on_postgres else SQLITE_TRIGGERS:
        op.execute(statement)


# An owner of the database can drop these. They are there for mistakes and for a stolen application
# account without that right; the hash chain and the heads that were posted outside are for the rest.
SQLITE_TRIGGERS = (
    """
    CREATE TRIGGER audit_entry_never_changed BEFORE UPDATE ON audit_entry
    BEGIN SELECT RAISE(ABORT, 'audit entries are never changed'); END
    """,
    """
    CREATE TRIGGER audit_entry_never_deleted BEFORE DELETE ON audit_entry
    BEGIN SELECT RAISE(ABORT, 'audit entries are never deleted'); END
    """,
    """
    CREATE TRIGGER audit_entry_follows_the_last BEFORE INSERT ON audit_entry
    WHEN NEW.seq IS NOT (SELECT coalesce(max(seq), 0) + 1 FROM audit_entry)
      OR (NEW.seq > 1 AND NEW.previous IS NOT (SELECT hash FROM audit_entry WHERE seq = NEW.seq - 1))
    BEGIN SELECT RAISE(ABORT, 'an audit entry follows the last one'); END
    """,
)

POSTGRES_TRIGGERS = (
    """
    CREATE FUNCTION audit_entry_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'audit entries are never changed' USING ERRCODE = 'integrity_constraint_violation';
    END $$
    """,
    """
    CREATE TRIGGER audit_entry_never_changed BEFORE UPDATE OR DELETE ON audit_entry
    FOR EACH ROW EXECUTE FUNCTION audit_entry_refuse()
    """,
    """
    CREATE TRIGGER audit_entry_never_truncated BEFORE TRUNCATE ON audit_entry
    FOR EACH STATEMENT EXECUTE FUNCTION audit_entry_refuse()
    """,
    """
    CREATE FUNCTION audit_entry_in_order() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF NEW.seq <> (SELECT coalesce(max(seq), 0) + 1 FROM audit_entry)
           OR (NEW.seq > 1 AND NEW.previous <> (SELECT hash FROM audit_entry WHERE seq = NEW.seq - 1)) THEN
            RAISE EXCEPTION 'an audit entry follows the last one'
            USING ERRCODE = 'integrity_constraint_violation';
        END IF;
        RETURN NEW;
    END $$
    """,
    """
    CREATE TRIGGER audit_entry_follows_the_last BEFORE INSERT ON audit_entry
    FOR EACH ROW EXECUTE FUNCTION audit_entry_in_order()
    """,
)
