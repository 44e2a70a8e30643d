"""SQLite's files: one that was deleted, replaced or moved away is noticed at the very next change."""

import os
import shutil
import time
from pathlib import Path

import pytest

from twokey.store.database_files import DatabaseFiles

OLD = time.time() - 60


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder in which nothing changed for a minute, with a database and its WAL."""
    made = tmp_path / "data"
    made.mkdir()
    for name in ("record.db", "record.db-wal"):
        (made / name).write_bytes(b"x")
    os.utime(made, (OLD, OLD))
    return made


@pytest.fixture
def known(folder: Path) -> DatabaseFiles:
    known = DatabaseFiles(str(folder / "record.db"))
    assert known.are_there()
    assert known.are_there()
    return known


def looks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    seen: list[str] = []
    look = os.stat

    def told(path: str) -> os.stat_result:
        seen.append(os.path.basename(path))
        return look(path)

    monkeypatch.setattr("twokey.store.database_files.os.stat", told)
    return seen


def test_as_long_as_nothing_happens_in_the_folder_only_the_folder_is_looked_at(known, monkeypatch):
    seen = looks(monkeypatch)
    assert known.are_there()
    assert seen == ["data"]


def test_a_folder_that_changed_a_moment_ago_may_do_so_again_unseen(folder, monkeypatch):
    """Two changes within one tick of a file system's clock have one date."""
    now = time.time()
    os.utime(folder, (now, now))
    known = DatabaseFiles(str(folder / "record.db"))
    assert known.are_there()
    (folder / "record.db-wal").unlink()
    os.utime(folder, (now, now))
    assert not known.are_there()


@pytest.mark.parametrize("name", ["record.db", "record.db-wal"])
def test_a_deleted_file_is_noticed(known, folder, name):
    (folder / name).unlink()
    assert not known.are_there()
    assert not known.are_there()


@pytest.mark.parametrize("name", ["record.db", "record.db-wal"])
def test_a_file_put_in_its_place_is_noticed(known, folder, name):
    shutil.copy(folder / name, folder / "new")
    os.replace(folder / "new", folder / name)
    assert not known.are_there()


def test_a_folder_moved_away_is_noticed(known, folder):
    folder.rename(folder.with_name("old"))
    assert not known.are_there()
    shutil.copytree(folder.with_name("old"), folder)
    os.utime(folder, (OLD, OLD))
    assert not known.are_there()


def test_another_file_beside_them_changes_nothing(known, folder):
    (folder / "note").write_text("x")
    assert known.are_there()


def test_a_link_to_the_database_is_followed(folder, tmp_path):
    (tmp_path / "record.db").symlink_to(folder / "record.db")
    known = DatabaseFiles(str(tmp_path / "record.db"))
    assert known.are_there()
    (folder / "record.db-wal").unlink()
    assert not known.are_there()
