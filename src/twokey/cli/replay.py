"""`twokey replay`: feed recorded notifications to a bot."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

import typer


class Provider(StrEnum):
    """The clouds whose notifications can be read."""

    AWS = "aws"
    AZURE = "azure"


def replay(
    files: list[Path] = typer.Argument(..., exists=True, dir_okay=False, help="JSON or JSON-lines files."),
    provider: Provider = typer.Option(Provider.AWS, help="Who sent them."),
    speed: float = typer.Option(0.0, help="Notifications a second; 0 is as fast as it goes."),
    sort: bool = typer.Option(True, help="Also do the sorting here, and print the incidents."),
) -> None:
    """Put recorded notifications into the record, as if they had just arrived."""
    from twokey import app, settings

    built = app.build(settings.load())
    new = app.replay(built, files, provider.value, speed)
    typer.echo(f"received {new} new notifications")
    if sort:
        built.engine.drain()
        incidents, total = built.response.listed("all", size=20)
        for incident in incidents:
            typer.echo(
                f"{incident.id}  {incident.verdict.label.value}  x{incident.signals}  {incident.title[:80]!r}"
            )
        unreadable = built.response.unreadable()
        typer.echo(f"{total} incidents, {len(unreadable)} unreadable notifications")
