"""The record as plain data for the templates: every text escaped, every unknown None, nothing alive."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from itertools import groupby
from typing import TypeAlias, cast

from markupsafe import Markup

from twokey.core.audit import AuditEntry
from twokey.core.errors import Json, Message
from twokey.core.executions import undoable
from twokey.core.incidents import Incident, Severity
from twokey.core.postmortems import Containment, Metric, Record, missing_evidence, plan_metrics
from twokey.core.runbooks import PlanState, Step
from twokey.publish.markdown import code, md, ready, yaml_text
from twokey.publish.public import public_facts
from twokey.publish.words import Words
from twokey.words import reason_of, say, word_or

Fact: TypeAlias = "bool | int | str | list[Fact] | dict[str, Fact] | None"
Facts: TypeAlias = dict[str, Fact]
Row: TypeAlias = dict[str, Markup]

MOST_RESOURCES = 50
# The outbox' book-keeping: two entries for each message that went well bury what happened.
_ROUTINE = ("notice.sending", "notice.sent")
MOST_PLANS = 30
MOST_EVENTS = 20
_ROWS_BYTES = 1_400_000  # of the timeline: the page must stay under the renderer's limit


def internal_facts(record: Record, words: Words) -> Facts:
    """Return everything the internal template prints."""
    incident = record.incident
    told = [entry for entry in record.entries if entry.action not in _ROUTINE]
    rows, left_out = timeline(told, words)
    shown = record.containments[:MOST_PLANS]
    plans = [containment(number, kept, words) for number, kept in enumerate(shown, start=1)]
    return {
        "front": _front(record, words),
        "incident": _incident(incident, words),
        "responsibility": _responsibility(incident, words),
        "impact": _impact(record, words),
        "times": {
            name: words.utc(getattr(incident.times, name)) for name in incident.times.__dataclass_fields__
        },
        "plans": list(plans),
        "plans_count": len(record.containments),
        "plans_left_out": len(record.containments) - len(shown),
        "timeline": cast("list[Fact]", rows),
        "timeline_left_out": left_out,
        "timeline_routine": len(record.entries) - len(told),
        "metrics": [metric(one, words) for one in record.metrics],
        "plan_metrics": [metric(one, words) for kept in shown for one in plan_metrics(kept)],
        "action_items": list(action_items(record.entries, words)),
        "similar": [
            {
                "id": code(one.id),
                "title": md(one.title, 200),
                "opened": words.utc(one.opened_at),
                "state": words.label("state", one.state.value),
                "shares": words.label("shares", one.shares),
            }
            for one in record.similar
        ],
        "missing": [
            {
                "step": code(step.id),
                "action": code(step.action),
                "plan": code(kept.plan.short),
                "why": words.label("missing", why),
            }
            for kept in shown
            for step, why in missing_evidence(kept)
        ],
        "supporting": _supporting(record, words),
        "public": public_facts(record, words),
        "zone": md(words.zone.key),
    }


def _front(record: Record, words: Words) -> list[Fact]:
    incident = record.incident
    front: list[tuple[str, str]] = [
        ("id", incident.id),
        ("title", incident.title),
        ("date", f"{(incident.times.started or incident.opened_at):%Y-%m-%d}"),
        ("severity", incident.severity.value),
        ("status", "Draft"),
        ("owner", record.names.get(incident.commander, incident.commander) or words.not_recorded),
        ("authors", record.drafted_by or words.not_recorded),
        ("review_by", _review_by(incident) or words.not_recorded),
        ("audience", "internal"),
        ("language", words.language),
        ("drafted", f"{record.drafted_at:%Y-%m-%dT%H:%M:%SZ}" if record.drafted_at else words.not_recorded),
    ]
    return [{"key": ready(key), "value": yaml_text(value, 300)} for key, value in front]


def _review_by(incident: Incident) -> str:
    """Return the day the review is due: 3 calendar days after SEV1, 5 working days after SEV2."""
    resolved = incident.times.resolved
    if resolved is None or incident.severity not in (Severity.SEV1, Severity.SEV2):
        return ""
    if incident.severity is Severity.SEV1:
        return (resolved.date() + timedelta(days=3)).isoformat()
    day: date = resolved.date()
    for _ in range(5):
        day += timedelta(days=1)
        while day.weekday() > 4:
            day += timedelta(days=1)
    return day.isoformat()


def _incident(incident: Incident, words: Words) -> Facts:
    return {
        "id": md(incident.id),
        "title": md(incident.title, 300),
        "severity": incident.severity.value,
        "state": words.label("state", incident.state.value),
        "state_code": incident.state.value,
        "cancel_reason": words.label("cancel", incident.cancel_reason),
        "provider": words.label("provider", incident.provider),
        "family": words.label("family", incident.family),
        "service": code(incident.service) if incident.service else None,
        "region": code(incident.region) if incident.region else None,
        "account": code(incident.account) if incident.account else None,
        "tenant": code(incident.tenant) if incident.tenant else None,
        "tracking_id": code(incident.tracking_id) if incident.tracking_id else None,
        "principal": code(incident.principal.name) if incident.principal.name else None,
        "principal_type": md(incident.principal.type) if incident.principal.type else None,
        "access_key": code(incident.principal.access_key_id) if incident.principal.access_key_id else None,
        "signals": incident.signals,
        "commander": words.person(incident.commander),
        "roles": [
            {"role": words.label("role", role), "person": words.person(person)}
            for role, person in sorted(incident.roles.items())
        ],
        "opened": words.utc(incident.opened_at),
        "provider_resolved": incident.provider_resolved,
    }


def _responsibility(incident: Incident, words: Words) -> Facts:
    verdict = incident.verdict
    return {
        "label": words.label("label", verdict.label.value),
        "label_code": verdict.label.value,
        "origin": words.label("origin", verdict.origin.value),
        "plan": words.label("planned", verdict.plan.value),
        "action_owner": words.label("action_owner", verdict.action_owner.value),
        "service_model": md(verdict.service_model) if verdict.service_model else None,
        "confidence": words.label("confidence", verdict.confidence.value),
        "rule": code(verdict.rule) if verdict.rule else None,
        "reason": md(reason_of(verdict, words.language)) if verdict.reason else None,
        "fields": [
            {"name": code(name), "value": words.value(value)} for name, value in verdict.fields.items()
        ],
        "ours": words.label("ours", verdict.label.value),
        "accountable": verdict.accountable,
    }


def _impact(record: Record, words: Words) -> Facts:
    incident = record.incident
    duration = next((one.value for one in record.metrics if one.name == "ttr"), None)
    shown = incident.resources[:MOST_RESOURCES]
    return {
        "duration": words.duration(duration),
        "resources": [
            {
                "id": code(one.id),
                "type": md(one.type, 100) if one.type else None,
                "region": code(one.region) if one.region else None,
            }
            for one in shown
        ],
        "resources_count": len(incident.resources),
        "resources_left_out": len(incident.resources) - len(shown),
    }


def _supporting(record: Record, words: Words) -> Facts:
    posted: list[Fact] = [
        {
            "seq": head.seq,
            "hash": code(head.hash),
            "at": words.utc(head.at),
            "agrees": "" if head.agrees is None else "yes" if head.agrees else "no",
        }
        for head in record.posted
    ]
    shown = record.sources[:MOST_RESOURCES]
    return {
        "head_seq": record.head[0] if record.head else None,
        "head_hash": code(record.head[1]) if record.head else None,
        "posted": posted,
        "sources": [code(source) for source in shown],
        "sources_left_out": len(record.sources) - len(shown),
        "entries": len(record.entries),
    }


def metric(one: Metric, words: Words) -> Facts:
    """Return one duration with both its ends."""
    return {
        "name": words.label("metric", one.name),
        "start_name": words.label("moment", one.start_name),
        "start": words.utc(one.start),
        "end_name": words.label("moment", one.end_name),
        "end": words.utc(one.end),
        "value": words.duration(one.value),
        "plan": code(one.of) if one.of else None,
    }


def containment(number: int, kept: Containment, words: Words) -> Facts:
    """Return one plan as it went: asked, turned, foreseen against real, and whether it was taken back."""
    plan = kept.plan
    return {
        "number": number,
        "id": code(plan.id),
        "title": md(plan.title, 200),
        "runbook": code(f"{plan.runbook_id}@{plan.runbook_version}"),
        "runbook_digest": code(plan.runbook_digest) if plan.runbook_digest else None,
        "digest": code(plan.digest) if plan.digest else None,
        "short": code(plan.short) if plan.digest else None,
        "state": words.label("plan", plan.state.value),
        "state_code": plan.state.value,
        "risk": words.label("risk", plan.risk.value),
        "target": code(f"{plan.target.account} {plan.target.region}".strip())
        if plan.target.account
        else None,
        "proposer": md(kept.proposer) if kept.proposer else None,
        "requested": words.utc(plan.requested_at),
        "requested_local": words.local(plan.requested_at),
        "turned": [
            {
                "name": md(name),
                "role": words.label("key", role),
                "utc": words.utc(at),
                "local": words.local(at),
            }
            for name, role, at in kept.keys
        ],
        "touches": [
            {
                "kind": words.label("touch", touch.kind),
                "id": code(touch.id),
                "name": md(touch.name) if touch.name else None,
            }
            for touch in plan.touches[:MOST_RESOURCES]
        ],
        "touches_left_out": max(0, len(plan.touches) - MOST_RESOURCES),
        "blast": words.counts(plan.blast),
        "steps": [_step(step, kept, words) for step in plan.steps],
        "undo": _undo(kept, words),
        "undo_of": code(plan.undo_of[:24]) if plan.undo_of else None,
        "reason": words.said(plan.reason),
        "break_glass": _break_glass(kept, words),
        "events": [
            {
                "utc": words.utc(entry.at),
                "who": words.actor(entry.actor),
                **_what(entry, words),
                "seq": entry.seq,
            }
            for entry in kept.events[:MOST_EVENTS]
        ],
        "events_left_out": max(0, len(kept.events) - MOST_EVENTS),
    }


def _step(step: Step, kept: Containment, words: Words) -> Facts:
    row = next((row for row in kept.journal if row.step_id == step.id), None)
    observed = kept.plan.observed.get(step.id)
    before = words.pairs(observed) if isinstance(observed, dict) else None
    seen = words.pairs(row.seen or row.outputs) if row else None
    return {
        "id": code(step.id),
        "action": code(step.action),
        "phase": words.label("phase", step.phase),
        "effect": words.label("effect", step.effect.value),
        "foreseen": before or Markup("–"),
        "result": words.label("step", row.state.value if row else "not-reached"),
        "seen": seen or Markup("–"),
        "attempts": row.attempt if row else 0,
        "error": words.said(row.error) if row else None,
    }


def _undo(kept: Containment, words: Words) -> Markup:
    plan = kept.plan
    if plan.undo_of:
        return words.label("undo", "is-undo") or Markup("")
    if kept.undone_by and kept.undo_state is PlanState.DONE:
        done = words.label("undo", "done") or Markup("")
        return done + Markup(" ") + code(kept.undone_by[:24])
    ready = len(undoable(plan, {row.step_id: row for row in kept.journal}))
    if kept.undone_by and kept.undo_state:
        asked = words.label("undo", "asked") or Markup("")
        return asked + Markup(" ") + (words.label("plan", kept.undo_state.value) or Markup(""))
    return words.label("undo", "ready" if ready else "nothing") or Markup("")


def _break_glass(kept: Containment, words: Words) -> Facts | None:
    plan = kept.plan
    if not plan.break_glass_by:
        return None
    return {
        "by": words.person(plan.break_glass_by),
        "reason": md(plan.break_glass_reason) if plan.break_glass_reason else None,
        "confirmed_by": words.person(plan.confirmed_by),
        "confirm_by": words.utc(plan.confirm_by),
    }


def timeline(entries: Iterable[AuditEntry], words: Words) -> tuple[list[Row], int]:
    """Return the rows of the timeline and how many entries did not fit.

    A run of entries in which one part of twokey did the same thing again and again is one row: a storm of
    findings must not bury what people did. Every row keeps the numbers of its entries.
    """
    rows: list[Row] = []
    used = left_out = 0
    for _, run in groupby(entries, key=_run_key):
        first, *more = run
        if used > _ROWS_BYTES:
            left_out += 1 + len(more)
            continue
        row = _row(first, words, more)
        used += len(row["cells"].encode())
        rows.append(row)
    return rows, left_out


def _run_key(entry: AuditEntry) -> object:
    if entry.action in ("joined", "reminded") and entry.actor.id.startswith("system:"):
        return (entry.actor.id, entry.action)
    return entry.seq


def _row(entry: AuditEntry, words: Words, more: Sequence[AuditEntry] = ()) -> Row:
    """Return one row: its parts, and `cells`, the parts in the usual order, joined here for speed."""
    who, what = words.actor(entry.actor), words.label("did", entry.action) or Markup("")
    detail, seq = _detail(entry.data, words), ready(str(entry.seq))
    utc, local = words.both(entry.at)
    if more:
        utc += Markup(" – ") + (words.utc(more[-1].at) or "")
        what += ready(f" ×{1 + len(more)}")
        seq += ready(f"–{more[-1].seq}")
    cells = ready(" | ".join((utc, local, who, what, detail, seq)))
    return {
        "utc": utc,
        "local": local,
        "who": who,
        "what": what,
        "detail": detail,
        "seq": seq,
        "cells": cells,
    }


def _what(entry: AuditEntry, words: Words) -> Facts:
    what = words.label("did", entry.action)
    return {"what": what, "detail": _detail(entry.data, words)}


def _detail(data: Mapping[str, Json], words: Words) -> Markup:
    """Return what an entry says: a reason code in words, a note as written, the rest as name and value."""
    if not data:
        return Markup("")
    if len(data) == 1 and isinstance(only := data.get("text"), str):
        return md(only)
    parts: list[Markup] = []
    reason = data.get("code")
    if isinstance(reason, str) and reason:
        params = {name: str(value) for name, value in data.items() if isinstance(value, str | int)}
        known = word_or(reason, words.language, "")
        parts.append(ready(say(Message(reason, params), words.language, md)) if known else code(reason))
    text = data.get("text")
    if isinstance(text, str) and text:
        parts.append(md(text))
    if not reason:
        rest = [
            (name, value)
            for name, value in data.items()
            if name != "text" and value not in (None, "", [], {})
        ]
        parts += [_named(name, value, words) for name, value in rest[:6]]
    return Markup(" · ").join(parts)


_CLOSED = {"state": "state", "label": "label", "before": "label", "after": "label"}


def _named(name: str, value: Json, words: Words) -> Markup:
    """Return one recorded value with its name: people by name, digests short, closed sets in words."""
    shown = words.value(value)
    if isinstance(value, str):
        kind = "key" if name == "role" and words.has("key", value) else _CLOSED.get(name, name)
        if name in ("person", "owner"):
            shown = words.person(value) or shown
        elif name in ("digest", "sha256"):
            shown = code(value[:12])
        elif words.has(kind, value):
            shown = words.label(kind, value) or shown
        elif name in ("reason", "fault"):
            shown = md(value)
    key = words.label("field", name) if words.has("field", name) else md(name, 60)
    return Markup("{}: {}").format(key, shown)


def action_items(entries: Iterable[AuditEntry], words: Words) -> Iterator[Facts]:
    """Give the action items that people wrote down (`action` in the chat), in order."""
    for entry in entries:
        if entry.action != "action.added":
            continue
        item = {name: str(value) for name, value in entry.data.items() if isinstance(value, str | int)}
        yield {
            "text": md(item["text"]) if item.get("text") else None,
            "type": words.label("action_type", item.get("type", "")),
            "owner": words.person(item.get("owner", "")),
            "due": md(item["due"], 40) if item.get("due") else None,
            "priority": md(item["priority"], 40) if item.get("priority") else None,
            "ticket": code(item["ticket"], 100) if item.get("ticket") else None,
            "seq": entry.seq,
        }
