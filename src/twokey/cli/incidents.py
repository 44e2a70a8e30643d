"""`twokey incidents`: what the bot knows, from the shell."""

from __future__ import annotations

import json

import typer

from twokey.core.texts import printable, without_secrets_in

app = typer.Typer(help="What the bot knows about incidents.", no_args_is_help=True, rich_markup_mode=None)


@app.command("list")
def list_(
    which: str = typer.Argument("open", help="open, stale or all."),
    page: int = typer.Option(1, min=1),
    json_: bool = typer.Option(False, "--json", help="One JSON object a line."),
) -> None:
    """List incidents, newest first."""
    from twokey import app as wiring
    from twokey import settings

    found, total = wiring.build_response(settings.load()).listed(which, page=page, size=20)
    for incident in found:
        row = {
            "id": incident.id,
            "label": incident.verdict.label.value,
            "severity": incident.severity.value,
            "state": incident.state.value,
            "signals": incident.signals,
            "account": incident.account,
            "title": incident.title,
        }
        typer.echo(
            json.dumps(without_secrets_in(row))
            if json_
            else "  ".join(printable(str(value)) for value in row.values())
        )
    if not json_:
        typer.echo(f"{len(found)} of {total}")


@app.command()
def unreadable(
    body: bool = typer.Option(False, "--body", help="Also print each notification as it came, made visible."),
) -> None:
    """List the notifications that could not be understood, newest first; they are kept as they came."""
    from twokey import app as wiring
    from twokey import settings

    for raw in wiring.build_response(settings.load()).unreadable():
        typer.echo(f"{raw.received_at:%Y-%m-%d %H:%M:%S}Z  {raw.id}  {raw.source}  {printable(raw.reason)}")
        if body:
            typer.echo("  " + printable(raw.body.decode("utf-8", "backslashreplace")))


@app.command()
def show(incident_id: str, json_: bool = typer.Option(False, "--json")) -> None:
    """Show one incident: its verdict, the fields that decided it, and its timeline."""
    from twokey import app as wiring
    from twokey import settings

    response = wiring.build_response(settings.load())
    incident, entries = response.shown(incident_id), response.timeline(incident_id)
    given = response.verdicts(incident_id)
    if json_:
        from dataclasses import asdict

        whole = {
            "incident": asdict(incident),
            "verdicts": [asdict(version) for version in given],
            "timeline": [asdict(e) for e in entries],
        }
        typer.echo(json.dumps(without_secrets_in(json.loads(json.dumps(whole, default=str)))))
        return
    verdict = incident.verdict
    typer.echo(f"{incident.id}  {verdict.label.value}  {incident.severity.value}  {incident.state.value}")
    typer.echo(printable(incident.title))
    typer.echo(f"rule {verdict.rule} ({verdict.confidence.value}): {printable(verdict.reason)}")
    for name, value in verdict.fields.items():
        typer.echo(f"  {name} = {printable(json.dumps(value))}")
    typer.echo(f"accountable: {verdict.accountable}")
    typer.echo("verdicts:")
    for version in given:
        words = f"{version.label} by {version.rule} ({version.actor}, {version.action}): {version.reason}"
        typer.echo(printable(f"{version.seq:>6}  {version.at:%Y-%m-%d %H:%M:%S}Z  {words}"))
    typer.echo("timeline:")
    for entry in entries:
        data = json.dumps(dict(entry.data), ensure_ascii=True)[:200]
        typer.echo(f"{entry.seq:>6}  {entry.at:%Y-%m-%d %H:%M:%S}Z  {entry.actor.id}  {entry.action}  {data}")
