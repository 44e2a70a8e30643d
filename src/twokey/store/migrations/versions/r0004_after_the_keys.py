"""Decisions, showings, passkeys, the roster last seen, stops, containments in force, time stamps."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

POSITION = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TENANCY = ("workspace", "enterprise", "account", "tenant")

# table -> what is looked up in it
TABLES: dict[str, tuple[str, ...]] = {
    "decision": ("plan_id",),
    "showing": ("plan_id", "person_id"),
    "signing_request": ("plan_id", "person_id"),
    "enrolment": ("person_id", "state"),
    "roster_seen": (),
    "stop": ("account",),
    "in_force": ("plan_id", "incident_id", "state", "account"),
    "time_stamp": (),
}


def upgrade() -> None:
    """Add the tables; nothing that is there is touched."""
    for table, looked_up in TABLES.items():
        own = [name for name in looked_up if name not in TENANCY]
        op.create_table(
            table,
            sa.Column("position", POSITION, nullable=False),
            *(sa.Column(name, sa.Text(), nullable=False) for name in ("id", *TENANCY, "body", *own)),
            sa.PrimaryKeyConstraint("position", name=f"pk_{table}"),
            sa.UniqueConstraint("id", name=f"uq_{table}_id"),
        )
        for column in looked_up:
            op.create_index(f"ix_{table}_{column}_position", table, [column, "position"])
