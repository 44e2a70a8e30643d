"""The record as plain data for the templates: every text escaped, every unknown None, nothing alive."""

from __future__ import annotations

from datetime import date, timedelta
from typing import cast

from twokey.core.incidents import Incident, Severity
from twokey.core.postmortems import Record, missing_evidence, plan_metrics
from twokey.publish.containments import MOST_RESOURCES, containment, metric
from twokey.publish.markdown import code, md, ready, yaml_text
from twokey.publish.public import public_facts
from twokey.publish.redact import Disclosure
from twokey.publish.timeline import action_items, timeline
from twokey.publish.words import Fact, Facts, PageWords
from twokey.words import reason_of, sides_of

# Book-keeping: two entries for each message that went well, and one for each page looked at, bury what happened.
_ROUTINE = ("notice.sending", "notice.sent", "shown")
MOST_PLANS = 30


def internal_facts(record: Record, words: PageWords, disclosure: Disclosure) -> Facts:
    """Return everything the internal template prints."""
    incident = record.incident
    entries = [entry for entry in record.entries if entry.action not in _ROUTINE]
    rows, left_out = timeline(entries, words)
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
        "timeline_routine": len(record.entries) - len(entries),
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
        "public": public_facts(record, words, disclosure),
        "zone": md(words.zone.key),
    }


def _front(record: Record, words: PageWords) -> list[Fact]:
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


def _incident(incident: Incident, words: PageWords) -> Facts:
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


def _responsibility(incident: Incident, words: PageWords) -> Facts:
    verdict = incident.verdict
    return {
        "label": words.label("label", verdict.label.value),
        "label_code": verdict.label.value,
        "origin": words.label("origin", verdict.origin.value),
        "plan": words.label("planned", verdict.plan.value),
        "action_owner": words.label("action_owner", verdict.action_owner.value),
        "service_model": md(verdict.service_model) if verdict.service_model else None,
        "sides": md(sides_of(verdict.service_model, words.language)) or None,
        "confidence": words.label("confidence", verdict.confidence.value),
        "rule": code(verdict.rule) if verdict.rule else None,
        "reason": md(reason_of(verdict, words.language)) if verdict.reason else None,
        "fields": [
            {"name": code(name), "value": words.value(value)} for name, value in verdict.fields.items()
        ],
        "ours": words.label("ours", verdict.label.value),
        "accountable": verdict.accountable,
    }


def _impact(record: Record, words: PageWords) -> Facts:
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
        "resources_count": len(incident.resources) + incident.more_resources,
        "resources_left_out": len(incident.resources) + incident.more_resources - len(shown),
    }


def _supporting(record: Record, words: PageWords) -> Facts:
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
