"""Evidence as one file: what is on record, the stamps as their authority gave them, and the lines that check both."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Mapping

from twokey.core.audit import TimeStamp

_README = """\
This is what twokey has on record about {incident}. To verify it:

    unzip -p {name} verify.py > verify.py
    python verify.py {name}

Read verify.py first, or better, take src/twokey/history/evidence.py of a release of twokey that you trust: it is the
same file. It needs nothing but Python; with openssl on the machine it checks the authority's signatures too.

evidence.json   the incident's audit entries, its plans, keys and calls
stamps/N.txt    the text that an authority has signed when the audit trail was N entries long
stamps/N.tsr    its answer (RFC 3161); by hand: openssl ts -verify -data N.txt -in N.tsr -CAfile authority.pem
authority.pem   its certificates, as the bot was given them: compare them with the authority's own site

What this proves and what it does not: docs/how-to/hand-over-evidence.md.
"""
_MADE = (1980, 1, 1, 0, 0, 0)  # the same evidence is the same file


def stamp_files(stamps: Iterable[TimeStamp]) -> dict[str, bytes]:
    """Return each stamp's two files by name: what was signed, and the authority's answer."""
    return {
        name: content
        for stamp in stamps
        for name, content in (
            (f"{stamp.seq}.txt", stamp.statement.encode()),
            (f"{stamp.seq}.tsr", stamp.token),
        )
    }


def packed(
    incident: str, name: str, says: str, stamps: Iterable[TimeStamp], *, verifier: str, authority: str
) -> bytes:
    """Return the zip file that is handed out."""
    files: Mapping[str, bytes] = {
        "README.txt": _README.format(incident=incident, name=name).encode(),
        "verify.py": verifier.encode(),
        "evidence.json": says.encode(),
        **{f"stamps/{file}": content for file, content in stamp_files(stamps).items()},
        **({"authority.pem": authority.encode()} if authority else {}),
    }
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as pack:
        for file, content in files.items():
            entry = zipfile.ZipInfo(file, _MADE)
            entry.external_attr = 0o644 << 16
            pack.writestr(entry, content, zipfile.ZIP_DEFLATED)
    return made.getvalue()
