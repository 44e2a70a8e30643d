"""The commands of the program. Each is imported when it runs, with what it needs: `--help` must be quick."""

from __future__ import annotations

import sys

import typer

from twokey.cli.lazily import LazyCommand, LazyGroup


class Commands(LazyGroup):
    """Every command and group, as `twokey --help` lists them."""

    lines = (
        LazyCommand("demo", "demo:demo", "Tell the whole story on this machine, without accounts."),
        LazyCommand("serve", "serve:serve", "Run the bot: Slack, the web door, the queues and the work."),
        LazyCommand("worker", "serve:worker", "Run owed work only, beside a bot on Postgres."),
        LazyCommand("classify", "classify:classify", "Say whose side each event is on, and why."),
        LazyCommand("replay", "replay:replay", "Put recorded notifications into the record."),
        LazyCommand("migrate", "migrate:migrate", "Create the tables, or bring them forward."),
        LazyCommand("doctor", "doctor:doctor", "Look at the settings, the files and the database."),
        LazyCommand("rules", "rules:app", "Classification rules: check, test, explain."),
        LazyCommand("incidents", "incidents:app", "What the bot knows about incidents."),
        LazyCommand("stops", "stops:stops", "Where acting is stopped, by whom and why."),
        LazyCommand(
            "inforce", "inforce:inforce", "What is contained now, by which plan, and who answers for it."
        ),
        LazyCommand("runbook", "runbook:app", "Containments written down: review, check, approve."),
        LazyCommand("roster", "roster:app", "The people who may act."),
        LazyCommand("postmortem", "postmortem:app", "Post-mortems: draft, revise, publish."),
        LazyCommand("audit", "audit:app", "The audit trail: what was done, by whom, and its proof."),
        LazyCommand("aws", "aws:app", "What twokey needs in AWS."),
        LazyCommand("azure", "azure:app", "Azure's side of the notifications."),
        LazyCommand("report", "report:app", "What the record says about a period."),
        LazyCommand("slack", "slack:app", "What Slack has to be told about the bot."),
        LazyCommand("permissions", "permissions:app", "Least-privilege policies, made from the actions."),
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
