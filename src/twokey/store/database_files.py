"""SQLite's files: are the ones that we write into still those that a restart would read?"""

from __future__ import annotations

import os
import stat
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

_SETTLED_NS = 3 * 10**9  # longer than the coarsest clock by which a file system dates a change


BESIDE = ("-wal", "-shm", "-line")  # what SQLite and we put beside a database


def make_private(path: str) -> None:
    """Make a new database's file, which only we can read and write; one that is there stays as it is.

    SQLite would make it by the umask, mostly for all to read. What it puts beside it gets the same mode.
    """
    with suppress(OSError):  # it is there, or SQLite will say why it cannot be
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


def readable_by_others(path: str) -> list[str]:
    """Return which files of a database others on the machine can read or write, as `twokey.db 0644`."""
    found = [(name, _looked(name)) for name in (path, *(f"{path}{end}" for end in BESIDE))]
    modes = [(name, stat.S_IMODE(file.st_mode)) for name, file in found if file is not None]
    return [f"{Path(name).name} {mode:04o}" for name, mode in modes if mode & 0o077]


class _Identity(NamedTuple):
    device: int
    inode: int


class _Folder(NamedTuple):
    at: _Identity
    changed_ns: int


class DatabaseFiles:
    """The database's file and its WAL, told by device and inode: a file that was deleted can still be written."""

    def __init__(self, path: str) -> None:
        self._path = os.path.realpath(path)  # the WAL is beside the file that a link leads to
        self._folder = os.path.dirname(self._path)
        self._quiet: _Folder | None = None
        self._database: _Identity | None = None
        self._wal: _Identity | None = None

    def are_there(self) -> bool:
        """Say whether both are the files of the first look, which is taken when a change was kept.

        As long as nothing was made, moved or deleted in their folder, they are. Looking at the WAL itself
        would make every commit dearer: Linux dates a write more exactly after somebody has asked for its date.
        """
        folder = _folder(self._folder)
        if folder is not None and folder == self._quiet:
            return True
        database, wal = _identity(self._path), _identity(f"{self._path}-wal")
        if self._database is None:
            self._database = database
        if self._wal is None:
            self._wal = wal
        are = wal is not None and (database, wal) == (self._database, self._wal)
        # A folder that has only just changed may change again without another date.
        is_settled = folder is not None and folder.changed_ns < time.time_ns() - _SETTLED_NS
        self._quiet = folder if are and is_settled else None
        return are

    @property
    def can_be_saved(self) -> bool:
        """Say whether the database itself is still there: then a lost WAL can be written into it."""
        return self._database is not None and _identity(self._path) == self._database

    def forget(self) -> None:
        """Take the next look as the first one."""
        self._wal = None


def _identity(path: str) -> _Identity | None:
    found = _looked(path)
    return None if found is None else _Identity(found.st_dev, found.st_ino)


def _folder(path: str) -> _Folder | None:
    found = _looked(path)
    if found is None:
        return None
    return _Folder(_Identity(found.st_dev, found.st_ino), found.st_mtime_ns)


def _looked(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)
    except OSError:
        return None
