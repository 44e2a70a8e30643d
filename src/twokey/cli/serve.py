"""`twokey serve` and `twokey worker`: the bot, and more workers for it on Postgres."""

from __future__ import annotations

import typer


def serve(
    check: bool = typer.Option(False, "--check", help="Build everything, say what is missing, and stop."),
) -> None:
    """Run the bot: Slack, the web door, the queues, and the work that is owed."""
    from twokey import app, settings

    loaded = settings.load()
    missing = settings.missing_to_serve(loaded)
    if missing:
        for name in missing:
            typer.echo(f"missing: {name}", err=True)
        raise typer.Exit(2)
    if check:
        app.build(loaded)
        typer.echo("ready to serve")
        return
    app.serve(loaded)


def worker() -> None:
    """Run owed work only, beside a running bot; needs a Postgres database."""
    from twokey import app, settings

    loaded = settings.load()
    if not loaded.database_url.startswith("postgres"):
        typer.echo("worker: an SQLite record has one process, `twokey serve`; more need Postgres", err=True)
        raise typer.Exit(2)
    app.work(loaded)
