"""Setting the stage for attacks: runbooks of another risk, a crowd of approvers, a hand in the database."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import psycopg

from tests.lab.installation import Installation
from twokey.core.runbooks import Plan
from twokey.demo.company import BUCKETS
from twokey.testing.codes import Authenticator

# every way to choose among the company's buckets: as many different plans
CHOICES = [",".join(some) for size in (1, 2, 3, 4) for some in itertools.combinations(BUCKETS, size)]


def another_choice(world: Installation) -> str:
    """Return buckets that no plan of this installation was for."""
    return CHOICES[len(world.find(Plan)) % len(CHOICES)]


def variant(world: Installation, risk: str) -> str:
    """Write and approve a runbook that protects buckets at another risk; return its id."""
    source = (world.runbooks / "aws.protect-buckets.yaml").read_text()
    name = f"aws.protect-buckets-{risk}"
    text = source.replace("id: aws.protect-buckets", f"id: {name}")
    text = text.replace("risk: high", f"risk: {risk}").replace("profile: high", f"profile: {risk}")
    if risk == "critical":
        text = text.replace("break_glass: true", "break_glass: false").replace(
            "expires_in: 30m", "expires_in: 15m"
        )
    (world.runbooks / f"{name}.yaml").write_text(text)
    approve(world, name)
    return name


def approve(world: Installation, runbook: str) -> None:
    """Put a runbook, as its file is now, among the approved ones."""
    for name in ("tester", "reviewer"):
        done = world.twokey("runbook", "approve", runbook, "--by", name)
        assert done.returncode == 0, done.stdout + done.stderr


def crowd(world: Installation, count: int) -> list[Any]:
    """Add approvers, each with a telephone of their own, and return them: before the bot starts, or while it runs."""
    people, lines, secrets = [], [], []
    for number in range(count):
        name, user = f"k{number}", f"U0K{number}"
        people.append(world.slack.add_user(name, user_id=user))
        account = f"[{{team: {world.slack.team_id}, user: {user}}}]"
        lines.append(
            f'  - {{id: p-{name}, name: K{number}, slack: {account}, roles: [approver], scopes: ["*"], step_up: totp}}\n'
        )
        world.phones[f"p-{name}"] = Authenticator()
        secrets.append(f"p-{name}: {world.phones[f'p-{name}'].secret}\n")
    world.roster.write_text(world.roster.read_text() + "".join(lines))
    totp = world.folder / "totp.yaml"
    totp.write_text(totp.read_text() + "".join(secrets))
    return people


@contextmanager
def database(world: Installation) -> Iterator[Any]:
    """Open the installation's database as somebody who has its password and no manners; each statement is kept."""
    url = world.database_url
    if url.startswith("sqlite:///"):
        with closing(
            sqlite3.connect(url.removeprefix("sqlite:///"), timeout=60, isolation_level=None)
        ) as hand:
            yield hand
        return
    with psycopg.connect(url.replace("postgresql+psycopg://", "postgresql://"), autocommit=True) as link:
        yield link


@contextmanager
def held_back(world: Installation, incident: str = "INC-1") -> Iterator[None]:
    """Let no run of an incident begin, as if another one of it were still going on (SQLite)."""
    columns = "id, kind, payload, lock, state, due, holds, attempts, turn, worker, lease_until, error"
    values = (f"held:{incident}", "execute", '{"plan_id": "-"}', incident, "running")
    with database(world) as hand:
        (due,) = hand.execute("SELECT due FROM job LIMIT 1").fetchone()
        later = f"2999{due[4:]}"
        hand.execute(
            f"INSERT INTO job ({columns}) VALUES (?, ?, ?, ?, ?, ?, 1, 0, 1, 'another', ?, '')",
            (*values, due, later),
        )
        try:
            yield
        finally:
            hand.execute("DELETE FROM job WHERE id = ?", values[:1])
