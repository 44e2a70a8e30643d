"""The reference page says what the code declares."""

from __future__ import annotations

import re
from pathlib import Path

from twokey.ports import Cloud

PAGE = Path(__file__).resolve().parents[3] / "docs" / "reference" / "azure-actions.md"


def rows(text: str) -> dict[str, list[list[str]]]:
    """Return the table rows that begin with a name in code: name -> the code words of each further cell."""
    found = {}
    for line in text.splitlines():
        cells = line.strip("|").split("|")
        name = re.fullmatch(r"\s*`(azure\.[a-z0-9_.]+)`\s*", cells[0])
        if name:
            found[name[1]] = [re.findall(r"`([^`]+)`", cell) or [cell.strip()] for cell in cells[1:]]
    return found


def test_actions_are_described_as_they_are(azure: Cloud) -> None:
    table = rows(PAGE.read_text())
    for name, action in azure.actions.items():
        effect, inputs, outputs, permissions = table[name]
        assert effect == [action.effect.value]
        assert inputs == list(action.inputs)
        assert outputs == list(action.outputs)
        assert permissions == list(action.permissions)


def test_checks_are_described_as_they_are(azure: Cloud) -> None:
    table = rows(PAGE.read_text())
    for name, check in azure.checks.items():
        inputs, permissions = table[name]
        assert inputs == list(check.inputs)
        assert permissions == (list(check.permissions) or ["none"])


def test_every_parameter_type_is_named(azure: Cloud) -> None:
    text = PAGE.read_text()
    assert all(f"`{name}`" in text for name in azure.parameter_types)
