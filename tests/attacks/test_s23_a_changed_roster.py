"""S23: another roster than the one last seen is on record and told once, even if it was there for one key only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from tests.lab.trials import Proof
from twokey.app import SystemClock
from twokey.cli import roster
from twokey.core.audit import AuditEntry
from twokey.core.notices import Notice, NoticeKind
from twokey.core.people import Role
from twokey.flow.roster_changes import RosterWatch
from twokey.store import open_store
from twokey.testing.people import the_team
from twokey.testing.world import World

ROSTER = Path(__file__).parents[1] / "fixtures" / "rosters" / "good.yaml"


def watched() -> tuple[World, RosterWatch]:
    """Return a world with an incident, whose roster was looked at once."""
    world = World()
    world.incident()
    watch = RosterWatch(world.store, world.clock, world.rosters)
    watch.look()
    return world, watch


def changes(world: World) -> list[AuditEntry]:
    with world.store.read() as look:
        return [entry for entry in look.audit() if entry.action == "roster.changed"]


def told(world: World) -> list[dict[str, str]]:
    with world.store.read() as look:
        duty = [notice for notice in look.find(Notice) if notice.kind is NoticeKind.DUTY]
    assert {notice.messages[0].code for notice in duty} <= {"roster.changed"}
    return [dict(notice.messages[0].params) for notice in duty]


def entries(world: World, *actions: str) -> dict[str, Any]:
    with world.store.read() as look:
        return {entry.action: entry.data for entry in look.audit() if entry.action in actions}


def test_s23_the_first_roster_is_on_record_and_nobody_is_told_of_it() -> None:
    world, watch = watched()
    watch.look()
    (first,) = changes(world)
    assert (first.data["before"], first.data["digest"]) == ("", "r" * 64)
    assert first.data["added"] == ["d-ana", "d-ben", "d-cho", "d-dia", "d-eve", "d-far"]
    assert told(world) == []


def test_s23_who_was_added_removed_or_may_do_something_else_is_told_once(proof: Proof) -> None:
    trials = proof("S23", "a changed roster is on record and told once, with the ids and what changed")
    for _ in trials:
        world, watch = watched()
        world.rosters.change("d-dia", roles=frozenset(Role), scopes=("111122223333",))
        for _ in range(3):
            watch.look()
        world.rosters.without("d-ben")
        watch.look()
        _, rights, removed = changes(world)
        assert rights.data["changed"] == {"d-dia": ["roles", "scopes"]}
        assert (removed.data["removed"], removed.data["before"]) == (["d-ben"], rights.data["digest"])
        assert told(world) == [
            {"added": "-", "removed": "-", "changed": "d-dia"},
            {"added": "-", "removed": "d-ben", "changed": "-"},
        ]
        trials.outcome("told once", 2)


def test_s23_a_roster_that_was_there_for_one_key_only_is_on_record(proof: Proof) -> None:
    """An attacker makes dia an approver, turns her key and puts the file back before the next look."""
    for _ in (trials := proof("S23", "a roster that was there for one key only is on record")):
        world, watch = watched()
        plan = world.proposes("ana")
        world.rosters.change("d-dia", roles=frozenset(Role))
        world.approves("dia", plan)
        world.rosters.roster = the_team()
        watch.look()
        assert [entry.data["changed"] for entry in changes(world)[1:]] == [{"d-dia": ["roles"]}] * 2
        assert len(told(world)) == 2
        assert entries(world, "approved")["approved"]["roster"] == "y" * 64
        trials.outcome("told")


def test_s23_what_was_decided_carries_the_digest_of_its_roster() -> None:
    world, _ = watched()
    plan = world.proposes("ana")
    world.approves("ben", plan)
    world.works_on(3)
    data = entries(world, "proposed", "approved", "run.started")
    assert len(data) == 3
    assert {one["roster"] for one in data.values()} == {"r" * 64}


def test_s23_a_roster_that_cannot_be_read_is_not_a_change() -> None:
    world, watch = watched()
    world.rosters.unreadable()
    watch.look()
    assert len(changes(world)) == 1


def test_s23_a_code_secret_that_the_shell_replaced_is_on_record_and_told(tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path / 'twokey.db'}"
    open_store(database, SystemClock()).close()
    env = {
        "TWOKEY_DATABASE_URL": database,
        "TWOKEY_ROSTER_FILE": str(ROSTER),
        "TWOKEY_TOTP_FILE": str(tmp_path / "totp"),
    }
    for words in ([], ["--replace"]):
        done = CliRunner().invoke(roster.app, ["totp", "mika.sato", *words], env=env)
        assert done.exit_code == 0, done.output
    store = open_store(database, SystemClock())
    with store.read() as look:
        made, replaced = look.audit()
        notices = look.find(Notice)
    store.close()
    assert (made.action, replaced.action) == ("totp.made", "totp.replaced")
    assert (replaced.actor.id, replaced.data) == ("system:shell", {"person": "mika.sato"})
    assert [notice.messages[0].code for notice in notices] == ["roster.totp_made", "roster.totp_replaced"]
    assert "secret=" not in repr((made, replaced, notices))


def test_s23_a_shell_without_the_record_says_that_nobody_was_told(tmp_path: Path) -> None:
    env = {
        "TWOKEY_DATABASE_URL": f"sqlite:///{tmp_path / 'none.db'}",
        "TWOKEY_ROSTER_FILE": str(ROSTER),
        "TWOKEY_TOTP_FILE": str(tmp_path / "totp"),
    }
    done = CliRunner().invoke(roster.app, ["totp", "mika.sato"], env=env)
    assert done.exit_code == 0
    assert "nobody was told" in done.stderr
    assert not (tmp_path / "none.db").exists()
