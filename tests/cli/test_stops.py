"""`twokey stops` says where acting is stopped, and makes what people wrote harmless."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from twokey.cli import app
from twokey.store import open_store
from twokey.testing.clocks import SettableClock
from twokey.testing.clouds import ACCOUNT
from twokey.testing.world import World


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Return a world whose record the command reads."""
    url = f"sqlite:///{tmp_path / 'record.db'}"
    monkeypatch.setenv("TWOKEY_DATABASE_URL", url)
    clock = SettableClock()
    store = open_store(url, clock)
    return World(store=store, queue=store.jobs(), clock=clock)


def stops(*options: str) -> str:
    result = CliRunner().invoke(app, ["stops", *options], catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


def test_where_nothing_is_stopped_it_says_so(world: World) -> None:
    assert stops() == "acting is stopped nowhere\n"
    assert stops("--json") == ""


def test_what_is_stopped_is_listed_and_what_is_lifted_is_not(world: World) -> None:
    flow = world.containment.stops
    flow.stop("all", world.who("ana"), "who is \x1b[2J this")
    flow.stop(ACCOUNT, world.who("dia"), "the wrong user")
    lines = stops().splitlines()
    assert [line.split()[0] for line in lines] == ["all", ACCOUNT]
    assert "\x1b" not in lines[0]
    rows = [json.loads(line) for line in stops("--json").splitlines()]
    assert [(row["where"], row["kind"], row["by"]) for row in rows] == [
        ("all", "switch", "d-ana"),
        (ACCOUNT, "switch", "d-dia"),
    ]
    for name in ("ana", "ben"):
        shown, _ = flow.to_lift("all", world.who(name))
        flow.resume("all", world.who(name), shown=shown.seq, code=world.code())
    assert [line.split()[0] for line in stops().splitlines()] == [ACCOUNT]
