"""Incidents: one matter people work on, its states, severity, roles and seven timestamps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from twokey.core.errors import Refused
from twokey.core.responsibility import Label, Verdict
from twokey.core.signals import Principal, Resource, Signal


class State(StrEnum):
    """Where the work stands."""

    TRIAGE = "triage"
    INVESTIGATING = "investigating"
    CONTAINED = "contained"
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
    cancel_reason: str = ""

    @property
    def is_open(self) -> bool:
        """Say whether people may still act on it."""
        return self.state not in (State.CLOSED, State.CANCELLED)


@dataclass(frozen=True, slots=True)
class Sighting:
    """One signal that was taken in, with its verdict and the incident it went to ("" when it opened none)."""

    id: str  # the signal's id: a repeat is seen by it
    subject: str
    incident_id: str
    at: datetime
    signal: Signal
    verdict: Verdict
