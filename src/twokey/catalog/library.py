"""The runbooks as the files say right now; only those that stand in approved.lock may be proposed."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from twokey.catalog.lock import NAME, LockLine, read_lock, short_path
from twokey.catalog.runbook_documents import content_of
from twokey.catalog.runbooks import ID, ParseResult, read_runbook
from twokey.catalog.schema import where
from twokey.catalog.strict_yaml import MAX_BYTES
from twokey.core.errors import Invalid, NotFound, Refused
from twokey.core.runbooks import Runbook
from twokey.core.texts import nearest
from twokey.file_access import others_may_write
from twokey.ports import Cloud


@dataclass(frozen=True)
class FileLibrary:
    """A folder of runbooks. Files are read again at every question: only parsed unchanged bytes are kept.

    Give it every cloud that the program knows, configured or not: a runbook of a cloud that is not configured
    is still a good file, and the flow refuses it with its own words.
    """

    folder: Path
    clouds: Mapping[str, Cloud]
    _parsed: dict[str, tuple[str, ParseResult]] = field(default_factory=dict, repr=False, compare=False)

    def runbook(self, runbook_id: str) -> Runbook:
        """Return an approved runbook; Refused when faulty or not approved as it is, NotFound otherwise."""
        reading = self.reading(runbook_id)
        if reading.runbook is None:
            first = where(reading.faults[0])
            raise Refused("runbook.faulty", id=runbook_id, faults=len(reading.faults), first=first)
        runbook = reading.runbook
        lock = self._lock()
        command = f"twokey runbook approve {runbook.id} --by NAME"
        if not _is_as_in(runbook, lock):
            raise Refused("runbook.not_approved", id=runbook.id, digest=runbook.digest, command=command)
        if not _is_approved(runbook, lock):
            by = lock[runbook.id].by
            raise Refused("runbook.one_approved", id=runbook.id, by=by, command=command)
        return runbook

    def approved(self) -> list[Runbook]:
        """Return every runbook that may be proposed; a faulty one does not take the others down."""
        lock = self._lock()
        books = (reading.runbook for reading in self.readings())
        return [book for book in books if book is not None and _is_approved(book, lock)]

    def faults(self) -> list[Invalid]:
        """Return every fault of every file in the folder, the lock's included, for those who mend them."""
        found = [fault for reading in self.readings() for fault in reading.faults]
        for path in self._files("*.yml"):
            found.append(Invalid("runbook.file_name", file=short_path(path), line=1, key=""))
        try:
            ids = {reading.runbook.id for reading in self.readings() if reading.runbook}
            files = {path.stem for path in self._files("*.yaml")}
            for entry in read_lock(self.folder).values():
                if entry.id not in ids | files:
                    place = short_path(self.folder / NAME)
                    found.append(Invalid("lock.no_such_runbook", file=place, line=1, key=entry.id))
        except Invalid as fault:
            found.append(fault)
        return found

    def notes(self) -> list[Invalid]:
        """Return where a faultless runbook is stricter than its file says."""
        return [note for reading in self.readings() if reading.runbook for note in reading.notes]

    def readings(self) -> list[ParseResult]:
        """Return every runbook file as read, with its faults."""
        return [self._read(path) for path in self._files("*.yaml")]

    def reading(self, runbook_id: str) -> ParseResult:
        """Return one runbook file as read, approved or not; NotFound when there is none."""
        known = [path.stem for path in self._files("*.yaml")]
        if not re.fullmatch(ID, runbook_id) or runbook_id not in known:
            near = nearest(runbook_id, known)
            code = "runbook.unknown_near" if near else "runbook.unknown"
            raise NotFound(code, id=runbook_id[:80], nearest=near)
        return self._read(self.folder / f"{runbook_id}.yaml")

    def status(self, runbook: Runbook) -> str:
        """Say in one word where a runbook stands: approved, half-approved (by one), changed (since), or new."""
        try:
            entry = read_lock(self.folder).get(runbook.id)
        except Invalid:
            return "unknown"
        if entry is None:
            return "new"
        if not _is_as_in(runbook, {runbook.id: entry}):
            return "changed"
        return "approved" if entry.has_two_names else "half-approved"

    def _files(self, pattern: str) -> list[Path]:
        return sorted(path for path in self.folder.glob(pattern) if path.is_file())

    def _lock(self) -> dict[str, LockLine]:
        try:
            return read_lock(self.folder)
        except Invalid as fault:
            raise Refused("runbook.lock_faulty", place=where(fault)) from None

    def _read(self, path: Path) -> ParseResult:
        name = short_path(path)
        try:
            with path.open("rb") as file:
                writable = others_may_write(path, file.fileno())
                content = file.read(MAX_BYTES + 1)
        except OSError as error:
            fault = Invalid("runbook.unreadable", file=name, line=1, key="", problem=error.strerror or "?")
            return ParseResult(name, None, (fault,))
        if writable:
            fault = Invalid("runbook.writable", file=name, line=1, key="", problem=writable)
            return ParseResult(name, None, (fault,))
        kept = self._parsed.get(name)
        if kept and kept[1].runbook:
            now = {path: content_of(path, self.folder) for path in kept[1].runbook.documents}
            if kept[0] == _stamp(content, now):
                return kept[1]
        reading = read_runbook(content, name, self.folder, self.clouds)
        if reading.runbook:
            self._parsed[name] = (_stamp(content, reading.runbook.documents), reading)
        return reading


def _stamp(content: bytes, documents: Mapping[str, str | bytes]) -> str:
    """Return what is the same only while the file and every document it names are."""
    digest = hashlib.sha256(hashlib.sha256(content).digest())
    for _, document in sorted(documents.items()):
        digest.update(hashlib.sha256(document.encode() if isinstance(document, str) else document).digest())
    return digest.hexdigest()


def _is_approved(runbook: Runbook, lock: Mapping[str, LockLine]) -> bool:
    """Say whether two people approved this very content."""
    return _is_as_in(runbook, lock) and lock[runbook.id].has_two_names


def _is_as_in(runbook: Runbook, lock: Mapping[str, LockLine]) -> bool:
    entry = lock.get(runbook.id)
    return entry is not None and (entry.digest, entry.version) == (runbook.digest, runbook.version)
