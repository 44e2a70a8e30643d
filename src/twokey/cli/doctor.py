"""`twokey doctor`: everything that is missing or wrong, at once, with the mend."""

from __future__ import annotations

import json

import typer


def doctor(json_: bool = typer.Option(False, "--json", help="One JSON object a line.")) -> None:
    """Look at the settings, the files and the database; exit 1 when something must be mended before serving."""
    from twokey.app.doctor import examine
    from twokey.settings import load

    findings = examine(load())
    for finding in findings:
        if json_:
            typer.echo(json.dumps({"part": finding.part, "ok": finding.ok, "says": finding.says}))
        else:
            typer.echo(f"{'ok  ' if finding.ok else 'MEND'}  {finding.part}: {finding.says}")
    if not all(finding.ok for finding in findings):
        raise typer.Exit(1)
