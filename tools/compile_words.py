"""Compile src/twokey/locale/<language>/*.po into the one catalogue that the program reads."""

from __future__ import annotations

import io
import sys
from datetime import UTC, datetime
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

WHENEVER = datetime(2026, 1, 1, tzinfo=UTC)  # the same words are the same bytes, whenever they are compiled
LOCALE = Path(__file__).resolve().parents[1] / "src" / "twokey" / "locale"


def compiled(language: str) -> bytes:
    """Return the binary catalogue of a language; the same code in two files is an error."""
    whole = Catalog(locale=language, fuzzy=False, creation_date=WHENEVER, revision_date=WHENEVER)
    for path in sorted((LOCALE / language).glob("*.po")):
        with path.open("rb") as file:
            for entry in read_po(file, locale=language):
                if not entry.id:
                    continue
                if entry.id in whole and whole[entry.id].string != entry.string:
                    raise SystemExit(f"{path}: {entry.id} has other words in another file")
                whole.add(entry.id, entry.string)
    out = io.BytesIO()
    write_mo(out, whole)
    return out.getvalue()


def main() -> None:
    """Write the catalogues, or with --check fail when one is not up to date."""
    stale = []
    for language in ("en", "ja"):
        target = LOCALE / language / "LC_MESSAGES" / "twokey.mo"
        new = compiled(language)
        if "--check" in sys.argv:
            if not target.exists() or target.read_bytes() != new:
                stale.append(str(target))
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(new)
    if stale:
        raise SystemExit("not up to date: " + ", ".join(stale) + " (run: make words)")


if __name__ == "__main__":
    main()
