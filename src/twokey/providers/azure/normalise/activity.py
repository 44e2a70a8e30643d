"""The activity log in its webhook, REST and diagnostic forms; Service and Resource Health come this way."""

from __future__ import annotations

from collections.abc import Iterator

from twokey.core.signals import Principal, Signal, SignalKind
from twokey.providers.azure.normalise import places, resource_health, service_health
from twokey.providers.azure.normalise.envelopes import Unit, value
from twokey.providers.azure.resource_types import resource_of
from twokey.providers.azure.service_names import keys_of
from twokey.providers.reading import (
    DESCRIPTION,
    TITLE,
    Obj,
    digest,
    embedded,
    identity,
    instant,
    known,
    moment,
    obj,
    shortened,
    text,
    texts,
)

_CATEGORIES = {
    name.lower(): name
    for name in (
        "Administrative",
        "Alert",
        "Autoscale",
        "Policy",
        "Recommendation",
        "ResourceHealth",
        "Security",
        "ServiceHealth",
    )
}
_SEVERITY = {"informational": 0.0, "low": 3.0, "medium": 5.0, "high": 8.0, "critical": 9.5}
_HEALTH_FIELDS = ("currentHealthStatus", "healthStatus", "healthEventCause")


def is_entry(entry: Obj) -> bool:
    """Say whether a document is an entry of the activity log."""
    if not any(name in entry for name in ("operationName", "authorization", "caller", "eventDataId")):
        return "trackingId" in _properties(entry) and "incidentType" in _properties(entry)
    return True


def signals(unit: Unit) -> Iterator[Signal]:
    """Read one entry, by its category."""
    properties = _properties(unit.entry)
    category = _category(unit, properties)
    if category == "ServiceHealth":
        yield service_health.entry_signal(unit, properties)
    elif category == "ResourceHealth":
        yield resource_health.entry_signal(unit, properties)
    else:
        yield _operation(unit, properties, category)


def _properties(entry: Obj) -> Obj:
    """Return the properties; diagnostic settings put them one level deeper, some senders into a string."""
    found = entry.get("properties")
    whole = obj({"found": embedded(found)}, "found") if isinstance(found, str) else obj(entry, "properties")
    inner = whole.get("eventProperties")
    inner = embedded(inner) if isinstance(inner, str) else inner
    return {**whole, **inner} if isinstance(inner, dict) else whole


def _category(unit: Unit, properties: Obj) -> str:
    """Return the category; where no field says it, the operation and the properties do."""
    operation = value(unit.entry, "operationName").lower()
    if operation.startswith("microsoft.servicehealth/"):
        return "ServiceHealth"
    if operation.startswith("microsoft.resourcehealth/healthevent"):
        return "ResourceHealth"
    for named in (
        value(unit.entry, "category"),
        value(unit.entry, "eventSource"),
        text(unit.essentials, "monitoringService").replace("Activity Log - ", ""),
    ):
        known_name = _CATEGORIES.get(named.lower().replace(" ", ""))
        if known_name:
            return known_name
    if "incidentType" in properties and "trackingId" in properties:
        return "ServiceHealth"
    if any(name in properties for name in _HEALTH_FIELDS):
        return "ResourceHealth"
    if operation.startswith("microsoft.security/") and "/alerts/" in operation:
        return "Security"
    if value(unit.entry, "category"):
        return value(unit.entry, "category")  # a log that we do not know is not an operation of ours
    return "Administrative" if operation or "caller" in unit.entry else ""


def _operation(unit: Unit, properties: Obj, category: str) -> Signal:
    entry = unit.entry
    operation = value(entry, "operationName") or text(obj(entry, "authorization"), "action")
    # The common schema has no resourceId, but the resource as what the alert is about.
    targets = (name for name in texts(unit.essentials, "alertTargetIDs") if places.resource_type(name))
    resource = value(entry, "resourceId") or next(targets, "") or text(obj(entry, "authorization"), "scope")
    kind = places.resource_type(resource) or value(entry, "resourceType")
    name = value(entry, "eventDataId")
    correlation = value(entry, "correlationId")
    happened = text(entry, "eventTimestamp", "time")
    outcome = text(entry, "resultType") or value(entry, "status")
    service = places.service(kind) or operation.partition("/")[0]
    message_id = identity(
        "activitylog",
        name or correlation or digest(entry, unit.seed),
        operation,
        outcome,
        instant(happened),
        "" if name else resource,
    )
    is_alert = category == "Security"
    entity = text(properties, "compromisedEntity")
    title = text(properties, "alertDisplayName", "recommendationName", "title", limit=TITLE)
    resources = [resource_of(resource, kind)] if resource else []
    if entity and is_alert:
        resources.append(resource_of(entity, text(properties, "attackedResourceType", "resourceType")))
    return Signal(
        id=message_id,
        subject=identity("activitylog", correlation, resource, operation) if correlation else message_id,
        kind=SignalKind.FINDING if is_alert else SignalKind.EVENT,
        provider="azure",
        family="activitylog",
        type=operation,
        title=title or shortened(f"{operation} {outcome}".strip() or category or "Activity log", TITLE),
        description=shortened(
            value(entry, "description") or text(entry, "resultDescription") or text(properties, "message")
        )[:DESCRIPTION],
        service=service,
        region=places.region(text(entry, "location")),
        account=unit.subscription,
        tenant=(text(entry, "tenantId") or unit.tenant).lower(),
        severity=_SEVERITY.get(text(properties, "severity").lower()) if is_alert else None,
        started_at=moment(happened),
        detected_at=moment(happened),
        updated_at=moment(entry.get("submissionTimestamp"), happened),
        resources=tuple(resources),
        principal=Principal(name=text(entry, "caller")),
        is_test=unit.is_made_up or service_health.is_test(properties),
        has_answers=True,
        service_keys=keys_of(service),
        facts=known(
            category=category,
            operation=operation.lower(),
            operationName=operation,
            outcome=outcome,
            level=value(entry, "level"),
            callerIpAddress=text(entry, "callerIpAddress"),
            threatStatus=text(properties, "threatStatus"),
            recommendationCategory=text(properties, "recommendationCategory"),
            schema=unit.schema,
        ),
    )
