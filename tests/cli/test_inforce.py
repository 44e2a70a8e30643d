"""`twokey inforce` lists what is contained, for people and for scripts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from twokey.cli import app
from twokey.core.runbooks import Plan
from twokey.store import open_store
from twokey.testing.clocks import SettableClock
from twokey.testing.clouds import ACCOUNT
from twokey.testing.world import World


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plan:
    """Return a run that contained something, in the record that the commands read."""
    clock, path = SettableClock(), tmp_path / "record.db"
    store = open_store(f"sqlite:///{path}", clock)
    world = World(store=store, queue=store.jobs(), clock=clock)
    world.incident()
    made = world.contains()
    store.close()
    monkeypatch.setenv("TWOKEY_DATABASE_URL", f"sqlite:///{path}")
    return made


def listed(*options: str) -> list[str]:
    result = CliRunner().invoke(app, ["inforce", *options], catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout.splitlines()


@pytest.mark.parametrize("which", [(), ("INC-1",), (ACCOUNT,)])
def test_scripts_get_every_field(plan: Plan, which: tuple[str, ...]) -> None:
    rows = [json.loads(line) for line in listed(*which, "--json")]
    assert [row["id"] for row in rows] == [f"{plan.id}/deactivate_key", f"{plan.id}/deny_user"]
    first = rows[0]
    assert (first["state"], first["where"], first["plan"]) == ("in-force", ACCOUNT, plan.short)
    assert (first["keys"], first["owner"], first["incident"]) == (["d-ana", "d-ben"], "d-ana", "INC-1")
    assert first["since"] == first["last_seen"]
    assert first["review_at"] > first["since"]
    assert "deploy" in first["what"]


def test_people_get_a_line_for_each_and_how_many_there_are(plan: Plan) -> None:
    lines = listed()
    assert plan.short in lines[0]
    assert lines[-1] == "2 in force"


@pytest.mark.usefixtures("plan")
def test_another_account_has_none() -> None:
    assert listed("999900001111") == ["0 in force"]
    assert listed("999900001111", "--json") == []
