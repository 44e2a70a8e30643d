"""Incidents: one matter people work on, its states, severity, roles and seven timestamps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from twokey.core.errors import Json, Message, Refused
from twokey.core.people import Person
from twokey.core.responsibility import Label, Verdict
from twokey.core.signals import Principal, Resource, Signal, SignalStatus
from twokey.core.younger import younger


class State(StrEnum):
    """Where the work stands."""

    TRIAGE = "triage"
    INVESTIGATING = "investigating"
    CONTAINED = "contained"
    PARTLY_CONTAINED = "partly-contained"  # something of what people agreed to is not in force
    MONITORING = "monitoring"
    RESOLVED = "resolved"
    POSTMORTEM = "postmortem"
    CLOSED = "closed"
    CANCELLED = "cancelled"


class Severity(StrEnum):
    """How bad: SEV1 is worst."""

    SEV1 = "SEV1"
    SEV2 = "SEV2"
    SEV3 = "SEV3"
    SEV4 = "SEV4"


@dataclass(frozen=True, slots=True)
class Times:
    """The seven timestamps; every metric is the difference of two of them, and both are always printed."""

    started: datetime | None = None  # first bad event, or the provider's start
    detected: datetime | None = None  # the source's own time
    notified: datetime | None = None  # our first post
    acked: datetime | None = None
    contained: datetime | None = None  # first containment that was verified
    mitigated: datetime | None = None
    resolved: datetime | None = None


@dataclass(frozen=True, slots=True)
class Incident:
    """One matter. `group` is what a storm has in common; `signals` counts what it took in."""

    id: str  # INC-12
    number: int
    title: str
    verdict: Verdict
    state: State
    severity: Severity
    opened_at: datetime
    last_signal_at: datetime
    provider: str = ""
    family: str = ""
    service: str = ""
    region: str = ""
    account: str = ""
    tenant: str = ""
    workspace: str = ""
    enterprise: str = ""
    subject: str = ""  # of the signal that opened it
    group: str = ""
    signals: int = 1
    resources: tuple[Resource, ...] = ()
    principal: Principal = field(default_factory=Principal)
    tracking_id: str = ""
    commander: str = ""  # person id; at most one
    roles: Mapping[str, str] = field(default_factory=dict)  # other roles -> person id
    times: Times = field(default_factory=Times)
    provider_resolved: bool = False  # the provider says its part is over
    provider_ended: datetime | None = None  # when its part was over, by its own word
    services: tuple[str, ...] = ()  # all that the source says is affected; `service` is the first
    regions: tuple[str, ...] = ()
    is_account_specific: bool = False  # the provider's event is about this account alone
    is_availability: bool = False  # something does not work, and no security finding says so
    related: tuple[str, ...] = ()  # incidents that correlation ties to this one
    more_resources: int = (
        0  # how many were named beyond those that are kept; one that comes again counts again
    )
    turns: int = 0  # how often the source said over, and then not over
    cancel_reason: str = ""
    disputed: Message | None = (
        None  # its source may not speak for what it names: nothing is contained on its word
    )
    has_answers: bool = younger(False)  # see Signal
    is_security_finding: bool = younger(False)  # a security service found it, whatever the rules make of it
    speaks_for_provider: bool = younger(False)  # its source is the provider telling of itself
    service_keys: tuple[str, ...] = younger(())  # `services`, in the one spelling that all senders' share

    @property
    def is_security(self) -> bool:
        """Say whether even the fact of it is for the responders only; an unread security finding counts too."""
        return self.verdict.label is Label.CUSTOMER_SECURITY or self.is_security_finding

    @property
    def is_open(self) -> bool:
        """Say whether people may still act on it."""
        return self.state not in (State.CLOSED, State.CANCELLED)

    @property
    def is_worked_on(self) -> bool:
        """Say whether people are at it: it is neither resolved nor over."""
        return self.is_open and self.state not in (State.RESOLVED, State.POSTMORTEM)


# Which states may follow which. Provider incidents may skip `contained`: nothing of theirs is ours to contain.
MOVES: Mapping[State, tuple[State, ...]] = {
    State.TRIAGE: (State.INVESTIGATING, State.MONITORING, State.RESOLVED, State.CANCELLED),
    State.INVESTIGATING: (
        *(State.CONTAINED, State.PARTLY_CONTAINED, State.MONITORING),
        *(State.RESOLVED, State.CANCELLED),
    ),
    State.CONTAINED: (State.INVESTIGATING, State.PARTLY_CONTAINED, State.MONITORING, State.RESOLVED),
    # Only a run that left nothing out makes it contained from here.
    State.PARTLY_CONTAINED: (State.INVESTIGATING, State.MONITORING, State.RESOLVED),
    State.MONITORING: (State.INVESTIGATING, State.CONTAINED, State.PARTLY_CONTAINED, State.RESOLVED),
    State.RESOLVED: (State.INVESTIGATING, State.POSTMORTEM, State.CLOSED),
    State.POSTMORTEM: (State.CLOSED,),
    State.CLOSED: (),
    State.CANCELLED: (),
}
CANCEL_REASONS = (
    "benign",
    "false-positive",
    "policy-violation",
    "operational-error",
    "user-acknowledged",
    "duplicate",
)


def require_responder(person: Person, incident: Incident) -> None:
    """Refuse a person who holds no role for the incident's account; where it has none, one without any role."""
    if not person.roles_at(incident.account):
        raise Refused("refused.not_responder", person=person.name, scope=incident.account or incident.id)


