"""Cursors: how far each source that is asked again and again has been read."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

POSITION = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add the table; nothing that is there is touched."""
    op.create_table(
        "cursor",
        sa.Column("position", POSITION, nullable=False),
        *(
            sa.Column(name, sa.Text(), nullable=False)
            for name in ("id", "workspace", "enterprise", "account", "tenant", "body")
        ),
        sa.PrimaryKeyConstraint("position", name="pk_cursor"),
        sa.UniqueConstraint("id", name="uq_cursor_id"),
    )
