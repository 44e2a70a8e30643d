"""Whose side it is on: the verdict, the rules that reach it, and the fields that decided it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from twokey.core.errors import Json


class Label(StrEnum):
    """The one word for people, printed first."""

    PROVIDER_MAINTENANCE = "provider-maintenance"
    PROVIDER_OUTAGE = "provider-outage"
    PROVIDER_ADVISORY = "provider-advisory"
    CUSTOMER_SECURITY = "customer-security"
    CUSTOMER_CONFIG = "customer-config"
    CUSTOMER_INITIATED = "customer-initiated"
    INFORMATIONAL = "informational"
    UNKNOWN = "unknown"


class Origin(StrEnum):
    """Where the cause lies."""

    PROVIDER = "provider"
    CUSTOMER = "customer"
    SHARED = "shared"
    UNDETERMINED = "undetermined"


class Planned(StrEnum):
    """Whether it was announced beforehand."""

    PLANNED = "planned"
    UNPLANNED = "unplanned"
    NOT_APPLICABLE = "n/a"


class ActionOwner(StrEnum):
    """Who has to act now."""

    PROVIDER = "provider"
    CUSTOMER = "customer"
    BOTH = "both"


class Confidence(StrEnum):
    """How sure the rule is."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


# What a label says when nothing else is said: origin, plan, who acts, and whether it opens an incident.
USUAL: Mapping[Label, tuple[Origin, Planned, ActionOwner, bool]] = {
    Label.PROVIDER_MAINTENANCE: (Origin.PROVIDER, Planned.PLANNED, ActionOwner.PROVIDER, True),
    Label.PROVIDER_OUTAGE: (Origin.PROVIDER, Planned.UNPLANNED, ActionOwner.PROVIDER, True),
    Label.PROVIDER_ADVISORY: (Origin.SHARED, Planned.PLANNED, ActionOwner.CUSTOMER, False),
    Label.CUSTOMER_SECURITY: (Origin.CUSTOMER, Planned.UNPLANNED, ActionOwner.CUSTOMER, True),
    Label.CUSTOMER_CONFIG: (Origin.CUSTOMER, Planned.NOT_APPLICABLE, ActionOwner.CUSTOMER, True),
    Label.CUSTOMER_INITIATED: (Origin.CUSTOMER, Planned.NOT_APPLICABLE, ActionOwner.CUSTOMER, False),
    Label.INFORMATIONAL: (Origin.UNDETERMINED, Planned.NOT_APPLICABLE, ActionOwner.CUSTOMER, False),
    Label.UNKNOWN: (Origin.UNDETERMINED, Planned.NOT_APPLICABLE, ActionOwner.BOTH, True),
}
HUMAN = "human"  # the rule of a verdict that a person gave: no rule and no provider's event undoes it


@dataclass(frozen=True, slots=True)
class Verdict:
    """One answer, with the rule and the field values that decided it. Accountability is a constant: ours."""

    label: Label
    origin: Origin
    plan: Planned
    action_owner: ActionOwner
    confidence: Confidence
    rule: str
    reason: str  # in words, from the rule
    service_model: str = ""  # IaaS | PaaS | SaaS | ""
    fields: Mapping[str, Json] = field(default_factory=dict)
    opens_incident: bool = True
    accountable: str = "customer"

    @property
    def is_contained_by_us(self) -> bool:
        """Say whether containment makes sense: it never does for the provider's own maintenance or outage."""
        return self.origin in (Origin.CUSTOMER, Origin.SHARED, Origin.UNDETERMINED)


def by_person(label: Label, reason: str, before: Verdict) -> Verdict:
    """Return the verdict of a person who knows better, with what it was before among its fields."""
    origin, plan, owner, _ = USUAL[label]
    return Verdict(
        label=label,
        origin=origin,
        plan=plan,
        action_owner=owner,
        confidence=Confidence.HIGH,
        rule=HUMAN,
        reason=reason,
        service_model=before.service_model,
        fields={"label_before": before.label.value, "rule_before": before.rule},
        opens_incident=before.opens_incident,
    )
