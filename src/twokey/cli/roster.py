"""`twokey roster`: the people who may act, and their one-time-code secrets."""

from __future__ import annotations

import json
from pathlib import Path

import typer

app = typer.Typer(help="The people who may act.", no_args_is_help=True, rich_markup_mode=None)

_FILE = typer.Argument(None, help="A roster file; the configured one when none is named.")


@app.command()
def check(
    file: Path | None = _FILE,
) -> None:
    """Name file, line and key of every fault; exit 0 when there is none, else 2."""
    from twokey.catalog.roster import read_roster
    from twokey.catalog.schema import where
    from twokey.clouds import CLOUDS
    from twokey.core.errors import message
    from twokey.core.texts import visible
    from twokey.file_access import others_may_write
    from twokey.settings import load
    from twokey.words import say

    path = file or load().roster_file
    try:
        with path.open("rb") as opened:
            writable = others_may_write(path, opened.fileno())
            content = opened.read()
    except OSError as error:
        typer.echo(f"{path}:1: {error.strerror}", err=True)
        raise typer.Exit(2) from None
    if writable:
        typer.echo(f"{path}:1: {say(message('refused.roster_writable', problem=writable))}")
        raise typer.Exit(2)
    roster, faults = read_roster(content, str(path), [module.scope for module in CLOUDS])
    for fault in faults:
        typer.echo(visible(f"{where(fault)}: {say(fault.message)}"))
    if faults:
        typer.echo(f"{len(faults)} faults: nobody may act while there is one", err=True)
        raise typer.Exit(2)
    typer.echo(f"{len(roster.people)} people, no fault")


@app.command("list")
def list_(json_: bool = typer.Option(False, "--json", help="One JSON object a line.")) -> None:
    """List everybody who may act, with their roles and what these hold for."""
    from twokey.app import build_rosters
    from twokey.settings import load

    for person in build_rosters(load()).current().people:
        row = {
            "id": person.id,
            "name": person.name,
            "roles": sorted(role.value for role in person.roles),
            "scopes": list(person.scopes),
            "accounts": [f"{account.team}/{account.user}" for account in person.accounts],
            "step_up": "totp" if person.has_step_up else "none",
        }
        if json_:
            typer.echo(json.dumps(row, ensure_ascii=False))
        else:
            texts = (value if isinstance(value, str) else ",".join(value) or "-" for value in row.values())
            typer.echo("  ".join(texts))


@app.command()
def totp(
    person: str = typer.Argument(..., metavar="PERSON", help="The person's id in the roster."),
    replace: bool = typer.Option(False, "--replace", help="Make a new secret; the old one stops working."),
) -> None:
    """Make a person's one-time-code secret, and print once the address that their app reads."""
    from twokey.app import SystemClock, build_rosters, look_at_record
    from twokey.core.errors import NotFound
    from twokey.core.texts import nearest
    from twokey.flow.roster_changes import note_new_secret
    from twokey.settings import load
    from twokey.stepup import has_secret, new_secret

    settings = load()
    roster = build_rosters(settings).current()
    found = roster.person(person)
    if found is None:
        near = nearest(person, (p.id for p in roster.people))
        raise NotFound(
            "roster.unknown_person_near" if near else "roster.unknown_person", person=person, nearest=near
        )
    try:
        record = look_at_record(settings)
    except NotFound:
        record = None
    is_another = has_secret(settings.totp_file, person)
    made = new_secret(settings.totp_file, person, replace=replace)
    if record is None:
        typer.echo("No record here: it is in no trail, and nobody was told.", err=True)
    else:
        note_new_secret(record, SystemClock(), found, is_another=is_another)
        record.close()
    typer.echo(made)
    typer.echo(
        "Give this to the person alone: who has it can make their codes. It is not shown again.", err=True
    )


@app.command()
def passkeys(
    json_: bool = typer.Option(
        False, "--json", help="What the roster has, one JSON object a line: for `twokey audit judge`."
    ),
) -> None:
    """Print the lines of passkeys that were confirmed and are not in the roster, or with --json those that are."""
    from twokey.app import build_rosters, look_at_record
    from twokey.core.passkeys import Enrolment, fingerprint
    from twokey.settings import load

    settings = load()
    roster = build_rosters(settings).current()
    known = {key.id: person for person in roster.people for key in person.passkeys}
    if json_:
        for person in roster.people:
            for key in person.passkeys:
                row = {"person": person.id, "id": key.id, "public_key": key.public_key}
                typer.echo(json.dumps(row))
        return
    store = look_at_record(settings)
    try:
        with store.read() as look:
            confirmed = look.find(Enrolment, state="confirmed")
    finally:
        store.close()
    waiting = [one for one in confirmed if one.credential not in known]
    for one in waiting:
        typer.echo(f"# {one.person_id}: {fingerprint(one.public_key)}, confirmed by {one.confirmed_by}")
        typer.echo("    passkeys:")
        line = f'id: "{one.credential}", public_key: "{one.public_key}", added: "{one.at:%Y-%m-%d}"'
        typer.echo(f"      - {{{line}}}")
    typer.echo(
        f"{len(waiting)} to add. Compare each fingerprint with its person before you do: a record can be forged.",
        err=True,
    )
