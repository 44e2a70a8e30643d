"""`approved.lock`: which runbooks may be proposed, by digest; one line each, reviewed like code."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from pathlib import Path

from twokey.core.errors import Invalid
from twokey.file_access import others_may_write

NAME = "approved.lock"
HEADER = """\
# Runbooks that may be proposed: id, version, digest of the file and its documents, which two approved it, when.
# Written by: twokey runbook approve ID --by NAME, by each (reviewed like code: a changed runbook needs a new line).
"""

_LINE = re.compile(
    r"(?P<id>[a-z]+\.[a-z0-9-]+) (?P<version>[0-9]+\.[0-9]+\.[0-9]+) sha256:(?P<digest>[0-9a-f]{64})"
    r" (?P<by>[^\s#]{1,120}) (?P<date>[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01]))"
)
_ONE = re.compile(r"[^\s#,]{1,59}")  # two of them and a comma stand where earlier versions wrote one


@dataclass(frozen=True, slots=True)
class LockLine:
    """One approval of one runbook file as it was read."""

    id: str
    version: str
    digest: str
    by: str  # names with commas between them
    date: str

    @property
    def names(self) -> tuple[str, ...]:
        """Return who approved it; a name that differs in the size of its letters only is the same."""
        return tuple({name.casefold(): name for name in self.by.split(",") if name}.values())

    @property
    def has_two_names(self) -> bool:
        """Say whether two people approved it."""
        return len(self.names) >= 2

    def __str__(self) -> str:
        return f"{self.id} {self.version} sha256:{self.digest} {self.by} {self.date}"


def short_path(path: Path) -> str:
    """Return a file's name with its folder's: what people need, without the machine's own paths."""
    return f"{path.parent.name}/{path.name}" if path.parent.name else path.name


def read_lock(folder: Path) -> dict[str, LockLine]:
    """Return approved runbooks by id; none when there is no file, Invalid with the line when one is wrong."""
    path = folder / NAME
    try:
        with path.open(encoding="utf-8") as file:
            writable = others_may_write(path, file.fileno())
            text = file.read()
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid("lock.unreadable", file=short_path(path), line=1, key="", problem=error) from None
    if writable:
        raise Invalid("lock.writable", file=short_path(path), line=1, key="", problem=writable)
    return parse_lock(text, short_path(path))


def parse_lock(text: str, name: str) -> dict[str, LockLine]:
    """Return the lines of a lock by id."""
    found: dict[str, LockLine] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        if not line or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if not match:
            raise Invalid("lock.malformed", file=name, line=number, key="", text=line[:80])
        entry = LockLine(*(match[part] for part in ("id", "version", "digest", "by", "date")))
        if entry.id in found:
            raise Invalid("lock.duplicate", file=name, line=number, key=entry.id)
        found[entry.id] = entry
    return found


def write_line(folder: Path, entry: LockLine) -> LockLine | None:
    """Put one person's approval into the lock, atomically; return the line that it replaces.

    Beside the name of somebody else who approved the very same content, it is the second one.
    """
    if not _ONE.fullmatch(entry.by):
        raise Invalid("lock.by_malformed", by=entry.by[:80])
    if not _LINE.fullmatch(str(entry)):
        raise Invalid("lock.malformed", file=NAME, line=1, key=entry.id, text=str(entry)[:80])
    lines = read_lock(folder)
    before = lines.get(entry.id)
    lines[entry.id] = _beside(before, entry)
    text = HEADER + "".join(f"{lines[name]}\n" for name in sorted(lines))
    path = folder / NAME
    beside = path.with_name(f"{NAME}.{os.getpid()}.new")
    with beside.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    return before


def _beside(before: LockLine | None, entry: LockLine) -> LockLine:
    """Return the line with one name more, where it is about the same content and there is room for one."""
    if before is None or (before.digest, before.version) != (entry.digest, entry.version):
        return entry
    others = [name for name in before.names if name.casefold() != entry.by.casefold()]
    return replace(entry, by=",".join([*others[-1:], entry.by]))
