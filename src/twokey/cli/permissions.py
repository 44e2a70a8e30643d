"""`twokey permissions`: the least that each cloud must grant, made from what the actions and checks declare."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import typer

app = typer.Typer(
    help="Least-privilege policies, made from the actions.", no_args_is_help=True, rich_markup_mode=None
)

_OUT = typer.Option(None, "--out", help="A folder: write one JSON file a policy instead of printing them.")


@app.command("aws")
def aws(out: Path | None = _OUT) -> None:
    """Print the IAM policies: planner and executor, for member accounts and for the organisation's own."""
    from twokey.providers.aws.permissions import declared, files

    _give(files(declared()), out)


@app.command("azure")
def azure(out: Path | None = _OUT) -> None:
    """Print the custom roles: to look only, to contain, to take from a queue, and to run the setup."""
    from twokey.providers.azure.permissions import custom_role, queue_role, setup_role

    roles = {
        "custom-role-observer.json": custom_role(with_writes=False),
        "custom-role-queue.json": queue_role(),
        "custom-role-setup.json": setup_role(),
        "custom-role.json": custom_role(),
    }
    _give(roles, out)


def _give(documents: Mapping[str, object], out: Path | None) -> None:
    if out is None:
        typer.echo(json.dumps(documents, indent=2))
        return
    out.mkdir(parents=True, exist_ok=True)
    for name, document in documents.items():
        (out / name).write_text(json.dumps(document, indent=2) + "\n")
        typer.echo(str(out / name))
