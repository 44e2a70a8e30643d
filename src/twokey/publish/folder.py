"""Post-mortems as files in a folder: internal ones in one sub-folder, what outsiders may read in another."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from contextlib import suppress
from pathlib import Path

from twokey.core.errors import Invalid, Refused, Unavailable
from twokey.core.postmortems import AUDIENCES, Postmortem
from twokey.core.texts import LANGUAGES

_INCIDENT = re.compile(r"[A-Za-z][A-Za-z0-9]{0,15}-[0-9]{1,12}")


def file_name(postmortem: Postmortem) -> str:
    """Return `INC-12.en.internal.md`; an id that is not one of ours never becomes a path."""
    parts = (postmortem.incident_id, postmortem.language, postmortem.audience)
    known = postmortem.language in LANGUAGES and postmortem.audience in AUDIENCES
    if not known or not _INCIDENT.fullmatch(postmortem.incident_id):
        raise Invalid("publish.bad_name", name=".".join(parts)[:80])
    return ".".join((*parts, "md"))


class PostmortemFolder:
    """Writes post-mortems into `<root>/internal` and `<root>/public`, whole or not at all.

    A page that is replaced is kept in `earlier/`: somebody may have written into it.
    """

    def __init__(self, root: Path, *, keep_earlier: bool = True) -> None:
        self.root = root
        self._keep_earlier = keep_earlier

    def path(self, postmortem: Postmortem) -> Path:
        """Return where a post-mortem belongs; refuse a folder that a link leads elsewhere."""
        path = self.root / postmortem.audience / file_name(postmortem)
        if path.parent.resolve().parent != self.root.resolve() or path.is_symlink():
            raise Refused("publish.outside", path=path)
        return path

    def publish(self, postmortem: Postmortem) -> str:
        """Write the file and return its path; the same text again changes nothing."""
        path, text = self.path(postmortem), postmortem.text.encode("utf-8", "replace")
        try:
            before = path.read_bytes() if path.is_file() else None
            if before is not None and before != text and self._keep_earlier:
                digest = hashlib.sha256(before).hexdigest()[:12]
                _write(path.parent / "earlier" / f"{path.stem}.{digest}.md", before)
            if before != text:
                _write(path, text)
        except OSError as fault:
            raise Unavailable("publish.cannot_write", path=path, problem=fault.strerror or fault) from fault
        return str(path)


def _write(path: Path, text: bytes) -> None:
    """Write beside and rename: a reader sees the old page or the new one, also after a power cut."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(beside).chmod(0o644)
        os.replace(beside, path)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(beside)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
