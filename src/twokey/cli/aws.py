"""`twokey aws`: what twokey needs in AWS, shown and, where it is told to, made."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from twokey.providers.aws.setup import Difference, Stack

app = typer.Typer(help="What twokey needs in AWS.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def _aws() -> None:
    """What twokey needs in AWS."""


@app.command("setup")
def setup(
    apply: bool = typer.Option(False, "--apply", help="Make it: show what would change, ask, and do it."),
    yes: bool = typer.Option(False, "--yes", help="Do not ask."),
    region: str = typer.Option("", "--region", help="Another Region than TWOKEY_AWS_REGION."),
    stack: str = typer.Option(
        "twokey-notifications", "--stack", help="The name of the CloudFormation stack."
    ),
    queue: str = typer.Option("twokey-findings", "--queue", help="The name of the queue."),
    json_: bool = typer.Option(False, "--json", help="JSON; without --yes nothing is made."),
) -> None:
    """Print the CloudFormation of rules, queue and dead-letter queue, or make it with --apply."""
    from dataclasses import asdict

    from twokey.providers.aws.setup import template
    from twokey.settings import data_folder

    text = template(data_folder("deploy"))
    if not apply:
        typer.echo(json.dumps({"stack": stack, "template": text}) if json_ else text.rstrip("\n"))
        return
    wanted = _stack(text, stack, region, queue)
    difference = wanted.difference()
    if not json_:
        _show(difference)
    goes = bool(difference.changes) and (yes or (not json_ and _agreed(wanted, difference)))
    if not goes:
        wanted.discard(difference)
    outputs = wanted.apply(difference) if goes or not difference.changes else {}
    if json_:
        shown = {name: value for name, value in asdict(difference).items() if name != "change_set"}
        typer.echo(json.dumps({**shown, "applied": goes, "outputs": outputs}))
        return
    if goes:
        typer.echo("done")
    elif difference.changes:
        typer.echo("nothing was changed")
    if "QueueUrl" in outputs:
        typer.echo(f"TWOKEY_AWS_QUEUES={outputs['QueueUrl']}")


def _stack(text: str, name: str, region: str, queue: str) -> Stack:
    from dataclasses import replace

    from twokey.app import SystemClock
    from twokey.providers.aws.module import AwsModule
    from twokey.providers.aws.session import AwsSession
    from twokey.providers.aws.setup import Stack
    from twokey.providers.aws.wiring import options_of
    from twokey.settings import load

    options = options_of(load().module(AwsModule).settings)
    session = AwsSession(replace(options, region=region or options.region), SystemClock())
    return Stack(session, text, name, {"QueueName": queue})


def _agreed(stack: Stack, difference: Difference) -> bool:
    """Ask; no answer at all is no."""
    where = f"account {difference.account}, Region {difference.region}"
    try:
        return typer.confirm(f"Make these {len(difference.changes)} changes in {where}?")
    except typer.Abort:
        stack.discard(difference)
        raise


_REPLACES = {"True": "  REPLACES THE OLD ONE", "Conditional": "  may replace the old one"}


def _show(difference: Difference) -> None:
    kind = "new stack" if difference.is_new else "stack"
    typer.echo(f"{kind} {difference.stack} in account {difference.account}, Region {difference.region}")
    for change in difference.changes:
        parts = f" ({', '.join(change.parts)})" if change.parts else ""
        warning = _REPLACES.get(change.replacement, "") if change.action == "Modify" else ""
        typer.echo(f"  {change.action:<7} {change.name} {change.type}{parts}{warning}")
    if not difference.changes:
        typer.echo("  nothing to change")
