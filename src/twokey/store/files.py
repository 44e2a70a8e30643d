"""SQLite's files: are the ones that we write into still those that a restart would read?"""

from __future__ import annotations

import os

_Identity = tuple[int, int] | None


class Files:
    """The database's file and its WAL, told by device and inode: a file that was deleted can still be written."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._database: _Identity = None
        self._wal: _Identity = None

    def are_there(self) -> bool:
        """Say whether both are the files of the first look, which is taken when a change was kept."""
        database, wal = _identity(self._path), _identity(f"{self._path}-wal")
        if self._database is None:
            self._database = database
        if self._wal is None:
            self._wal = wal
        return wal is not None and (database, wal) == (self._database, self._wal)

    @property
    def can_be_saved(self) -> bool:
        """Say whether the database itself is still there: then a lost WAL can be written into it."""
        return self._database is not None and _identity(self._path) == self._database

    def forget(self) -> None:
        """Take the next look as the first one."""
        self._wal = None


def _identity(path: str) -> _Identity:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino
