"""The responsibility ledger: how many minutes of impact were whose, where, and by what evidence.

A claim for a service credit needs more than a provider's post: that something of ours was in it. So minutes that
are only stated by the provider stand apart from those in which something of ours is on record.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from twokey.core.correlations import RULE
from twokey.core.incidents import Incident, State
from twokey.core.responsibility import Label, Origin, Planned


class Proof(StrEnum):
    """What shows that an impact was ours, the strongest first."""

    RESOURCE = "resource"  # a resource of ours is named
    ACCOUNT = "account"  # the event is about an account of ours
    CORRELATED = "correlated"  # an alarm of ours was tied to the provider's event
    STATED = "stated"  # the provider says it happened; nothing of ours is on record


class Ended(StrEnum):
    """Who said that it was over."""

    PROVIDER = "provider"
    PEOPLE = "people"
    STILL_OPEN = "still open"


@dataclass(frozen=True, slots=True)
class Impact:
    """One incident's time of impact, cut to the ledger's period."""

    incident_id: str
    side: Origin
    is_planned: bool
    label: Label
    rule: str
    provider: str
    service: str
    region: str
    account: str
    start: datetime
    end: datetime
    ended: Ended
    proof: Proof
    tracking_id: str
    title: str

    @property
    def minutes(self) -> float:
        """Return the length in minutes."""
        return (self.end - self.start).total_seconds() / 60


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """What one side answers for in one place: minutes in which at least one impact lasted, none counted twice."""

    side: Origin
    provider: str
    service: str
    region: str
    account: str
    minutes: float
    planned_minutes: float
    stated_minutes: float  # of `minutes`, those for which only the provider's word stands
    impacts: tuple[Impact, ...]

    @property
    def tracking_ids(self) -> tuple[str, ...]:
        """Return the provider's ids of what happened, each once."""
        return tuple(dict.fromkeys(one.tracking_id for one in self.impacts if one.tracking_id))


@dataclass(frozen=True, slots=True)
class Ledger:
    """All rows of one period; `head` is the audit trail's last entry, so that the trail can be checked against it."""

    since: datetime
    until: datetime
    rows: tuple[LedgerRow, ...]
    head: tuple[int, str]
    left_out: int  # incidents of the period without an impact: advisories, information, cancelled ones

    def total(self, side: Origin) -> float:
        """Return the minutes in which at least one impact of a side lasted, wherever it was."""
        impacts = [impact for row in self.rows if row.side is side for impact in row.impacts]
        return union_minutes(sorted(impacts, key=lambda impact: impact.start))


_NO_IMPACT = (Label.PROVIDER_ADVISORY, Label.INFORMATIONAL)


def impact_of(incident: Incident, since: datetime, until: datetime) -> Impact | None:
    """Return an incident's impact in a period, or None where it has none."""
    if incident.verdict.label in _NO_IMPACT or incident.state is State.CANCELLED:
        return None
    start = incident.times.started or incident.times.detected or incident.opened_at
    end, ended = _end(incident, until)
    start, end = max(start, since), min(end, until)
    if end <= start:
        return None
    return Impact(
        incident_id=incident.id,
        side=incident.verdict.origin,
        is_planned=incident.verdict.plan is Planned.PLANNED,
        label=incident.verdict.label,
        rule=incident.verdict.rule,
        provider=incident.provider,
        # an alarm is about the service that it watches, not about the one that watches
        service=next(iter(incident.services), incident.service),
        region=incident.region or (", ".join(incident.regions[:3]) if incident.regions else ""),
        account=incident.account,
        start=start,
        end=end,
        ended=ended,
        proof=_proof(incident),
        tracking_id=incident.tracking_id,
        title=incident.title,
    )


def _end(incident: Incident, until: datetime) -> tuple[datetime, Ended]:
    """Return the first end that is on record: for the provider's part its own word, else what people did."""
    times = incident.times
    if incident.verdict.origin is Origin.PROVIDER and incident.provider_ended and incident.provider_resolved:
        return incident.provider_ended, Ended.PROVIDER
    by_people = [at for at in (times.mitigated, times.resolved) if at]
    if by_people:
        return min(by_people), Ended.PEOPLE
    return until, Ended.STILL_OPEN


def _proof(incident: Incident) -> Proof:
    if incident.verdict.origin is not Origin.PROVIDER or incident.is_availability:
        return Proof.CORRELATED if incident.verdict.rule == RULE else Proof.RESOURCE
    if incident.is_account_specific:
        return Proof.RESOURCE if incident.resources else Proof.ACCOUNT
    return Proof.CORRELATED if incident.related else Proof.STATED


def ledger(incidents: Iterable[Incident], since: datetime, until: datetime, head: tuple[int, str]) -> Ledger:
    """Put the impacts of a period together by side and place, the longest first."""
    places: dict[tuple[Origin, str, str, str, str], list[Impact]] = defaultdict(list)
    left_out = 0
    for incident in incidents:
        impact = impact_of(incident, since, until)
        if impact:
            places[(impact.side, impact.provider, impact.service, impact.region, impact.account)].append(
                impact
            )
        elif since <= incident.opened_at < until:
            left_out += 1
    rows = [_row(place, sorted(found, key=lambda one: one.start)) for place, found in places.items()]
    rows.sort(key=lambda row: (list(Origin).index(row.side), -row.minutes, row.provider, row.service))
    return Ledger(since, until, tuple(rows), head, left_out)


def _row(place: tuple[Origin, str, str, str, str], impacts: Sequence[Impact]) -> LedgerRow:
    proven = [one for one in impacts if one.proof is not Proof.STATED]
    minutes = union_minutes(impacts)
    return LedgerRow(
        *place,
        minutes=minutes,
        planned_minutes=union_minutes([one for one in impacts if one.is_planned]),
        stated_minutes=minutes - union_minutes(proven),
        impacts=tuple(impacts),
    )


def union_minutes(impacts: Sequence[Impact]) -> float:
    """Return the minutes in which at least one of these lasted; they come ordered by start."""
    total, reach = 0.0, None
    for one in impacts:
        begin = one.start if reach is None else max(one.start, reach)
        if one.end > begin:
            total += (one.end - begin).total_seconds() / 60
        reach = one.end if reach is None else max(reach, one.end)
    return total
