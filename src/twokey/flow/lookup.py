"""Look an incident or a plan up by its id, as it was typed, or say that there is none."""

from __future__ import annotations

from twokey.core.errors import NotFound
from twokey.core.incidents import Incident
from twokey.core.runbooks import Plan
from twokey.ports import Snapshot


def canonical_id(typed: str) -> str:
    """Return the incident id that was meant: `12`, `inc-12` and `INC-12` are one."""
    text = typed.strip().upper().removeprefix("INC-")
    return f"INC-{text}"


def incident_by_id(look: Snapshot, typed: str) -> Incident:
    """Return the incident that was meant, or say that there is none of that name."""
    incident = look.get(Incident, canonical_id(typed))
    if incident is None:
        raise NotFound("response.no_such_incident", incident=typed.strip()[:40])
    return incident


def plan_by_id(look: Snapshot, plan_id: str) -> Plan:
    """Return a stored plan by its id, or say that there is none."""
    plan = look.get(Plan, plan_id)
    if plan is None:
        raise NotFound("containment.no_such_plan", plan=plan_id[:40])
    return plan
