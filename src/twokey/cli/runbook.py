"""`twokey runbook`: look at runbooks, name every fault, approve one by its digest, export it."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from twokey.catalog.library import FileLibrary
    from twokey.core.errors import Invalid
    from twokey.core.runbooks import Runbook

app = typer.Typer(
    help="Containments written down: review, check, approve.", no_args_is_help=True, rich_markup_mode=None
)

_FILES = typer.Argument(None, help="Runbook files; all of the folder when none is named.")
_BY = typer.Option(..., "--by", help="Who has reviewed it: a name without spaces, as in your directory.")


@app.command("list")
def list_(json_: bool = typer.Option(False, "--json", help="One JSON object a line.")) -> None:
    """List every runbook file, and whether it may be proposed."""
    library = _library()
    for reading in library.readings():
        book = reading.runbook
        row = {
            "id": book.id if book else Path(reading.name).stem,
            "version": book.version if book else "",
            "status": library.status(book) if book else "faulty",
            "risk": book.risk.value if book else "",
            "title": book.title if book else f"{len(reading.faults)} faults: twokey runbook check",
        }
        typer.echo(json.dumps(row) if json_ else "  ".join(value for value in row.values() if value))


@app.command()
def show(
    runbook_id: str = typer.Argument(..., metavar="ID"),
    json_: bool = typer.Option(False, "--json", help="The runbook as it was read."),
) -> None:
    """Show one runbook: what it asks of people, and every step with its undo."""
    library = _library()
    book = _require_faultless(library, runbook_id)
    if json_:
        from dataclasses import asdict

        typer.echo(json.dumps(asdict(book), ensure_ascii=False))
        return
    asked = book.approval
    keys = f"{asked.min_approvals} keys" + ("" if asked.requester_may_approve else " beside the proposer's")
    keys += ", with one-time codes" if asked.step_up else ""
    typer.echo(f"{book.id} {book.version}  {library.status(book)}\n{book.title}")
    typer.echo(f"risk {book.risk.value}: {keys}, within {asked.expires_in_s / 60:.0f} min")
    typer.echo(f"reversible {book.reversible}   break-glass {'yes' if book.break_glass else 'no'}")
    typer.echo("never more than: " + (", ".join(f"{n} {name}" for name, n in book.blast_max.items()) or "-"))
    typer.echo(f"digest sha256:{book.digest}")
    for param in book.params:
        source = f", from {param.source}" if param.source else ""
        default = f", else {param.default}" if param.default is not None else ""
        need = "required" if param.required else "optional"
        typer.echo(f"  param {param.name}: {param.type}, {need}{source}{default}")
    for guard in book.guards:
        typer.echo(f"  guard {guard.id}: {guard.check}")
    for step in book.steps:
        back = f"undo {step.undo.action}" if step.undo else f"irreversible: {step.irreversible}"
        needs = f", needs {', '.join(step.needs)}" if step.needs else ""
        typer.echo(f"  {step.phase:<8} {step.id}: {step.action} ({step.effect.value}){needs}")
        if step.effect.is_write:
            typer.echo(f"           verify {step.verify.check if step.verify else '-'}; {back}")


@app.command()
def check(
    files: list[Path] | None = _FILES,
) -> None:
    """Name file, line and key of every fault; exit 0 when there is none, else 2."""
    if files:
        from twokey.app import declarations
        from twokey.catalog.runbooks import read_runbook
        from twokey.core.errors import Invalid

        faults, notes = list[Invalid](), list[Invalid]()
        count = len(files)
        for path in files:
            try:
                content = path.read_bytes()
            except OSError as error:
                typer.echo(f"{path}:1: {error.strerror}", err=True)
                raise typer.Exit(2) from None
            reading = read_runbook(content, str(path), path.parent, declarations())
            faults += reading.faults
            notes += reading.notes if reading.runbook else ()
    else:
        library = _library()
        faults, notes, count = library.faults(), library.notes(), len(library.readings())
    for note in notes:
        typer.echo(f"note: {_fault_line(note)}")
    for fault in faults:
        typer.echo(_fault_line(fault))
    if faults:
        typer.echo(f"{len(faults)} faults in {count} files", err=True)
        raise typer.Exit(2)
    typer.echo(f"{count} runbooks, no fault")


@app.command()
def plan(
    incident_id: str = typer.Argument(..., metavar="INC-12"),
    runbook_id: str = typer.Argument(..., metavar="ID"),
    parameters: list[str] = typer.Argument(None, metavar="[NAME=VALUE]..."),
    json_: bool = typer.Option(False, "--json", help="Exactly what a key would stand for, as JSON."),
) -> None:
    """Show what a runbook would do for an incident, from fresh reads; proposes nothing. Exit 2 when refused."""
    from twokey import app as wiring
    from twokey.core.runbooks import confirmed_content
    from twokey.core.texts import visible
    from twokey.settings import load
    from twokey.words import say

    given = {name: value for name, _, value in (pair.partition("=") for pair in parameters or [])}
    built = wiring.build(load())
    try:
        made = built.containment.planner.plan(
            built.containment.library.runbook(runbook_id), built.response.shown(incident_id), given
        )
    finally:
        built.store.close()
    if json_:
        typer.echo(json.dumps({"digest": made.digest, **confirmed_content(made)}, ensure_ascii=True))
        return
    typer.echo(
        f"{made.title}\n{made.runbook_id}@{made.runbook_version}  risk {made.risk.value}  {made.target.account}"
    )
    for name, source in made.provenance.items():
        typer.echo(visible(f"  {name}: {json.dumps(made.params.get(name))[:200]} (from: {source})"))
    for touch in made.touches:
        typer.echo(visible(f"  touches {touch.kind} {touch.id} {touch.name}".rstrip()))
    typer.echo(
        "  blast radius: " + (", ".join(f"{n} {name}" for name, n in sorted(made.blast.items())) or "-")
    )
    for number, step in enumerate(made.steps, start=1):
        typer.echo(
            visible(f"  {number}. {step.action} ({step.effect.value}) {json.dumps(dict(step.inputs))[:200]}")
        )
    for warning in made.warnings:
        typer.echo(visible(f"  warning: {say(warning)}"))
    for note in made.notes:
        typer.echo(visible(f"  note: {say(note)}"))
    typer.echo(f"digest sha256:{made.digest}")


@app.command()
def approve(runbook_id: str = typer.Argument(..., metavar="ID"), by: str = _BY) -> None:
    """Write your approval of a runbook into approved.lock; with a second person's it may be proposed."""
    from twokey.catalog.lock import LockLine, read_lock, write_line
    from twokey.core.errors import Invalid

    library = _library()
    book = _require_faultless(library, runbook_id)
    entry = LockLine(book.id, book.version, book.digest, by, time.strftime("%Y-%m-%d", time.gmtime()))
    try:
        before = write_line(library.folder, entry)
    except Invalid as fault:
        typer.echo(_fault_line(fault), err=True)
        raise typer.Exit(2) from None
    if before:
        typer.echo(f"- {before}")
    now = read_lock(library.folder)[book.id]
    typer.echo(f"+ {now}")
    if not now.has_two_names:
        typer.echo(f"a second person's name is missing: twokey runbook approve {book.id} --by NAME", err=True)
    if before and before.digest == entry.digest:
        typer.echo("the same content was approved before")
    elif before and before.version == entry.version:
        typer.echo("note: the content has changed, the version has not", err=True)