def require_legal_move(incident: Incident, to: State, reason: str = "") -> None:
    """Refuse an illegal move, naming the legal ones; a cancellation needs a reason from the list."""
    legal = MOVES[incident.state]
    if incident.state is State.RESOLVED and to is State.CLOSED and incident.severity <= Severity.SEV2:
        raise Refused("refused.postmortem_first", incident=incident.id, severity=incident.severity.value)
    if to not in legal:
        names = ", ".join(state.value for state in legal) or "-"
        raise Refused(
            "refused.illegal_move", incident=incident.id, state=incident.state.value, to=to.value, legal=names
        )
    if to is State.CANCELLED and reason not in CANCEL_REASONS:
        raise Refused("refused.cancel_reason", legal=", ".join(CANCEL_REASONS))


def reopened(incident: Incident) -> Incident:
    """Return an incident whose containment does not hold any more: open again, however it was ended.

    No person can do this to one that is closed: it is no move, and only a look at the cloud does it.
    """
    if incident.state in (State.TRIAGE, State.INVESTIGATING):
        return incident
    return replace(incident, state=State.INVESTIGATING)


def group_of(signal: Signal, label: Label) -> str:
    """Return what a storm has in common: side, account, family and principal; "" when it stands alone.

    Only security findings with a known principal are a storm: two outages of one service are told apart
    by the provider's own ids, and two findings about different principals are different attackers.
    A resource whose health flaps has a new id for every turn: it is one matter all the same.
    """
    apart = ("disputed",) if signal.disputed else ()
    if signal.flap_group:
        return "|".join((*apart, "flap", signal.provider, signal.flap_group))
    if label is not Label.CUSTOMER_SECURITY or not signal.principal.key:
        return ""
    return "|".join((*apart, signal.provider, signal.account, signal.principal.key))


def group_of_principal(incident: Incident) -> str:
    """Return the same for an incident that a person calls an attack: what its principal does next belongs to it."""
    is_attack = incident.verdict.label is Label.CUSTOMER_SECURITY and not incident.disputed
    if not is_attack or not incident.principal.key:
        return ""
    return "|".join((incident.provider, incident.account, incident.principal.key))


def services_of(signal: Signal) -> tuple[str, ...]:
    """Return every service that a signal concerns."""
    return signal.services or ((signal.service,) if signal.service else ())


def regions_of(signal: Signal) -> tuple[str, ...]:
    """Return every region that a signal concerns."""
    return signal.regions or ((signal.region,) if signal.region else ())


