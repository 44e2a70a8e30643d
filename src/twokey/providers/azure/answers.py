"""The typed answers of nouns that were written before readers gave them: what today's readers of Azure would say."""

from __future__ import annotations

from dataclasses import replace

from twokey.core.incidents import Incident
from twokey.core.signals import Resource, Signal
from twokey.providers.azure.resource_types import resource_of
from twokey.providers.azure.service_names import keys_of
from twokey.providers.reading import text, texts

_SECURITY = ("defender", "securityhub")
_OF_ITSELF = ("servicehealth",)
_ROOT_CAUSES = ("rca", "pir", "final pir", "preliminary pir", "post incident review")


def is_root_cause(*stages_and_tags: str) -> bool:
    """Say whether Azure publishes why it happened: the stage of an event says so, or one of its tags."""
    return any(one.lower() in _ROOT_CAUSES for one in stages_and_tags)


def complete_signal(signal: Signal) -> Signal:
    """Return a signal with its answers, from what it says in Azure's words."""
    facts, services = signal.facts, tuple(texts(signal.facts, "services"))
    resources = _complete(signal.resources)
    is_health = signal.family == "resourcehealth"
    return replace(
        signal,
        has_answers=True,
        is_availability=is_health or facts.get("isAlarm") is True,
        is_root_cause=is_root_cause(text(facts, "stage"), *texts(facts, "eventTags")),
        is_security_finding=signal.family in _SECURITY,
        speaks_for_provider=signal.family in _OF_ITSELF,
        services=services,
        service_keys=keys_of(*(services or (signal.service,))),
        regions=tuple(texts(facts, "regions")),
        flap_group=resources[0].id.lower() if is_health and resources else "",
        resources=resources,
    )


def complete_incident(incident: Incident) -> Incident:
    """Return an incident with its answers, from what it says in Azure's words; its other answers were always kept."""
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
