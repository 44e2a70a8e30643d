"""Containments in force: what is contained, by which plan, since when, and when somebody looked last."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class InForce:
    """One verified write of one plan that nobody has undone."""

    id: str  # <plan id>/<step id>
    plan_id: str
    incident_id: str
    state: str
    account: str
    since: datetime
