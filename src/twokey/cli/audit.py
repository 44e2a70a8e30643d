"""`twokey audit`: prove the audit trail, and hand it out."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from datetime import datetime

    from twokey.core.people import Roster
    from twokey.store import SqlStore
    from twokey.timestamps import Rfc3161Stamper

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


@app.command()
def stamps(
    out: Path | None = typer.Option(
        None, "--out", "-o", help="A folder: write each stamp there, to be kept elsewhere."
    ),
    database_url: str = _DATABASE,
    json_: bool = typer.Option(False, "--json", help="One JSON object a stamp."),
) -> None:
    """Check every time stamp: is it the authority's, and is the trail still the one that was stamped?

    Exit 0 when all of them hold, 1 when one does not, 2 when it could not be looked at.
    """
    import json

    from twokey.core.errors import Tampered
    from twokey.flow.stamping import require_stamp
    from twokey.flow.stamping import stamps as every_stamp
    from twokey.publish.evidence import stamp_files
    from twokey.words import say

    stamper, store = _stamper(), _record(database_url)
    is_broken = False
    try:
        with store.read() as look:
            found = every_stamp(look)
            for stamp in found:
                row = {"seq": stamp.seq, "hash": stamp.hash, "at": stamp.at.isoformat(), "held": True}
                try:
                    require_stamp(look, stamp, stamper)
                except Tampered as fault:
                    is_broken, row["held"], row["says"] = True, False, say(fault.message)
                held = "held" if row["held"] else f"BROKEN: {row['says']}"
                typer.echo(json.dumps(row) if json_ else f"{row['at']}  {row['seq']}:{row['hash']}  {held}")
    finally:
        store.close()
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        for name, content in stamp_files(found).items():
            (out / name).write_bytes(content)
    if not json_:
        typer.echo(f"{len(found)} time stamps", err=True)
    raise typer.Exit(1 if is_broken else 0)


@app.command()
def evidence(
    incident: str = typer.Argument(..., metavar="INC"),
    out: Path | None = typer.Option(None, "--out", "-o", help="A new file; INC-12-evidence.zip when none."),
    database_url: str = _DATABASE,
) -> None:
    """Hand out one incident as one file that an outsider verifies without us.

    For example: twokey audit evidence INC-12 --out INC-12-evidence.zip

    Exit 0 when what was handed out holds, 1 when it does not (each fault is named; the file is written all the
    same), 2 when it could not be made.
    """
    import zipfile
    from importlib.resources import files

    from twokey.core.errors import Invalid
    from twokey.flow.lookup import canonical_id
    from twokey.flow.review.evidence import evidence as gathered
    from twokey.flow.review.evidence import evidence_text
    from twokey.flow.stamping import stamps as every_stamp
    from twokey.history.evidence import verify as verified
    from twokey.publish.evidence import packed

    target = out or Path(f"{canonical_id(incident)}-evidence.zip".replace("/", "-"))
    if target.exists():
        raise Invalid("audit.file_there", path=target)
    roster, now = _names()
    store = _record(database_url)
    try:
        with store.read() as look:
            found = gathered(look, incident, roster, every_stamp(look), now)
    finally:
        store.close()
    made = packed(
        str(found.says["incident"]),
        target.name,
        evidence_text(found),
        found.stamps,
        verifier=(files("twokey.history") / "evidence.py").read_text("utf-8"),
        authority=_stamper().certificates() if found.stamps else "",
    )
    with target.open("xb") as file:
        file.write(made)
    with zipfile.ZipFile(target) as pack:
        faults, says = verified(pack.read)
    for line in [*(f"BROKEN {fault}" for fault in faults), *says]:
        typer.echo(ascii(line)[1:-1], err=True)
    typer.echo(target)
    raise typer.Exit(1 if faults else 0)


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


def _stamper() -> Rfc3161Stamper:
    """Return what checks stamps: for that the authority's certificates are enough, its address need not be set."""
    from twokey.settings import load
    from twokey.timestamps import Rfc3161Stamper

    settings = load()
    return Rfc3161Stamper(settings.tsa_url, settings.tsa_ca)


def _names() -> tuple[Roster, datetime]:
    """Return whose names are known, and the present moment; without a roster people are their ids."""
    from twokey.app import SystemClock, build_rosters
    from twokey.core.errors import TwokeyError
    from twokey.core.people import Roster
    from twokey.settings import load

    try:
        return build_rosters(load()).current(), SystemClock().now()
    except TwokeyError:
        return Roster(), SystemClock().now()


def _record(database_url: str) -> SqlStore:
    """Open a record as it is: nothing is migrated, and a file that is not there is not made."""
    from dataclasses import replace

    from twokey.app import look_at_record
    from twokey.settings import load

    settings = load()
    return look_at_record(replace(settings, database_url=database_url) if database_url else settings)
