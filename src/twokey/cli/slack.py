"""`twokey slack`: what Slack has to be told about the bot."""

from __future__ import annotations

import typer

app = typer.Typer(name="slack", help="What Slack has to be told about the bot.", no_args_is_help=True)

_HTTP = typer.Option(
    "", "--http", metavar="URL", help="Signed HTTP at this https address instead of Socket Mode."
)
_COMMAND = typer.Option("/twokey", "--command", metavar="NAME", help="The slash command, e.g. /incident-bot.")
_NAME = typer.Option("twokey", "--name", help="How the bot is called in Slack.")


@app.callback()
def _slack() -> None:
    """What Slack has to be told about the bot."""


@app.command("manifest")
def manifest(http: str = _HTTP, command: str = _COMMAND, name: str = _NAME) -> None:
    """Print the app manifest, made from the code: paste it at api.slack.com/apps, "From a manifest"."""
    import json

    from twokey.chat.slack.manifest import manifest as made

    typer.echo(json.dumps(made(command, http=http, name=name), indent=2, ensure_ascii=False))
