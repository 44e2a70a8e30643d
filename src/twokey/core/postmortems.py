"""Post-mortems: the record of one incident, ready for a template, and the metrics with both their ends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from twokey.core.audit import AuditEntry
from twokey.core.executions import StepRecord
from twokey.core.incidents import Incident, Times
from twokey.core.runbooks import Plan


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
class Containment:
    """One plan as it went: who proposed it, who turned keys, what was foreseen and what happened."""

    plan: Plan
    proposer: str  # name
    keys: tuple[tuple[str, str, datetime], ...]  # (name, role, when)
    journal: tuple[StepRecord, ...]
    started_at: datetime | None = None
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """Everything that is known about one incident, for the templates. Unknown stays None or empty."""

    incident: Incident
    entries: tuple[AuditEntry, ...]
    metrics: tuple[Metric, ...]
    containments: tuple[Containment, ...]
    names: Mapping[str, str] = field(default_factory=dict)  # person id -> name
    head: tuple[int, str] | None = None  # of the audit trail when it was drafted
    sources: tuple[str, ...] = ()  # ids of the source notifications
    drafted_at: datetime | None = None
    drafted_by: str = ""


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
