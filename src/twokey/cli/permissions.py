"""`twokey permissions`: the least that each cloud must grant, made from what the actions and checks declare."""

from __future__ import annotations

import json
from pathlib import Path

import typer

from twokey.clouds import CLOUDS
from twokey.ports import CloudModule

app = typer.Typer(
    help="Least-privilege policies, made from the actions.", no_args_is_help=True, rich_markup_mode=None
)

_OUT = typer.Option(None, "--out", help="A folder: write one JSON file a policy instead of printing them.")


def _command(module: CloudModule) -> None:
    @app.command(module.name, help=module.policies.__doc__)
    def policies(out: Path | None = _OUT) -> None:
        documents = module.policies()
        if out is None:
            typer.echo(json.dumps(documents, indent=2))
            return
        out.mkdir(parents=True, exist_ok=True)
        for name, document in documents.items():
            (out / name).write_text(json.dumps(document, indent=2) + "\n")
            typer.echo(str(out / name))


for _module in CLOUDS:
    _command(_module)
