"""`twokey replay`: feed recorded notifications to a bot."""

from __future__ import annotations

from pathlib import Path

import typer

from twokey.clouds import CLOUDS

_NAMES = [module.name for module in CLOUDS]


def _provider(name: str) -> str:
    if name not in _NAMES:
        known = ", ".join(repr(known) for known in _NAMES)
        raise typer.BadParameter(f"{name!r} is not one of {known}.")
    return name


def replay(
    files: list[Path] = typer.Argument(..., exists=True, dir_okay=False, help="JSON or JSON-lines files."),
    provider: str = typer.Option(
        _NAMES[0], parser=_provider, metavar=f"[{'|'.join(_NAMES)}]", help="Who sent them."
    ),
    speed: float = typer.Option(0.0, help="Notifications a second; 0 is as fast as it goes."),
    sort: bool = typer.Option(True, help="Also do the sorting here, and print the incidents."),
) -> None:
    """Put recorded notifications into the record, as if they had just arrived."""
    from twokey import app, settings

    built = app.build(settings.load())
    new = app.replay(built, files, provider, speed)
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
