"""What outsiders may read: a record of its own, made of closed sets, numbers and times; no text is copied."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from markupsafe import Markup

from twokey.core.executions import undoable
from twokey.core.incidents import Severity, State, Times
from twokey.core.postmortems import ContainmentRecord, Metric, Record, has_contained, metrics
from twokey.core.responsibility import ActionOwner, Confidence, Label, Origin, Planned
from twokey.core.runbooks import PlanState
from twokey.ports import PublicNames
from twokey.publish.containments import metric
from twokey.publish.markdown import ready, yaml_text
from twokey.publish.redact import Disclosure
from twokey.publish.words import Fact, Facts, PageWords
from twokey.words import sides_of

_INCIDENT = re.compile(r"[A-Z]{2,6}-[0-9]{1,9}")
_UNKNOWN = PublicNames()
_SERVICE_MODELS = ("IaaS", "PaaS", "SaaS")
_TOUCHES = frozenset(
    [
        "access-key",
        "account",
        "bucket",
        "database",
        "function",
        "instance",
        "network-interface",
        "network-security-group",
        "organizational-unit",
        "policy",
        "principal",
        "role",
        "security-group",
        "storage-account",
        "user",
        "virtual-machine",
    ]
)


@dataclass(frozen=True, slots=True)
class PublicContainment:
    """One containment without names: when, how many people agreed, what kind of things it touched."""

    requested_at: datetime | None
    approved_at: datetime | None
    done_at: datetime | None
    people: int
    state: PlanState
    touched: tuple[tuple[str, int], ...]  # (kind from the closed set, or "other"; how many)
    can_be_undone: bool
    is_undo: bool
    took_effect: bool
    broke_glass: bool
    confirmed: bool  # by a second person, after the glass was broken


@dataclass(frozen=True, slots=True)
class PublicRecord:
    """Everything the public template may know. Each text field holds a value of a closed set, or nothing."""

    incident_id: str
    severity: Severity
    state: State
    label: Label
    origin: Origin
    planned: Planned
    action_owner: ActionOwner
    confidence: Confidence
    service_model: str
    provider: str
    service: str
    region: str
    tracking_id: str
    times: Times
    metrics: tuple[Metric, ...]
    containments: tuple[PublicContainment, ...]
    resources: int
    drafted_at: datetime | None


def public_record(record: Record, disclosure: Disclosure) -> PublicRecord:
    """Copy what is allowed out of a record; what is not on the list does not exist here."""
    incident, verdict = record.incident, record.incident.verdict
    cloud = disclosure.clouds.get(incident.provider, _UNKNOWN)
    is_theirs = verdict.origin in (Origin.PROVIDER, Origin.SHARED)
    return PublicRecord(
        incident_id=incident.id if _INCIDENT.fullmatch(incident.id) else "",
        severity=Severity(incident.severity),
        state=State(incident.state),
        label=Label(verdict.label),
        origin=Origin(verdict.origin),
        planned=Planned(verdict.plan),
        action_owner=ActionOwner(verdict.action_owner),
        confidence=Confidence(verdict.confidence),
        service_model=verdict.service_model if verdict.service_model in _SERVICE_MODELS else "",
        provider=cloud.title,
        service=cloud.services.get(incident.service.strip().lower(), ""),
        region=cloud.region(incident.region),
        tracking_id=incident.tracking_id
        if is_theirs and re.fullmatch(cloud.tracking_id, incident.tracking_id)
        else "",
        times=incident.times,
        metrics=metrics(incident.times),
        containments=tuple(_containment(kept) for kept in record.containments if kept.keys),
        resources=len(incident.resources) + incident.more_resources,
        drafted_at=record.drafted_at,
    )


def _containment(kept: ContainmentRecord) -> PublicContainment:
    kinds = Counter(touch.kind if touch.kind in _TOUCHES else "other" for touch in kept.plan.touches)
    return PublicContainment(
        requested_at=kept.plan.requested_at,
        approved_at=kept.approved_at,
        done_at=kept.done_at,
        people=len({name for name, _, _ in kept.keys}),
        state=PlanState(kept.plan.state),
        touched=tuple(sorted(kinds.items())),
        can_be_undone=bool(undoable(kept.plan, {row.step_id: row for row in kept.journal})),
        is_undo=bool(kept.plan.undo_of),
        took_effect=has_contained(kept),
        broke_glass=bool(kept.plan.break_glass_by),
        confirmed=bool(kept.plan.confirmed_by),
    )


def public_facts(record: Record, words: PageWords, disclosure: Disclosure) -> Facts:
    """Return everything the public template prints, from the sanitised record alone."""
    public = public_record(record, disclosure)
    times = public.times
    facts: Facts = {
        "id": public.incident_id or None,
        "front": _front(public, words),
        "title": words.label("public_title", public.label.value),
        "severity": public.severity.value,
        "state": words.label("state", public.state.value),
        "label": words.label("label", public.label.value),
        "label_code": public.label.value,
        "origin": words.label("origin", public.origin.value),
        "plan": words.label("planned", public.planned.value),
        "action_owner": words.label("action_owner", public.action_owner.value),
        "confidence": words.label("confidence", public.confidence.value),
        "service_model": public.service_model or None,
        "sides": sides_of(public.service_model, words.language) or None,
        "provider": public.provider or None,
        "service": public.service or None,
        "region": public.region or None,
        "tracking_id": public.tracking_id or None,
        "ours": words.label("ours", public.label.value),
        "resources": public.resources,
        "times": {name: words.utc(getattr(times, name)) for name in times.__dataclass_fields__},
        "duration": words.duration(next((one.value for one in public.metrics if one.name == "ttr"), None)),
        "metrics": [{**metric(one, words), "plan": None} for one in public.metrics],
        "timeline": _timeline(public, words),
        "plans": [_plan(number, kept, words) for number, kept in enumerate(public.containments, start=1)],
        "emergency": any(kept.broke_glass for kept in public.containments),
        "emergency_open": any(kept.broke_glass and not kept.confirmed for kept in public.containments),
        "took_effect": sum(kept.took_effect for kept in public.containments),
    }
    # A second net under the first: names and addresses are taken out of every text that is left.
    return {name: _without_names(value, disclosure) for name, value in facts.items()}


def _front(public: PublicRecord, words: PageWords) -> list[Fact]:
    front = [
        ("id", public.incident_id),
        ("title", str(words.label("public_title", public.label.value) or "")),
        ("date", f"{public.times.started:%Y-%m-%d}" if public.times.started else ""),
        ("severity", public.severity.value),
        ("status", "Draft"),
        ("audience", "public"),
        ("language", words.language),
        ("drafted", f"{public.drafted_at:%Y-%m-%dT%H:%M:%SZ}" if public.drafted_at else ""),
    ]
    return [{"key": ready(key), "value": yaml_text(value or words.not_recorded)} for key, value in front]


def _timeline(public: PublicRecord, words: PageWords) -> list[Fact]:
    moments = [
        (getattr(public.times, name), words.label("public_moment", name))
        for name in Times.__dataclass_fields__
    ]
    for number, kept in enumerate(public.containments, start=1):
        for name, at in (
            ("requested", kept.requested_at),
            ("approved", kept.approved_at),
            ("done", kept.done_at),
        ):
            what = words.label("public_moment", name) or Markup("")
            moments.append((at, what + ready(f" ({number})")))
    known = sorted((at, str(what)) for at, what in moments if at)
    return [{"utc": words.utc(at), "local": words.local(at), "what": ready(what)} for at, what in known]


def _plan(number: int, kept: PublicContainment, words: PageWords) -> Facts:
    touched: list[Fact] = [
        {"kind": words.label("touch", kind), "count": count} for kind, count in kept.touched
    ]
    return {
        "number": number,
        "people": kept.people,
        "state": words.label("plan", kept.state.value),
        "touched": touched,
        "can_be_undone": kept.can_be_undone,
        "is_undo": kept.is_undo,
        "requested": words.utc(kept.requested_at),
        "approved": words.utc(kept.approved_at),
        "done": words.utc(kept.done_at),
    }


def _without_names(value: Fact, disclosure: Disclosure) -> Fact:
    if isinstance(value, Markup):
        return ready(disclosure.without_names(str(value)))
    if isinstance(value, str):
        return disclosure.without_names(value)
    if isinstance(value, list):
        return [_without_names(item, disclosure) for item in value]
    if isinstance(value, dict):
        return {name: _without_names(item, disclosure) for name, item in value.items()}
    return value
