"""The list of commands: quick because nothing is loaded for it, and true all the same."""

from __future__ import annotations

import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from twokey.cli import Commands, app

LINES = {line.name: line for line in Commands.lines}


@pytest.mark.parametrize("name", LINES)
def test_every_line_leads_to_a_command_that_explains_itself(name: str) -> None:
    shown = CliRunner().invoke(app, [name, "--help"])
    assert shown.exit_code == 0, shown.output
    assert f"{name} [OPTIONS]" in shown.output


def test_the_list_shows_every_line_whole() -> None:
    shown = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "80"}).output
    for line in Commands.lines:
        assert f"  {line.name} " in shown
        assert line.about in shown, f"{line.name}: shorten it, it was cut or folded"


def test_the_list_loads_no_command() -> None:
    loaded = "import sys, twokey.cli; print([m for m in sys.modules if m.startswith('twokey.cli.')])"
    told = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True).stdout
    assert told.strip() == "['twokey.cli.lazily']"


def test_a_command_that_is_not_there_is_refused_with_the_nearest() -> None:
    told = CliRunner().invoke(app, ["demox"])
    assert told.exit_code == 2
    assert "Did you mean 'demo'" in told.output
    assert set(typer.main.get_command(app).commands) == set(LINES)  # type: ignore[attr-defined]
