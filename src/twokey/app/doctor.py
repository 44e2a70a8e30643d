"""Examining an installation: one look at every part, each fault with what mends it."""

from __future__ import annotations

import stat
from collections.abc import Callable
from dataclasses import dataclass

from twokey import app as wiring
from twokey.core.errors import TwokeyError
from twokey.core.people import Role
from twokey.settings import Settings, missing_to_serve
from twokey.words import say


@dataclass(frozen=True)
class Finding:
    """What was found out about one part."""

    part: str
    ok: bool
    says: str


def examine(settings: Settings) -> list[Finding]:
    """Look at everything; one part that fails never hides another."""
    missing = missing_to_serve(settings)
    findings = [
        Finding("settings", not missing, "complete" if not missing else "missing: " + "; ".join(missing))
    ]
    for part, look in _LOOKS:
        try:
            findings.append(Finding(part, True, look(settings)))
        except TwokeyError as fault:
            findings.append(Finding(part, False, say(fault.message, settings.language)))
    return findings


def _database(settings: Settings) -> str:
    record = wiring.open_record(settings)
    try:
        seq, head = record.verify()
    finally:
        record.close()
    return f"the audit trail of {seq} entries is whole (head {seq}:{head[:12]})"


def _roster(settings: Settings) -> str:
    roster = wiring.build_rosters(settings).current()
    able = [p for p in roster.people if p.roles & {Role.APPROVER, Role.COMMANDER}]
    warning = "" if len(able) > 1 else "; with fewer than two who can turn a key nothing can ever be approved"
    return f"{len(roster.people)} people, {len(able)} of them can turn a key on others' plans{warning}"


def _step_up(settings: Settings) -> str:
    path = settings.totp_file
    if not path.exists():
        return f"{path} does not exist: runbooks that ask for a code cannot be approved"
    mode = stat.S_IMODE(path.stat().st_mode)
    return f"{path} has mode {mode:04o}" + ("" if mode & 0o077 == 0 else ", it must be 0600: chmod 600 it")


def _runbooks(settings: Settings) -> str:
    library = wiring.build_library(settings)
    faults = library.faults()
    if faults:
        raise faults[0]
    return ", ".join(book.id for book in library.approved()) or "none is approved: twokey runbook approve"


def _rules(settings: Settings) -> str:
    wiring.classifier(settings)
    return f"loaded from {settings.rules_dir}"


def _doors(settings: Settings) -> str:
    from twokey.web import Door, Doors

    doors = Doors(tuple(Door(name, secret) for name, secret in settings.doors().items()))
    return f"{len(doors.azure)} Azure webhooks, {len(settings.aws_queues)} AWS queues"


_LOOKS: tuple[tuple[str, Callable[[Settings], str]], ...] = (
    ("database", _database),
    ("roster", _roster),
    ("step-up", _step_up),
    ("runbooks", _runbooks),
    ("rules", _rules),
    ("doors", _doors),
)
