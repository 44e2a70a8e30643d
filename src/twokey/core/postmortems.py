"""Post-mortems: the record of one incident, ready for a template, and the metrics with both their ends."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from twokey.core.audit import AuditEntry
from twokey.core.errors import Json, Message, message
from twokey.core.executions import StepRecord, StepState, left_undone
from twokey.core.incidents import Incident, State, Times
from twokey.core.responsibility import Origin
from twokey.core.runbooks import Plan, PlanState, Step

AUDIENCES = ("internal", "public")


@dataclass(frozen=True, slots=True)
class Metric:
    """One duration between two recorded moments; `value` is None unless both are known and in order."""

    name: str  # ttd | delivery_lag | tta | ttc | ttm | ttr | approval_latency | execution
    start_name: str
    start: datetime | None
    end_name: str
    end: datetime | None
    of: str = ""  # the plan, for approval latency and execution

    @property
    def value(self) -> timedelta | None:
        """Return the time between the two ends, or None when one is not recorded or they are out of order."""
        if self.start is None or self.end is None or self.end < self.start:
            return None
        return self.end - self.start


_ENDS = (
    ("ttd", "started", "detected"),
    ("delivery_lag", "detected", "notified"),
    ("tta", "notified", "acked"),
    ("ttc", "detected", "contained"),
    ("ttm", "started", "mitigated"),
    ("ttr", "started", "resolved"),
)


def metrics(times: Times) -> tuple[Metric, ...]:
    """Return the six metrics of PRODUCT section 2; each carries both timestamps."""
    return tuple(
        Metric(name, start, getattr(times, start), end, getattr(times, end)) for name, start, end in _ENDS
    )


@dataclass(frozen=True, slots=True)
class ContainmentRecord:
    """One plan as it went: who proposed it, who turned keys, what was foreseen and what happened."""

    plan: Plan
    proposer: str  # name
    keys: tuple[tuple[str, str, datetime], ...]  # (name, role, when)
    journal: tuple[StepRecord, ...]
    started_at: datetime | None = None
    ended_at: datetime | None = None
    approved_at: datetime | None = None  # the moment the last key that was needed was turned
    events: tuple[AuditEntry, ...] = ()  # refusals, withdrawals, voids and expiry of this plan
    undone_by: str = ""  # the plan that took it back
    undo_state: PlanState | None = None  # where that plan stands

    @property
    def done_at(self) -> datetime | None:
        """Return when the run came to its end; a run that failed was never done."""
        return self.ended_at if self.plan.state is PlanState.DONE else None


def plan_metrics(containment: ContainmentRecord) -> tuple[Metric, Metric]:
    """Return approval latency (approved - requested) and execution (done - approved) of one plan."""
    approved, plan = containment.approved_at, containment.plan
    return (
        Metric("approval_latency", "requested", plan.requested_at, "approved", approved, of=plan.id),
        Metric("execution", "approved", approved, "done", containment.done_at, of=plan.id),
    )


@dataclass(frozen=True, slots=True)
class Similar:
    """An earlier or parallel incident that has something in common with this one."""

    id: str
    title: str
    opened_at: datetime
    state: State
    shares: str  # group | subject | tracking | side


@dataclass(frozen=True, slots=True)
class PostedHead:
    """A head of the audit trail that was shown in the chat, outside the reach of the database."""

    seq: int
    hash: str
    at: datetime | None
    agrees: bool | None  # with the entry of that number in the trail now; None when it was not compared


@dataclass(frozen=True, slots=True)
class Record:
    """Everything that is known about one incident, for the templates. Unknown stays None or empty."""

    incident: Incident
    entries: tuple[AuditEntry, ...]
    metrics: tuple[Metric, ...]
    containments: tuple[ContainmentRecord, ...]
    names: Mapping[str, str] = field(default_factory=dict)  # person id -> name
    head: tuple[int, str] | None = None  # of the audit trail when it was drafted
    sources: tuple[str, ...] = ()  # ids of the source notifications
    drafted_at: datetime | None = None
    drafted_by: str = ""
    similar: tuple[Similar, ...] = ()
    posted: tuple[PostedHead, ...] = ()


@dataclass(frozen=True, slots=True)
class Postmortem:
    """One drafted version of one incident's post-mortem, in one language, for one audience."""

    id: str  # <incident>/<language>/<audience>
    incident_id: str
    language: str  # en | ja
    audience: str  # internal | public
    text: str
    drafted_at: datetime
    drafted_by: str
    published_at: datetime | None = None
    published_by: str = ""
    published_to: str = ""  # file or commit
    published_digest: str = ""  # of the text that was published: it may have been drafted anew since
    head: int = 0  # last audit entry that the draft knew of
    revised_at: datetime | None = None  # a person's own words are in it: a new draft leaves them alone
    revised_by: str = ""

    @property
    def is_published(self) -> bool:
        """Say whether exactly this text was published."""
        return bool(self.published_at) and self.published_digest == text_digest(self.text)


def postmortem_id(incident_id: str, language: str, audience: str) -> str:
    """Name one version of one incident's post-mortem."""
    return f"{incident_id}/{language}/{audience}"


