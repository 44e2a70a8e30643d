"""The typed answers of nouns that were written before readers gave them: what today's readers of AWS would say."""

from __future__ import annotations

from dataclasses import replace

from twokey.core.incidents import Incident
from twokey.core.signals import Resource, Signal
from twokey.providers.aws.resource_types import resource_of
from twokey.providers.aws.service_names import keys_of
from twokey.providers.reading import texts

_SECURITY = ("guardduty", "securityhub")
_OF_ITSELF = ("health",)


def complete_signal(signal: Signal) -> Signal:
    """Return a signal with its answers, from what it says in AWS's words."""
    services = tuple(texts(signal.facts, "services"))
    return replace(
        signal,
        has_answers=True,
        is_availability=signal.facts.get("isAlarm") is True,
        is_account_specific=signal.facts.get("eventScopeCode") == "ACCOUNT_SPECIFIC",
        is_security_finding=signal.family in _SECURITY,
        speaks_for_provider=signal.family in _OF_ITSELF,
        services=services,
        service_keys=keys_of(*(services or (signal.service,))),
        resources=_complete(signal.resources),
    )


def complete_incident(incident: Incident) -> Incident:
    """Return an incident with its answers, from what it says in AWS's words; its other answers were always kept."""
    return replace(
        incident,
        has_answers=True,
        is_security_finding=incident.is_security_finding or incident.family in _SECURITY,
        speaks_for_provider=incident.speaks_for_provider or incident.family in _OF_ITSELF,
        service_keys=keys_of(*(incident.services or (incident.service,))),
        resources=_complete(incident.resources),
    )


def _complete(resources: tuple[Resource, ...]) -> tuple[Resource, ...]:
    return tuple(resource_of(found.id, found.type, found.region) for found in resources)
