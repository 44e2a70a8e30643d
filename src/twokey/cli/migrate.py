"""`twokey migrate`: bring the database to what this version needs."""

from __future__ import annotations

import typer


def migrate(
    database_url: str = typer.Option(
        "", "--database-url", help="Migrate this database, not the configured one."
    ),
) -> None:
    """Create the tables, or bring them forward. Needs no Slack settings; twice is once."""
    from twokey.settings import load
    from twokey.store import migrate as migrate_record

    url = database_url or load().database_url
    before, after = migrate_record(url)
    typer.echo(
        f"record: {after}, nothing to do" if before == after else f"record: {before or 'new'} -> {after}"
    )
    if url.startswith("postgres"):
        from twokey.engine.preparing import prepare

        steps = prepare(url)
        typer.echo(f"engine: {', '.join(steps) if steps else 'nothing to do'}")
