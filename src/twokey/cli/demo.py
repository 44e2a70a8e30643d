"""`twokey demo`: the whole story on this machine."""

from __future__ import annotations

import typer


def demo(
    json_: bool = typer.Option(
        False, "--json", help="Print one JSON object of what was observed, nothing else."
    ),
    keep: bool = typer.Option(False, "--keep", help="Keep the demo's folder (database, post-mortem, logs)."),
    language: str = typer.Option("en", help="en or ja."),
) -> None:
    """Tell the whole story on this machine, without accounts: an attack, two keys, a containment, a post-mortem.

    The bot, Bolt, boto3 and the database are the real ones; Slack and AWS are emulators on the loopback address.
    """
    from twokey.demo import run

    raise typer.Exit(run(as_json=json_, keep=keep, language=language))
