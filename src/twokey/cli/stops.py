"""`twokey stops`: where acting is stopped, from the shell. It only looks: people stop and lift in Slack."""

from __future__ import annotations

import json

import typer

from twokey.core.texts import printable, without_secrets_in


def stops(json_: bool = typer.Option(False, "--json", help="One JSON object a line.")) -> None:
    """List where acting is stopped, by whom and why, oldest first."""
    from twokey.app import look_at_record
    from twokey.flow.containment.stops import stops_in_force
    from twokey.settings import load

    store = look_at_record(load())
    try:
        with store.read() as look:
            found = stops_in_force(look)
    finally:
        store.close()
    for stop in found:
        row = {
            "where": stop.where,
            "kind": stop.kind.value,
            "since": f"{stop.at:%Y-%m-%dT%H:%M:%SZ}",
            "by": stop.by,
            "reason": stop.reason,
            "asked_by": stop.asked_by,
            "audit": stop.seq,
        }
        typer.echo(
            json.dumps(without_secrets_in(row))
            if json_
            else "  ".join(printable(str(value)) for value in row.values() if value != "")
        )
    if not json_ and not found:
        typer.echo("acting is stopped nowhere")
