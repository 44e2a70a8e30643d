"""The policy documents that runbooks name: only inside their folder, read once, hashed with the runbook."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

from twokey.catalog.schema import Part, shown
from twokey.core.documents import MAX_BYTES, placeholders, strings
from twokey.core.errors import Invalid
from twokey.file_access import others_may_write

FOLDER = "documents"
ROOT_ID = re.compile(r"(?<![0-9A-Za-z_-])r-[0-9a-z]{4,32}(?![0-9A-Za-z_-])")
"""The id of an organisation's Root: no runbook and no document ever names one."""

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


def read_document(template: Part, values: Part | None, folder: Path) -> tuple[str, bytes]:
    """Return a template's path and bytes; note a path that leaves the folder, and values that do not fit."""
    name = template.text()
    content = content_of(name, folder) if name else b""
    if isinstance(content, str):
        template.fault(content, document=shown(name), folder=FOLDER)
        return name, b""
    given = {key for key, _ in values.entries()} if values else set[str]()
    try:
        text = content.decode()
        wanted = placeholders(text)
        roots = [found[0] for string in strings(text) for found in ROOT_ID.finditer(string)]
    except UnicodeDecodeError:
        template.fault("document.not_json", problem="not UTF-8")
        return name, b""
    except Invalid as error:
        if name:
            template.fault(error.message.code, **error.message.params)
        return name, b""
    if roots:
        template.fault("runbook.root_literal", value=roots[0])
    for missing in sorted(wanted - given):
        (values or template).fault("runbook.document_value_missing", name=missing, document=shown(name))
    for unused in sorted(given - wanted):
        (values or template).fault("runbook.document_value_unused", name=shown(unused), document=shown(name))
    return name, content


def content_of(name: str, folder: Path) -> bytes | str:
    """Return a document's bytes, or the code of what is wrong with its path."""
    home = folder / FOLDER
    parts = PurePosixPath(name).parts
    if not parts or name != "/".join(parts) or not all(_NAME.fullmatch(part) for part in parts):
        return "runbook.document_outside"
    path = home.joinpath(*parts)
    try:
        if not path.resolve(strict=True).is_relative_to(home.resolve(strict=True)):
            return "runbook.document_outside"
        if not path.is_file():  # a pipe would let us wait for ever
            return "runbook.document_missing"
        with path.open("rb") as file:
            if others_may_write(path, file.fileno()):
                return "runbook.document_writable"
            return file.read(MAX_BYTES + 1)
    except (OSError, RuntimeError):  # RuntimeError: a symlink that leads to itself
        return "runbook.document_missing"