def text_digest(text: str) -> str:
    """Return SHA-256 of a post-mortem's text, for the audit trail."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


# `contained` and `mitigated` have no fixed order between them, and a provider may have mitigated before
# anybody was told; what is listed here is wrong whenever it is the other way round.
_BEFORE = (
    ("started", "detected"),
    ("detected", "notified"),
    ("notified", "acked"),
    ("detected", "contained"),
    ("started", "mitigated"),
    ("notified", "resolved"),
    ("acked", "resolved"),
    ("contained", "resolved"),
    ("mitigated", "resolved"),
)


def faults(record: Record, now: datetime) -> tuple[Message, ...]:
    """Name everything in the times of a record that must be put right before it is published.

    Three checks: a moment that is required is missing, one lies in the future, one is before its predecessor.
    """
    which, times = record.incident.id, _moments(record)
    found = [
        message("postmortem.time_missing", incident=which, name=name)
        for name in _required(record)
        if not times.get(name)
    ]
    found += [
        message("postmortem.time_future", incident=which, name=name, at=_iso(at))
        for name, at in times.items()
        if at and at > now
    ]
    pairs = [(early, late, times.get(early), times.get(late)) for early, late in _BEFORE]
    for kept in record.containments:
        pairs += [
            (f"{m.start_name}:{m.of}", f"{m.end_name}:{m.of}", m.start, m.end) for m in plan_metrics(kept)
        ]
    found += [
        message(
            "postmortem.time_order",
            incident=which,
            name=late,
            at=_iso(end),
            before=early,
            before_at=_iso(start),
        )
        for early, late, start, end in pairs
        if start and end and end < start
    ]
    return tuple(found)


def _required(record: Record) -> tuple[str, ...]:
    if record.incident.state is State.CANCELLED:
        return ()  # it was none after all: nothing had to be worked through
    required = ["detected", "notified", "resolved"]
    if record.incident.verdict.origin is not Origin.PROVIDER:
        required.insert(2, "acked")
    if any(has_contained(kept) and not _is_partial(kept) for kept in record.containments):
        required.insert(-1, "contained")
    return tuple(required)


def _moments(record: Record) -> dict[str, datetime | None]:
    times = record.incident.times
    moments = {name: getattr(times, name) for name in Times.__dataclass_fields__}
    for kept in record.containments:
        for metric in plan_metrics(kept):
            moments[f"{metric.start_name}:{metric.of}"] = metric.start
            moments[f"{metric.end_name}:{metric.of}"] = metric.end
    return moments


def _iso(at: datetime) -> str:
    return at.isoformat(timespec="seconds")


def has_contained(kept: ContainmentRecord) -> bool:
    """Say whether a plan's write is verified: the world is different for it. An undo contains nothing."""
    writes = {step.id for step in kept.plan.writes}
    return not kept.plan.undo_of and any(
        row.step_id in writes and row.state is StepState.VERIFIED for row in kept.journal
    )


def _is_partial(kept: ContainmentRecord) -> bool:
    """Say whether a write of a run is not in force: then nobody has to say when the incident was contained."""
    return bool(left_undone(kept.plan, {row.step_id: row for row in kept.journal}))


def missing_evidence(kept: ContainmentRecord) -> tuple[tuple[Step, str], ...]:
    """Return the evidence steps of a run that gave nothing, with why: failed, skipped or never reached."""
    if kept.started_at is None and not kept.journal:
        return ()
    journal = {row.step_id: row for row in kept.journal}
    found = []
    for step in kept.plan.steps:
        row = journal.get(step.id)
        state = row.state.value if row else "not-reached"
        if step.phase == "evidence" and state not in ("done", "verified"):
            found.append((step, state))
    return tuple(found)


def named_in(text: str, record: Record) -> tuple[str, ...]:
    """Return what a text says that identifies us: people, keys, accounts, resources of this record.

    It is a second look at words that a person wrote for outsiders; a machine's public draft holds none
    of the record's own text to begin with.
    """
    lowered = text.casefold()
    return tuple(sorted(name for name in identifying(record) if _says(lowered, name.casefold())))


def identifying(record: Record) -> frozenset[str]:
    """Return every name and id of a record that an outsider must not read."""
    incident, principal = record.incident, record.incident.principal
    named = [incident.account, incident.tenant, incident.workspace, incident.enterprise]
    named += [principal.name, principal.access_key_id, principal.arn, *record.names.keys()]
    for name in record.names.values():
        named += [name, *name.split()]
    for resource in incident.resources:
        named += [resource.id, re.split(r"[:/]", resource.id)[-1]]
    values: list[str] = []
    for kept in record.containments:
        named += [kept.plan.target.account]
        for touch in kept.plan.touches:
            named += [touch.id, touch.name]
        values += _texts(kept.plan.params.values())
        for row in kept.journal:
            values += _texts([*row.inputs.values(), *row.outputs.values()])
    # A step's inputs also hold plain words (`Inactive`): only what looks like a name of something counts.
    named += [value for value in values if len(value) > 5 and re.search(r"[0-9_./:@-]", value)]
    public = {incident.region, incident.service, incident.id, incident.provider}
    return frozenset(name.strip() for name in named if len(name.strip()) > 2 and name.strip() not in public)


def _says(text: str, name: str) -> bool:
    if not name.isascii():
        return name in text  # Japanese writes no blanks between words
    return re.search(rf"(?<![a-z0-9]){re.escape(name)}(?![a-z0-9])", text) is not None


def _texts(values: Iterable[Json]) -> list[str]:
    found: list[str] = []
    for value in values:
        if isinstance(value, str):
            found.append(value)
        elif isinstance(value, list):
            found += _texts(value)
        elif isinstance(value, dict):
            found += _texts(value.values())
    return found