@app.command()
def export(
    runbook_id: str = typer.Argument(..., metavar="ID"),
    cacao: bool = typer.Option(False, "--cacao", help="As a CACAO 2.0 playbook, for people: manual steps."),
) -> None:
    """Export one runbook for other tools; what is exported is read there, never executed by us."""
    from twokey.catalog.cacao import playbook
    from twokey.catalog.lock import read_lock

    if not cacao:
        typer.echo("say which format: --cacao", err=True)
        raise typer.Exit(2)
    library = _library()
    book = _require_faultless(library, runbook_id)
    # The day of the approval: the same runbook exports to the same bytes.
    entry = read_lock(library.folder).get(book.id)
    day = entry.date if entry and entry.digest == book.digest else time.strftime("%Y-%m-%d", time.gmtime())
    made = playbook(book, created=f"{day}T00:00:00.000Z")
    typer.echo(json.dumps(made, indent=2, ensure_ascii=False))


def _library() -> FileLibrary:
    from twokey.app import declarations
    from twokey.catalog.library import FileLibrary
    from twokey.settings import load

    return FileLibrary(load().runbooks_dir, declarations())


def _require_faultless(library: FileLibrary, runbook_id: str) -> Runbook:
    reading = library.reading(runbook_id)
    if reading.runbook is None:
        for fault in reading.faults:
            typer.echo(_fault_line(fault), err=True)
        raise typer.Exit(2)
    return reading.runbook


def _fault_line(fault: Invalid) -> str:
    from twokey.catalog.schema import where
    from twokey.core.texts import visible
    from twokey.words import say

    place = where(fault)
    return visible(f"{place}: {say(fault.message)}" if place else say(fault.message))
