"""`twokey inforce`: what is contained now, by which plan, and when somebody looked last."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from datetime import datetime

    from twokey.core.containments import InForce
    from twokey.core.errors import Json


def inforce(
    which: str = typer.Argument(
        "", help="An incident (INC-12), or an account or subscription; all if not given."
    ),
    json_: bool = typer.Option(False, "--json", help="One JSON object a line."),
) -> None:
    """List what is contained now: what, where, by which plan, whose keys, since when, seen when, owner, review."""
    import json

    from twokey import app as wiring
    from twokey import settings
    from twokey.core.texts import printable, without_secrets_in
    from twokey.flow.register import contained

    known = settings.load()
    with wiring.look_at_record(known).read() as look:
        rows = [_row(row, known.review_after_days) for row in contained(look, which)]
    for row in rows:
        if json_:
            typer.echo(json.dumps(without_secrets_in(row)))
        else:
            typer.echo("  ".join(printable(_shown(value)) for value in row.values()))
    if not json_:
        typer.echo(f"{len(rows)} in force")


def _row(row: InForce, review_after_days: int) -> dict[str, Json]:
    from datetime import timedelta

    from twokey.core.containments import review_of

    return {
        "id": row.id,
        "state": row.state.value,
        "what": row.what,
        "where": row.account,
        "incident": row.incident_id,
        "plan": row.short,
        "keys": list(row.people),
        "since": _moment(row.since),
        "last_seen": _moment(row.last_seen),
        "owner": row.owner,
        "review_at": _moment(review_of(row, timedelta(days=review_after_days))),
    }


def _moment(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}" if moment else ""


def _shown(value: Json) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value or "-")