def severity_of(signal: Signal, label: Label) -> Severity:
    """Grade an incident from the source's own number (0 to 10; no upper end is left out) and its side."""
    if label in (Label.PROVIDER_ADVISORY, Label.INFORMATIONAL, Label.CUSTOMER_INITIATED):
        return Severity.SEV4
    if label is Label.PROVIDER_MAINTENANCE:
        return Severity.SEV4
    if label is Label.PROVIDER_OUTAGE:
        return Severity.SEV2
    if signal.severity is None:
        return Severity.SEV2 if label is Label.CUSTOMER_SECURITY else Severity.SEV3
    if signal.severity >= 9.0:
        return Severity.SEV1
    if signal.severity >= 7.0:
        return Severity.SEV2
    return Severity.SEV3 if signal.severity >= 4.0 else Severity.SEV4


def opened_by(signal: Signal, verdict: Verdict, number: int, now: datetime) -> Incident:
    """Return the incident that a signal opens."""
    is_over = signal.status is SignalStatus.RESOLVED
    return Incident(
        id=f"INC-{number}",
        number=number,
        title=signal.title or signal.type,
        verdict=verdict,
        state=State.TRIAGE,
        severity=severity_of(signal, verdict.label),
        opened_at=now,
        last_signal_at=now,
        provider=signal.provider,
        family=signal.family,
        service=signal.service,
        region=signal.region,
        account=signal.account,
        tenant=signal.tenant,
        subject=signal.subject,
        group=group_of(signal, verdict.label),
        resources=signal.resources,
        principal=signal.principal,
        tracking_id=signal.tracking_id,
        times=Times(started=signal.started_at, detected=signal.detected_at),
        provider_resolved=is_over,
        provider_ended=signal.ended_at or (signal.updated_at if is_over else None),
        services=services_of(signal),
        regions=regions_of(signal),
        is_account_specific=signal.is_account_specific,
        is_availability=signal.is_availability,
        disputed=signal.disputed,
        has_answers=signal.has_answers,
        is_security_finding=signal.is_security_finding,
        speaks_for_provider=signal.speaks_for_provider,
        service_keys=signal.service_keys,
    )


def began_at(incident: Incident) -> datetime:
    """Return when an incident began: the first bad event that is known of, and never after we heard of it."""
    return min(incident.times.started or incident.opened_at, incident.opened_at)


def facts(incident: Incident) -> dict[str, Json]:
    """Return what a runbook may take `from: incident.*`; what is not known is left out."""
    known: dict[str, Json] = {
        "id": incident.id,
        "account_id": incident.account,
        "region": incident.region,
        "access_key_id": incident.principal.access_key_id,
        "user_name": incident.principal.name,
    }
    listed: dict[str, set[str]] = {}
    for resource in incident.resources:
        for name, value in resource.containable.items():
            if isinstance(value, list):
                listed.setdefault(name, set()).update(map(str, value))
            else:
                known.setdefault(name, value)
    known |= {name: [*sorted(values)] for name, values in listed.items()}
    return {name: value for name, value in known.items() if value}


MOST_RESOURCES = 100
"""What an incident keeps of what was named: it is written anew with every signal, and a storm names thousands.
The sightings keep all of it; no shipped runbook touches more than 50 in one plan."""


def absorb(incident: Incident, signal: Signal, verdict: Verdict, now: datetime) -> Incident:
    """Take one more signal into an incident: count it, add what it names, never lower the severity."""
    known = {resource.id for resource in incident.resources}
    fresh = tuple(r for r in signal.resources if r.id not in known)
    room = max(0, MOST_RESOURCES - len(incident.resources))
    graver = min(incident.severity, severity_of(signal, verdict.label))
    started = [t for t in (incident.times.started, signal.started_at) if t]
    detected = [t for t in (incident.times.detected, signal.detected_at) if t]
    times = replace(
        incident.times,
        started=min(started, default=None),
        detected=min(detected, default=None),
    )
    principal = incident.principal if incident.principal.key else signal.principal
    return replace(
        incident,
        signals=incident.signals + 1,
        last_signal_at=now,
        severity=graver,
        resources=incident.resources + fresh[:room],
        more_resources=incident.more_resources + len(fresh[room:]),
        services=tuple(dict.fromkeys((*incident.services, *services_of(signal)))),
        regions=tuple(dict.fromkeys((*incident.regions, *regions_of(signal)))),
        has_answers=incident.has_answers and signal.has_answers,
        service_keys=tuple(dict.fromkeys((*incident.service_keys, *signal.service_keys))),
        principal=principal,
        times=times,
    )
