"""Correlation: whether a provider's own word explains an availability incident of ours, and by what.

A link is evidence, no proof. It may move an availability incident without a known cause to the provider's side.
It never touches a security finding (an outage is a good time to attack), nor what a person classified, and it
closes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from twokey.core.incidents import Incident
from twokey.core.responsibility import HUMAN, ActionOwner, Confidence, Label, Origin, Planned, Verdict
from twokey.core.signals import Signal

RULE = "correlation.provider"

# A provider's stated start may be later than the first effects, and effects last beyond its stated end.
# What other lengths cost in precision is on docs/why/correlation.md.
BEFORE = timedelta(minutes=10)
AFTER = timedelta(minutes=10)
# An event that its provider never closed explains nothing for ever: one stayed active eight days too long.
LONGEST = timedelta(hours=72)

PROVIDERS_WORD = (Label.PROVIDER_OUTAGE, Label.PROVIDER_MAINTENANCE)
# How a service's key and a region say that their provider means many of them.
_MANY = frozenset(("multipleservices", "multiple"))
_EVERYWHERE = frozenset(("global", ""))


class By(StrEnum):
    """What ties an incident to a provider's event, the surest first."""

    LINK = "link"  # the provider itself names the event
    ENTITY = "entity"  # the provider's list of affected resources names ours
    SERVICE = "service"  # same service, place and time
    PLACE = "place"  # an event of many services, at the same place and time


_SURE = {
    By.LINK: Confidence.HIGH,
    By.ENTITY: Confidence.HIGH,
    By.SERVICE: Confidence.MEDIUM,
    By.PLACE: Confidence.LOW,
}


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why an incident is held to be part of a provider's event."""

    by: By
    event: Incident
    at: datetime  # the moment of ours that lies in the event's time

    @property
    def confidence(self) -> Confidence:
        """Return how sure this kind of explanation is."""
        return _SURE[self.by]


def is_providers_word(incident: Incident) -> bool:
    """Say whether an incident is a provider speaking of itself, so that it may explain others."""
    return is_providers_voice(incident, incident.verdict.label) and not incident.disputed


def is_providers_voice(said: Signal | Incident, label: Label) -> bool:
    """Say whether what was said, and judged so, is a provider speaking of itself."""
    return label in PROVIDERS_WORD and said.speaks_for_provider


def may_be_explained(incident: Incident) -> bool:
    """Say whether an incident is one of availability whose cause nobody has said yet."""
    return (
        incident.verdict.label is Label.UNKNOWN
        and incident.verdict.origin is Origin.UNDETERMINED
        and incident.verdict.rule != HUMAN
        and incident.is_availability
    )


def explained_by(incident: Incident, event: Incident, now: datetime) -> Explanation | None:
    """Return how a provider's event explains an incident, or None when it does not."""
    if incident.provider != event.provider or incident.id == event.id or not is_providers_word(event):
        return None
    at = incident.times.started or incident.times.detected or incident.opened_at
    if incident.tracking_id and incident.tracking_id.lower() == event.tracking_id.lower():
        return Explanation(By.LINK, event, at)
    if not _began_during(at, event, now):
        return None
    if _names(incident) & _names(event):
        return Explanation(By.ENTITY, event, at)
    # An event about one account of ours says nothing of another; a public one, or a subscription's, may.
    if event.is_account_specific and incident.account != event.account:
        return None
    if not _everywhere(event) and not _regions(incident) & _regions(event):
        return None
    ours, theirs = frozenset(incident.service_keys), frozenset(event.service_keys)
    if ours & (theirs - _MANY):
        return Explanation(By.SERVICE, event, at)
    if theirs & _MANY and not _everywhere(event):
        return Explanation(By.PLACE, event, at)
    return None


def best(explanations: Iterable[Explanation | None]) -> Explanation | None:
    """Return the surest explanation; of equals, the event that began nearest to ours."""
    found = [one for one in explanations if one]
    order = list(By)
    return min(found, key=lambda one: (order.index(one.by), abs(one.at - _start(one.event))), default=None)


def verdict_by(explanation: Explanation, before: Verdict) -> Verdict:
    """Return the verdict that an event of the provider gives to an incident it explains."""
    event = explanation.event
    return replace(
        before,
        label=event.verdict.label,
        origin=Origin.PROVIDER,
        plan=event.verdict.plan if event.verdict.plan is not Planned.NOT_APPLICABLE else Planned.UNPLANNED,
        action_owner=ActionOwner.PROVIDER,
        confidence=explanation.confidence,
        rule=RULE,
        reason="The provider's own event explains it: same provider, place and time. It was matched, not proven.",
        fields={
            "event": event.id,
            "tracking_id": event.tracking_id,
            "by": explanation.by.value,
            "services": [*sorted(event.service_keys)],
            "regions": [*sorted(_regions(event))],
            "event_started": _start(event).isoformat(),
            "at": explanation.at.isoformat(),
            "before": before.rule,
        },
    )


def _regions(incident: Incident) -> frozenset[str]:
    return frozenset(name.lower() for name in (incident.regions or (incident.region,)))


def _everywhere(event: Incident) -> bool:
    return bool(_regions(event) & _EVERYWHERE)


def _names(incident: Incident) -> frozenset[str]:
    return frozenset(resource.key for resource in incident.resources if resource.id)


def _start(event: Incident) -> datetime:
    return event.times.started or event.times.detected or event.opened_at


def _began_during(at: datetime, event: Incident, now: datetime) -> bool:
    start = _start(event)
    end = event.provider_ended or min(now, start + LONGEST)
    return start - BEFORE <= at <= max(end, start) + AFTER
