"""The commands of the program. Each is imported when it runs, with what it needs: `--help` must be quick."""

from __future__ import annotations

import sys

import typer

from twokey.cli.lazily import Lazily, Line


class Commands(Lazily):
    """Every command and group, as `twokey --help` lists them."""

    lines = (
        Line("demo", "demo:demo", "Tell the whole story on this machine, without accounts."),
        Line("serve", "serve:serve", "Run the bot: Slack, the web door, the queues and the work."),
        Line("worker", "serve:worker", "Run owed work only, beside a bot on Postgres."),
        Line("classify", "classify:classify", "Say whose side each event is on, and why."),
        Line("replay", "replay:replay", "Put recorded notifications into the record."),
        Line("migrate", "migrate:migrate", "Create the tables, or bring them forward."),
        Line("doctor", "doctor:doctor", "Look at the settings, the files and the database."),
        Line("rules", "rules:app", "Classification rules: check, test, explain."),
        Line("incidents", "incidents:app", "What the bot knows about incidents."),
        Line("runbook", "runbook:app", "Containments written down: review, check, approve."),
        Line("roster", "roster:app", "The people who may act."),
        Line("postmortem", "postmortem:app", "Post-mortems: draft, revise, publish."),
        Line("audit", "audit:app", "The audit trail: what was done, by whom, and its proof."),
        Line("aws", "aws:app", "What twokey needs in AWS."),
        Line("azure", "azure:app", "Azure's side of the notifications."),
        Line("report", "report:app", "What the record says about a period."),
        Line("slack", "slack:app", "What Slack has to be told about the bot."),
        Line("permissions", "permissions:app", "Least-privilege policies, made from the actions."),
    )


app = typer.Typer(
    name="twokey",
    cls=Commands,
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


def main() -> None:
    """Run the command line; an expected error is one sentence on stderr and exit code 2."""
    from twokey.core.errors import TwokeyError

    try:
        app()
    except TwokeyError as fault:
        from twokey.app.faults import as_sentence

        print(f"twokey: {as_sentence(fault)}", file=sys.stderr)
        sys.exit(2)
