"""`twokey azure setup`: what has to stand in Azure so that it tells twokey, compared, made, and tried."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from twokey.providers.azure.setup import Change

app = typer.Typer(help="Azure's side of the notifications.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def _azure() -> None:
    """Azure's side of the notifications."""


@app.command("setup")
def setup(
    address: str = typer.Option(
        ..., "--address", help="How Azure reaches twokey: https://<host>, without the secret."
    ),
    resource_group: str = typer.Option(
        ..., "--resource-group", help="Where the action group and the alert rules are kept; it must exist."
    ),
    webhook: str = typer.Option(
        "", "--webhook", help="Which of TWOKEY_AZURE_WEBHOOKS; may be left out if there is one."
    ),
    subscription: list[str] = typer.Option(
        [], "--subscription", help="A subscription; all of TWOKEY_AZURE_SUBSCRIPTIONS when none is named."
    ),
    kind: list[str] = typer.Option(
        [],
        "--kind",
        help="service-health, resource-health, security, storage-writes; all when none is named.",
    ),
    object_id: str = typer.Option(
        "", "--object-id", help="Of twokey's registration in Entra, where the webhook wants a token."
    ),
    apply: bool = typer.Option(False, "--apply", help="Make and change what differs. Without it nothing is."),
    test: str = typer.Option(
        "",
        "--test",
        help="Afterwards have Azure send its own test: servicehealth, resourcehealth, activitylog.",
    ),
    json_: bool = typer.Option(False, "--json", help="One JSON object a line."),
) -> None:
    """Show what differs in each subscription; --apply brings it there, and never removes anything."""
    from twokey.providers.azure.module import AzureModule
    from twokey.providers.azure.wiring import setups_of
    from twokey.settings import load

    setups = setups_of(
        load().module(AzureModule).settings,
        address,
        resource_group,
        webhook=webhook,
        subscriptions=tuple(subscription),
        kinds=tuple(kind),
        object_id=object_id,
    )
    for one in setups:
        _print_changes(one.apply() if apply else one.changes(), apply, json_)
        if test:
            results = one.test(test)
            if json_:
                typer.echo(json.dumps({"test": results, "subscription": one.subscription}))
            else:
                each = ", ".join(f"{name}: {status}" for name, status in results.items())
                typer.echo(f"tested {one.subscription}: {each}")


def _print_changes(changes: Sequence[Change], applied: bool, json_: bool) -> None:
    from dataclasses import asdict

    for change in changes:
        if json_:
            typer.echo(json.dumps({**asdict(change), "applied": applied and change.act != "keep"}))
            continue
        typer.echo(f"{change.act:<7}{change.kind} {change.name} in {change.subscription}")
        for one in change.differences:
            typer.echo(f"         {one.field}: {one.before or '(none)'} -> {one.after}")
    if not applied and not json_ and any(change.act != "keep" for change in changes):
        typer.echo("Nothing was changed. --apply does what is shown.")
