"""`twokey postmortem`: draft, revise and publish what was learned from an incident."""

from __future__ import annotations

import gc
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from twokey.core.people import Actor
    from twokey.flow.review.drafts import Review

app = typer.Typer(
    help="Post-mortems: draft from the record, revise, publish.", no_args_is_help=True, rich_markup_mode=None
)

_INCIDENT = typer.Argument(..., metavar="INC", help="The incident, e.g. INC-12.")
_LANGUAGE = typer.Option("", "--language", help="en or ja; TWOKEY_LANGUAGE when not given.")
_AUDIENCE = typer.Option("internal", "--audience", help="internal or public.")

_FILE = typer.Option(..., "--file", exists=True, dir_okay=False, help="The Markdown to keep.")


@app.command()
def draft(
    incident_id: str = _INCIDENT,
    language: str = _LANGUAGE,
    audience: str = _AUDIENCE,
    stdout: bool = typer.Option(False, "--stdout", help="Print this one version; store nothing."),
) -> None:
    """Draft every version from the record; what a person revised stays as it is."""
    review, spoken = _review(language)
    gc.freeze()  # what was loaded stays: a long trail makes the collector look through everything, again and again
    if stdout:
        sys.stdout.write(review.preview(incident_id, spoken, audience))
        return
    for version in review.draft(incident_id, _operator()):
        state = "revised, left as it is" if version.revised_at else "drafted"
        typer.echo(f"{version.id}  {state}")


@app.command()
def show(incident_id: str = _INCIDENT, language: str = _LANGUAGE, audience: str = _AUDIENCE) -> None:
    """Print a stored version, as it would be published."""
    from twokey.core.errors import NotFound
    from twokey.flow.lookup import canonical_id

    review, spoken = _review(language)
    incident = canonical_id(incident_id)
    for version in review.drafts(incident):
        if (version.language, version.audience) == (spoken, audience):
            sys.stdout.write(version.text)
            return
    raise NotFound("postmortem.not_drafted", incident=incident, language=spoken, audience=audience)


@app.command()
def revise(
    incident_id: str = _INCIDENT,
    file: Path = _FILE,
    language: str = _LANGUAGE,
    audience: str = _AUDIENCE,
) -> None:
    """Put a person's own words in place of a draft."""
    review, spoken = _review(language)
    version = review.revise(incident_id, spoken, audience, file.read_text("utf-8"), _operator())
    typer.echo(f"{version.id}  revised")


@app.command()
def correct(
    incident_id: str = _INCIDENT,
    name: str = typer.Argument(
        ..., help="started, detected, notified, acked, contained, mitigated or resolved."
    ),
    at: str = typer.Argument(..., metavar="TIME", help="With its zone: 2026-11-21T12:00:00+09:00."),
    reason: str = typer.Option(..., "--reason", help="Why; it goes into the audit trail."),
) -> None:
    """Put one of the seven times right; the audit trail keeps the old one."""
    from datetime import datetime

    from twokey.core.errors import Invalid

    try:
        moment = datetime.fromisoformat(at)
    except ValueError:
        raise Invalid("postmortem.time_unreadable", at=at) from None
    review, _ = _review("")
    incident = review.correct(incident_id, name, moment, reason, _operator())
    typer.echo(f"{incident.id}  {name} = {moment.isoformat()}  (draft again to see it)")


@app.command()
def publish(incident_id: str = _INCIDENT, language: str = _LANGUAGE, audience: str = _AUDIENCE) -> None:
    """Publish one version; everything that is not fit is named first. The same text twice is once."""
    from twokey.flow.review.publish import NotReadyError
    from twokey.words import say

    review, spoken = _review(language)
    try:
        version = review.publish(incident_id, spoken, audience, _operator())
    except NotReadyError as refusal:
        for fault in refusal.faults:
            typer.echo(f"twokey: {say(fault)}", err=True)
        raise typer.Exit(2) from None
    typer.echo(f"{version.id}  {version.published_to}")


def _review(language: str) -> tuple[Review, str]:
    from twokey import settings
    from twokey.app import build

    loaded = settings.load()
    return build(loaded).review, language or loaded.language


def _operator() -> Actor:
    """Name who is at the shell: the account that the operating system knows, never one that is claimed."""
    import os
    import pwd

    from twokey.core.people import system

    return system(f"cli:{pwd.getpwuid(os.getuid()).pw_name}")
