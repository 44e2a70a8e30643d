"""`twokey report`: what the record says about a period."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from twokey.core.ledgers import Ledger

app = typer.Typer(help="What the record says about a period.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def _report() -> None:
    """What the record says about a period."""


@app.command()
def responsibility(
    since: str = typer.Option(
        "", "--from", metavar="DAY", help="First day, or a moment; 30 days back if not given."
    ),
    until: str = typer.Option(
        "", "--to", metavar="DAY", help="Last day, which counts too, or a moment; else now."
    ),
    format_: str = typer.Option("table", "--format", help="table, json, csv or html."),
    json_: bool = typer.Option(False, "--json", help="The same as --format json."),
    output: Path | None = typer.Option(None, "--output", help="Write into this file."),
    language: str = typer.Option("", "--language", help="en or ja; TWOKEY_LANGUAGE when not given."),
) -> None:
    """Minutes of impact that were the provider's and ours: by service, region and account, with the evidence.

    What is needed to claim a service credit, or to answer an auditor. Minutes that only the provider states, with
    nothing of ours on record, stand apart. Days are those of TWOKEY_TIMEZONE.
    """
    from datetime import timedelta
    from zoneinfo import ZoneInfo

    from twokey import app as wiring
    from twokey import settings
    from twokey.core.errors import Invalid
    from twokey.flow.incidents.report import ledger_of
    from twokey.publish import ledgers

    known = settings.load()
    zone = ZoneInfo(known.timezone)
    spoken = language or known.language
    wanted = "json" if json_ else format_
    if wanted not in ("table", "json", "csv", "html"):
        raise Invalid("report.format", format=wanted, legal="table, json, csv, html")
    now = wiring.SystemClock().now()
    begin = _moment(since, zone) if since else now - timedelta(days=30)
    end = _moment(until, zone, is_last=True) if until else now
    found = ledger_of(wiring.look_at_record(known), begin, end)
    if wanted == "table" and output is None:
        _print(found, spoken, zone)
        return
    text = {
        "json": lambda: ledgers.to_json(found) + "\n",
        "csv": lambda: ledgers.to_csv(found),
        "html": lambda: ledgers.to_html(found, known.templates_dir, spoken, zone),
        "table": lambda: _table(found, spoken),
    }[wanted]()
    if output is None:
        typer.echo(text, nl=False)
        return
    output.write_text(text, encoding="utf-8")
    typer.echo(f"{output}: {len(found.rows)} rows")


def _moment(text: str, zone: ZoneInfo, *, is_last: bool = False) -> datetime:
    """Read a day or a moment; a last day counts to its end."""
    from datetime import datetime, timedelta

    from twokey.core.errors import Invalid

    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise Invalid("report.moment", text=text) from None
    moment = found if found.tzinfo else found.replace(tzinfo=zone)
    return moment + timedelta(days=1) if is_last and len(text) == len("2026-11-01") else moment


def _print(found: Ledger, language: str, zone: ZoneInfo) -> None:
    from twokey.publish.ledgers import SIDES, heading

    def day(moment: datetime) -> str:
        return f"{moment.astimezone(zone):%Y-%m-%d %H:%M}"

    typer.echo(f"{heading('title', language)}  {day(found.since)} - {day(found.until)} ({zone})\n")
    for side in SIDES:
        minutes = f"{round(found.total(side)):,}"
        typer.echo(
            f"  {heading(f'side.{side.value}', language)}: {minutes} {heading('minutes_unit', language)}"
        )
    typer.echo(
        "\n" + (_table(found, language) if found.rows else heading("nothing", language) + "\n"), nl=False
    )
    typer.echo(f"\n{heading('stated_note', language)}")
    seq, digest = found.head
    typer.echo(
        f"{heading('left_out', language)}: {found.left_out}. {heading('audit', language)}: {seq} {digest[:24]}"
    )


def _table(found: Ledger, language: str) -> str:
    from rich.console import Console
    from rich.table import Table

    from twokey.publish.ledgers import COLUMNS, cells, heading

    table = Table(box=None, pad_edge=False)
    for name in COLUMNS:
        is_number = name in ("minutes", "planned", "stated")
        table.add_column(
            heading(name, language),
            justify="right" if is_number else "left",
            overflow="fold",
            no_wrap=name in ("side", "account", "region"),
        )
    for row in found.rows:
        table.add_row(*cells(row, language))
    # Narrower than this, the columns fold into nothing that could be read.
    console = Console(width=max(Console().width, 160), markup=False, highlight=False, emoji=False)
    with console.capture() as printed:
        console.print(table)
    return printed.get()
