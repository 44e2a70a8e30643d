"""Gather what an outsider needs to verify one incident: its entries, plans, keys, calls and time stamps."""

from __future__ import annotations

import json
import math
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, is_dataclass
from datetime import datetime
from enum import Enum
from typing import cast

from twokey.core.approvals import Approval
from twokey.core.audit import AuditEntry, TimeStamp, content
from twokey.core.errors import Json
from twokey.core.executions import StepRecord
from twokey.core.notices import Notice
from twokey.core.people import Roster
from twokey.core.runbooks import Plan, canonical, confirmed_content
from twokey.core.texts import without_secrets
from twokey.core.younger import written_fields
from twokey.flow.lookup import incident_by_id
from twokey.flow.review.record import names_of
from twokey.ports import Snapshot

FORMAT = "twokey-evidence/1"
_PAGE = 10_000
_SAFE = 2**53 - 1


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is handed out about one incident, and the stamps that it is proven by."""

    says: Mapping[str, Json]
    stamps: tuple[TimeStamp, ...]


def evidence(
    look: Snapshot, incident_id: str, roster: Roster, stamps: list[TimeStamp], now: datetime
) -> Evidence:
    """Return everything about one incident and nothing about another, each part as it stands on record."""
    incident = incident_by_id(look, incident_id)
    entries: list[AuditEntry] = []
    while page := look.audit(incident_id=incident.id, after=entries[-1].seq if entries else 0, limit=_PAGE):
        entries += page
    covering = _covering(stamps, [entry.seq for entry in entries])
    names = names_of(roster)
    involved = sorted({entry.actor.id for entry in entries if entry.actor.id in names})
    says: dict[str, Json] = {
        "format": FORMAT,
        "incident": incident.id,
        "title": as_told(incident.title),
        "made_at": now.isoformat(),
        "entries": [canonical({**content(entry), "hash": entry.hash}).decode() for entry in entries],
        "plans": [_plan(look, plan) for plan in look.find(Plan, incident_id=incident.id)],
        "people": {person: names[person] for person in involved},
        "passkeys": _public_keys(roster, involved),
        "posted": _posted(look, incident.id),
        "stamps": [{"seq": stamp.seq, "hash": stamp.hash, "at": stamp.at.isoformat()} for stamp in covering],
    }
    return Evidence(says, tuple(covering))


def _covering(stamps: list[TimeStamp], seqs: list[int]) -> list[TimeStamp]:
    """Return the stamps before which the incident had grown: each of these commits to all of it until then."""
    covering, before = [], 0
    for stamp in stamps:
        if any(before < seq <= stamp.seq for seq in seqs):
            covering.append(stamp)
        before = stamp.seq
    return covering


def _public_keys(roster: Roster, involved: list[str]) -> Json:
    """Return the public halves of the passkeys by which these people can have signed, as the roster has them now."""
    found: dict[str, Json] = {}
    for person in (roster.person(name) for name in involved):
        if person and person.passkeys:
            found[person.id] = {one.id: one.public_key for one in person.passkeys}
    return found


def _plan(look: Snapshot, plan: Plan) -> Json:
    keys = sorted(look.find(Approval, plan_id=plan.id), key=lambda key: key.at)
    rows = sorted(look.find(StepRecord, plan_id=plan.id), key=lambda row: row.order)
    return {
        "id": plan.id,
        "title": as_told(plan.title),
        "runbook": plan.runbook_id,
        "state": plan.state.value,
        "requester": plan.requester,
        "undo_of": plan.undo_of,
        "digest": plan.digest,
        "confirmed": canonical(confirmed_content(plan)).decode(),  # the very text of which it is the digest
        "keys": [as_told(key) for key in keys],
        "steps": [as_told(row) for row in rows],
    }


def _posted(look: Snapshot, incident_id: str) -> Json:
    """Return the heads that were posted into the incident's thread, and where each stands."""
    found = [
        notice
        for notice in look.find(Notice, incident_id=incident_id, limit=100_000)
        if notice.sent_at and notice.context.get("audit_hash")
    ]
    return [
        {
            "seq": int(notice.context["audit_seq"]),
            "hash": notice.context["audit_hash"],
            "message": notice.sent_as,
            "at": cast(datetime, notice.sent_at).isoformat(),
        }
        for notice in found
    ]


def as_told(value: object) -> Json:
    """Return a noun, or a part of one, as the trail tells it: without secrets, and as every JSON reader reads it."""
    if is_dataclass(value) and not isinstance(value, type):
        return {name: as_told(getattr(value, name)) for name in written_fields(value)}
    if isinstance(value, Mapping):
        return {_storable(str(name)): as_told(item) for name, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [as_told(item) for item in value]
    if isinstance(value, bytes):
        return b64encode(value).decode()
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Enum):
        return as_told(value.value)
    if isinstance(value, str):
        return _storable(without_secrets(value))
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value if math.isfinite(value) and abs(value) <= _SAFE else str(value)
    return cast(Json, value)


def _storable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")


def evidence_text(found: Evidence) -> str:
    """Return what is handed out as JSON that people can read."""
    return json.dumps(found.says, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
