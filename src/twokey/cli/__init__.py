"""The commands of the program. Each imports what it needs when it runs: `--help` must be quick."""

from __future__ import annotations

import sys

import typer

from twokey.cli import (
    audit,
    aws,
    azure,
    classify,
    demo,
    doctor,
    incidents,
    migrate,
    permissions,
    postmortem,
    replay,
    report,
    roster,
    rules,
    runbook,
    serve,
    slack,
)

app = typer.Typer(
    name="twokey",
    help="Whose side is a cloud incident on, and two people before anything is contained.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _version(wanted: bool) -> None:
    if wanted:
        from twokey import __version__

        typer.echo(f"twokey {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version."
    ),
) -> None:
    """Whose side is a cloud incident on, and two people before anything is contained."""


app.command("demo")(demo.demo)
app.command("serve")(serve.serve)
app.command("worker")(serve.worker)
app.command("classify")(classify.classify)
app.command("replay")(replay.replay)
app.command("migrate")(migrate.migrate)
app.command("doctor")(doctor.doctor)
app.add_typer(rules.app, name="rules")
app.add_typer(incidents.app, name="incidents")
app.add_typer(runbook.app, name="runbook")
app.add_typer(roster.app, name="roster")
app.add_typer(postmortem.app, name="postmortem")
app.add_typer(audit.app, name="audit")
app.add_typer(aws.app, name="aws")
app.add_typer(azure.app, name="azure")
app.add_typer(report.app, name="report")
app.add_typer(slack.app, name="slack")
app.add_typer(permissions.app, name="permissions")


def main() -> None:
    """Run the command line; an expected error is one sentence on stderr and exit code 2."""
    from twokey.core.errors import TwokeyError

    try:
        app()
    except TwokeyError as fault:
        from twokey.app.faults import told

        print(f"twokey: {told(fault)}", file=sys.stderr)
        sys.exit(2)
