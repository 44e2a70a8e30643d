"""The second factor: one-time codes (RFC 6238), from secrets in a file that only its owner can read."""

from __future__ import annotations

import base64
import binascii
import hmac
import os
import re
import stat
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pyotp

from twokey.core.errors import Invalid, Refused
from twokey.file_access import others_may_write

WINDOW = 1  # codes of 30 s: one before and one after, for clocks that differ and people that type
LEAST_BITS = 128  # RFC 4226, R6

_LINE = re.compile(r"(?P<person>[A-Za-z0-9][A-Za-z0-9._@+-]{0,127}): *(?P<secret>[A-Z2-7]{16,128})")
_CODE = re.compile(r"[0-9]{6}")
_HEADER = (
    "# One-time-code secrets, one a line: person id: BASE32. Keep this file at mode 0600, outside of git.\n"
)


@dataclass(frozen=True, slots=True)
class TotpStepUp:
    """Checks one-time codes. Only the path is kept: no secret stays in memory, in a repr or in a log."""

    path: Path

    def verify(self, person_id: str, code: str, now: datetime) -> str | None:
        """Return `<person>:<counter>`, the identity of this one code, or None when the code is wrong.

        Every counter of the window is computed and compared in constant time, whichever fits.
        """
        secret = read_secrets(self.path).get(person_id)
        if secret is None:
            raise Refused("refused.step_up_not_set_up", person=person_id)
        typed = re.sub(r"[\s-]", "", code)
        looks_right = _CODE.fullmatch(typed) is not None
        totp = pyotp.TOTP(secret)
        current, found = totp.timecode(now), None
        for counter in range(current - WINDOW, current + WINDOW + 1):
            right = hmac.compare_digest(totp.generate_otp(counter).encode(), typed.encode())
            if right and looks_right and found is None:
                found = f"{person_id}:{counter}"
        return found


def read_secrets(path: Path) -> dict[str, str]:
    """Return the secrets by person id; refuse a file that others can read or replace, or that is malformed."""
    try:
        with path.open("rb") as file:
            if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
                raise Refused("refused.step_up_file_open", file=path)
            if writable := others_may_write(path, file.fileno()):
                raise Refused("refused.step_up_file_writable", file=path, problem=writable)
            text = file.read(1024 * 1024).decode("ascii")
    except FileNotFoundError:
        raise Refused("refused.step_up_file_missing", file=path) from None
    except (OSError, UnicodeDecodeError):
        raise Refused("refused.step_up_file_unreadable", file=path) from None
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line.rstrip())
        # The line itself is never shown: it holds a secret, or half of one.
        if not match or not _is_strong(match["secret"]) or match["person"] in found:
            raise Refused("refused.step_up_file_faulty", file=path, line=number)
        found[match["person"]] = match["secret"]
    return found


def has_secret(path: Path, person_id: str) -> bool:
    """Say whether a person has a secret already."""
    return path.exists() and person_id in read_secrets(path)


def new_secret(path: Path, person_id: str, *, replace: bool = False) -> str:
    """Make a person's secret, keep it in the file, and return the address that an authenticator app reads."""
    secrets = read_secrets(path) if path.exists() else {}
    if person_id in secrets and not replace:
        raise Invalid("stepup.has_secret", person=person_id)
    if not _LINE.fullmatch(f"{person_id}: {'A' * 32}"):
        raise Invalid("stepup.person_malformed", person=person_id[:80])
    secret = pyotp.random_base32()
    secrets[person_id] = secret
    _write(path, _HEADER + "".join(f"{person}: {secrets[person]}\n" for person in sorted(secrets)))
    return pyotp.TOTP(secret).provisioning_uri(name=person_id, issuer_name="twokey")


def _is_strong(secret: str) -> bool:
    try:
        return len(base64.b32decode(secret + "=" * (-len(secret) % 8))) * 8 >= LEAST_BITS
    except binascii.Error:
        return False


def _write(path: Path, text: str) -> None:
    beside = path.with_name(f"{path.name}.{os.getpid()}.new")
    opened = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(opened, "w", encoding="ascii") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
