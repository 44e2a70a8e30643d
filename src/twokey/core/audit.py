"""The audit trail: append-only entries, each sealed with the hash of the one before."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from twokey.core.errors import Json, Tampered
from twokey.core.people import Actor
from twokey.core.runbooks import canonical

GENESIS = "0" * 64
SHOWN = 24  # characters of a hash that a message shows: 96 bits, which nobody makes a second entry for


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One thing that happened. `action` is in the past tense (`proposed`, `step.started`)."""

    seq: int  # 1, 2, 3 ... without a gap
    at: datetime  # UTC
    actor: Actor
    action: str
    incident_id: str = ""
    plan_id: str = ""
    data: Mapping[str, Json] = field(default_factory=dict)
    previous: str = GENESIS
    hash: str = ""

    @property
    def id(self) -> str:
        """Return the sequence number as text."""
        return str(self.seq)


@dataclass(frozen=True, slots=True)
class TimeStamp:
    """An RFC 3161 time stamp over one head of the trail, as the authority gave it, or why it gave none."""

    id: str
    seq: int
    hash: str
    at: datetime  # by the authority's clock; of one that was not given, by ours
    token: bytes = b""  # the authority's whole answer, DER; empty where it gave none
    statement: str = ""  # the very text that it is over
    fault: str = ""


def content(entry: AuditEntry) -> dict[str, Json]:
    """Return what the hash covers: everything but the hash itself. This is also a line of the export."""
    account = entry.actor.account
    return {
        "seq": entry.seq,
        "at": entry.at.isoformat(),
        "actor": entry.actor.id,
        "team": account.team if account else "",
        "user": account.user if account else "",
        "action": entry.action,
        "incident": entry.incident_id,
        "plan": entry.plan_id,
        "data": dict(entry.data),
        "previous": entry.previous,
    }


def seal(entry: AuditEntry, previous: str) -> AuditEntry:
    """Chain an entry to the one before it."""
    chained = replace(entry, previous=previous)
    return replace(chained, hash=hashlib.sha256(canonical(content(chained))).hexdigest())


def leaf(incident_id: str, hashes: Iterable[str]) -> str:
    """Return what a stamp's statement holds of one incident: it commits to every entry of it and shows none."""
    return hashlib.sha256(canonical({"entries": list(hashes), "incident": incident_id})).hexdigest()


def statement(head: tuple[int, str], leaves: Iterable[str]) -> str:
    """Return the text that is stamped: the trail's head, and a leaf for each incident that has grown.

    The head alone would prove an incident only to somebody who is given every entry of every other one.
    """
    said = {"head": {"hash": head[1], "seq": head[0]}, "incidents": sorted(leaves)}
    return canonical(said).decode()


def head_of(stamped: str) -> tuple[int, str]:
    """Return the head that a stamped text states; Tampered when it is not such a text."""
    try:
        head = json.loads(stamped)["head"]
        return int(head["seq"]), str(head["hash"])
    except (ValueError, KeyError, TypeError):
        raise Tampered("audit.stamp_unreadable") from None


def is_head(digest: str, posted: str) -> bool:
    """Say whether a posted head is this hash: whole, or at least as much of it as a message shows."""
    return len(posted) >= SHOWN and digest.startswith(posted)


def verify(entries: Iterable[AuditEntry], *, head: tuple[int, str] | None = None) -> tuple[int, str]:
    """Prove the chain and return its head (sequence, hash), or raise Tampered naming the first broken entry.

    A chain alone does not see a cut tail: `head` is one that was posted outside, and must be in the chain.
    """
    previous, expected, seen_head = GENESIS, 1, head is None
    for entry in entries:
        if entry.seq != expected:
            raise Tampered("audit.gap", seq=expected, found=entry.seq)
        if entry.previous != previous:
            raise Tampered("audit.broken_link", seq=entry.seq)
        if seal(entry, previous).hash != entry.hash:
            raise Tampered("audit.changed", seq=entry.seq)
        if head and entry.seq == head[0]:
            if not is_head(entry.hash, head[1]):
                raise Tampered("audit.head_differs", seq=entry.seq)
            seen_head = True
        previous, expected = entry.hash, expected + 1
    if not seen_head and head:
        raise Tampered("audit.cut", seq=expected, head=head[0])
    return expected - 1, previous
