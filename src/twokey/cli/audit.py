"""`twokey audit`: prove the audit trail, and hand it out."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from twokey.store import SqlStore

app = typer.Typer(
    help="The audit trail: what was done, by whom, and the proof that nobody changed it.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

_DATABASE = typer.Option("", "--database-url", help="Look at this database, not at the configured one.")


@app.command()
def verify(
    head: str = typer.Option("", "--head", metavar="SEQ:HASH", help="A head that was posted outside."),
    database_url: str = _DATABASE,
    json_: bool = typer.Option(False, "--json", help="One JSON object."),
) -> None:
    """Prove that no entry was changed, removed or put in; with --head also that none was cut off.

    Exit 0 when the trail proves itself, 1 when it does not (the first broken entry is named), 2 when it
    could not be read.
    """
    import json

    from twokey.core.errors import Tampered
    from twokey.words import say

    posted = _head(head)
    store = _record(database_url)
    try:
        seq, digest = store.verify(head=posted)
    except Tampered as fault:
        found = {"proved": False, "code": fault.message.code, **fault.message.params}
        typer.echo(json.dumps(found) if json_ else say(fault.message))
        raise typer.Exit(1) from None
    finally:
        store.close()
    if json_:
        typer.echo(json.dumps({"proved": True, "entries": seq, "head": f"{seq}:{digest}"}))
    else:
        typer.echo(f"{seq} entries, every one of them follows from the one before")
        typer.echo(f"head {seq}:{digest}")


@app.command()
def export(
    out: Path | None = typer.Option(None, "--out", "-o", help="A new file; standard output when none."),
    database_url: str = _DATABASE,
) -> None:
    """Hand out every entry as a line of canonical JSON with its hash, for someone else to verify."""
    from twokey.core.errors import Invalid

    store = _record(database_url)
    try:
        if out is None:
            store.export(sys.stdout.write)
            return
        if out.exists():
            raise Invalid("audit.file_there", path=out)
        with out.open("x", encoding="utf-8", newline="\n") as file:
            count = store.export(file.write)
    finally:
        store.close()
    typer.echo(f"{count} entries in {out}", err=True)


@app.command()
def judge(
    trail: Path = typer.Argument(..., metavar="TRAIL.jsonl", help="What `twokey audit export` wrote."),
    cloud: list[Path] = typer.Option(
        [], "--cloud", metavar="FILE", help="A cloud's own log; may be repeated."
    ),
    slack: Path | None = typer.Option(None, "--slack", metavar="FILE", help="The chat's own log."),
    passkeys: Path | None = typer.Option(
        None, "--passkeys", metavar="FILE", help="Public keys: what `twokey roster passkeys --json` wrote."
    ),
    head: str = typer.Option("", "--head", metavar="SEQ:HASH", help="A head that was posted outside."),
    json_: bool = typer.Option(False, "--json", help="One JSON object."),
) -> None:
    """Judge from files alone whether every promise held: people, digests, times, intents, effects, messages.

    For example: twokey audit judge trail.jsonl --cloud cloudtrail.jsonl --slack slack.jsonl

    Needs no settings, no record and nobody's word but the files'. Exit 0 when every promise held, 1 when one was
    broken (each is named with its entry), 2 when something could not be read.
    """
    from twokey.history.report import report

    raise typer.Exit(report(trail, cloud, slack, head, passkeys, as_json=json_))


def _head(text: str) -> tuple[int, str] | None:
    from twokey.core.audit import SHOWN
    from twokey.core.errors import Invalid

    if not text:
        return None
    seq, _, digest = text.strip().partition(":")
    digest = digest.lower()
    if not seq.isdecimal() or not SHOWN <= len(digest) <= 64 or set(digest) - set("0123456789abcdef"):
        raise Invalid("audit.head_not_understood", head=text[:100])
    return int(seq), digest


def _record(database_url: str) -> SqlStore:
    """Open a record as it is: nothing is migrated, and a file that is not there is not made."""
    from dataclasses import replace

    from twokey.app import look_at_record
    from twokey.settings import load

    settings = load()
    return look_at_record(replace(settings, database_url=database_url) if database_url else settings)
