"""Gather what is on record about one incident: the noun that the post-mortem templates are filled from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from twokey.core.approvals import Approval
from twokey.core.audit import AuditEntry
from twokey.core.executions import Execution, StepRecord
from twokey.core.incidents import Incident
from twokey.core.notices import Notice
from twokey.core.people import Roster
from twokey.core.postmortems import ContainmentRecord, PostedHead, Record, Similar, metrics
from twokey.core.runbooks import Plan
from twokey.core.sightings import Sighting
from twokey.flow.lookup import incident_by_id
from twokey.ports import Snapshot

_PAGE = 10_000
_MOST_ENTRIES = 50_000  # the page says so when it leaves some out; the export has all
_MOST_SOURCES = 500
_ENDINGS = ("approval.refused", "refused", "withdrawn", "expired", "voided")


def gather(look: Snapshot, incident_id: str, roster: Roster, drafted_at: datetime) -> Record:
    """Return everything that is known; what is unknown stays unknown."""
    names = names_of(roster)
    incident = incident_by_id(look, incident_id)
    entries: list[AuditEntry] = []
    while len(entries) < _MOST_ENTRIES:
        after = entries[-1].seq if entries else 0
        page = look.audit(incident_id=incident.id, after=after, limit=_PAGE)
        entries += page
        if len(page) < _PAGE:
            break
    sightings = look.find(Sighting, incident_id=incident.id, limit=_MOST_SOURCES)
    return Record(
        incident=incident,
        entries=tuple(entries),
        metrics=metrics(incident.times),
        containments=_containments(look, incident.id, entries, names),
        names=names,
        head=look.head(),
        sources=tuple(dict.fromkeys(seen.signal.raw_id or seen.id for seen in sightings)),
        drafted_at=drafted_at,
        similar=_similar(look, incident),
        posted=_posted(look, incident.id, entries),
    )


def names_of(roster: Roster) -> Mapping[str, str]:
    """Return the name of every person, by their id."""
    return {person.id: person.name for person in roster.people}


def _containments(
    look: Snapshot, incident_id: str, entries: Iterable[AuditEntry], names: Mapping[str, str]
) -> tuple[ContainmentRecord, ...]:
    plans = look.find(Plan, incident_id=incident_id)
    undos = {plan.undo_of: plan for plan in plans if plan.undo_of}
    of_plan: dict[str, list[AuditEntry]] = {}
    for entry in entries:
        if entry.plan_id:
            of_plan.setdefault(entry.plan_id, []).append(entry)
    gathered = []
    for plan in plans:
        approvals = sorted(look.find(Approval, plan_id=plan.id), key=lambda one: one.at)
        run = look.get(Execution, plan.id)
        trail = of_plan.get(plan.id, [])
        undo = undos.get(plan.id)
        gathered.append(
            ContainmentRecord(
                plan=plan,
                proposer=names.get(plan.requester, plan.requester),
                keys=tuple((names.get(one.person_id, one.person_id), one.role, one.at) for one in approvals),
                journal=tuple(sorted(look.find(StepRecord, plan_id=plan.id), key=lambda row: row.order)),
                started_at=run.started_at if run else None,
                ended_at=run.ended_at if run else None,
                approved_at=_approved_at(trail),
                events=tuple(entry for entry in trail if entry.action in _ENDINGS),
                undone_by=undo.id if undo else "",
                undo_state=undo.state if undo else None,
            )
        )
    return tuple(gathered)


def _approved_at(trail: Iterable[AuditEntry]) -> datetime | None:
    """Return when the last approval that was needed was given, or the glass was broken; None when never."""
    for entry in trail:
        keys, needed = entry.data.get("keys"), entry.data.get("needed")
        enough = isinstance(keys, int) and isinstance(needed, int) and keys >= needed
        if entry.action == "glass.broken" or (entry.action == "approved" and enough):
            return entry.at
    return None


def _similar(look: Snapshot, incident: Incident) -> tuple[Similar, ...]:
    """Find what has something in common, the strongest tie first; ten are enough to look into."""
    ties: list[tuple[str, dict[str, Any]]] = []
    if incident.tracking_id:
        ties.append(("tracking", {"tracking_id": incident.tracking_id}))
    if incident.subject:
        ties.append(("subject", {"subject": incident.subject}))
    if incident.group:
        ties.append(("group", {"group": incident.group}))
    if incident.account:
        ties.append(("side", {"account": incident.account, "label": incident.verdict.label}))
    similar: dict[str, Similar] = {}
    for shares, equal in ties:
        for other in look.find(Incident, limit=11, newest_first=True, **equal):
            if other.id != incident.id and other.id not in similar:
                similar[other.id] = Similar(other.id, other.title, other.opened_at, other.state, shares)
    return tuple(similar.values())[:10]


def _posted(look: Snapshot, incident_id: str, entries: Iterable[AuditEntry]) -> tuple[PostedHead, ...]:
    """Return the audit hashes that stand in the chat: proof from outside that the trail was not rewritten."""
    hashes = {entry.seq: entry.hash for entry in entries}
    heads = []
    for notice in look.find(Notice, incident_id=incident_id):
        seq, shown = notice.context.get("audit_seq", ""), notice.context.get("audit_hash", "")
        if notice.sent_at and seq.isdecimal() and shown:
            known = hashes.get(int(seq))
            heads.append(
                PostedHead(int(seq), shown, notice.sent_at, None if known is None else known == shown)
            )
    wrong = [head for head in heads if head.agrees is False]
    return tuple(wrong + [head for head in heads if head.agrees is not False][-20:])
