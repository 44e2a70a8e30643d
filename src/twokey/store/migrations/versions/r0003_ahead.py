"""Jobs that go ahead of sorting are found without reading what waits to be sorted."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the index."""
    ahead = sa.text("state = 'waiting' AND kind <> 'sort'")
    op.create_index("ix_job_ahead", "job", ["due", "position"], sqlite_where=ahead, postgresql_where=ahead)
