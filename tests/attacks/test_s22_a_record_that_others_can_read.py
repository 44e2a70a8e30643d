"""S22: a new record on SQLite is its owner's alone, whatever the umask; an older one that is not is told."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.trials import Proof
from twokey.app.doctor import examine
from twokey.core.people import system
from twokey.settings import load
from twokey.store import open_store
from twokey.store.database_files import BESIDE
from twokey.testing.clocks import SystemClock


@pytest.fixture
def umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.mark.usefixtures("umask")
@pytest.mark.parametrize("mask", [0o000, 0o002, 0o022, 0o027, 0o077])
@pytest.mark.parametrize("migrate", [True, False], ids=["migrated", "made by itself"])
def test_s22_a_new_record_is_its_owners_alone_whatever_the_umask(
    tmp_path: Path, mask: int, migrate: bool, proof: Proof
) -> None:
    path = tmp_path / "record.db"
    for _ in (trials := proof("S22", "a new record is its owner's alone, whatever the umask")):
        os.umask(mask)
        store = open_store(f"sqlite:///{path}", SystemClock(), migrate=migrate)
        with store.change() as tx:
            tx.append(system("test"), "noted")
        modes = {name.name: name.stat().st_mode & 0o777 for name in tmp_path.iterdir()}
        store.close()
        assert set(modes) == {"record.db", *(f"record.db{end}" for end in BESIDE)}
        assert set(modes.values()) == {0o600}
        trials.outcome("0600", len(modes))


@pytest.mark.usefixtures("umask")
def test_s22_a_record_that_others_can_read_is_told_by_the_doctor_and_opened(tmp_path: Path) -> None:
    path = tmp_path / "record.db"
    settings = load({"TWOKEY_DATABASE_URL": f"sqlite:///{path}"})

    def told() -> tuple[bool, str]:
        (finding,) = [one for one in examine(settings) if one.part == "database"]
        return finding.ok, finding.says

    assert told()[0]
    assert "others" not in told()[1]
    path.chmod(0o644)
    is_ok, says = told()
    assert is_ok, "it is told, and not refused"
    assert says.endswith(f"others on the machine can read record.db 0644: chmod 600 {path}*")
