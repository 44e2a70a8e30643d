"""Azure Resource Health: one resource's health, from the activity log and from availability statuses."""

from __future__ import annotations

from collections.abc import Iterator

from twokey.core.signals import Signal, SignalKind, SignalStatus
from twokey.providers.azure.answers import is_root_cause
from twokey.providers.azure.normalise import places
from twokey.providers.azure.normalise.envelopes import Unit, subscription_of, value
from twokey.providers.azure.normalise.service_health import is_test
from twokey.providers.azure.resource_types import resource_of
from twokey.providers.azure.service_names import keys_of
from twokey.providers.reading import (
    TITLE,
    Obj,
    digest,
    identity,
    instant,
    known,
    moment,
    obj,
    objects,
    plain,
    text,
    texts,
    unique,
)

_STATUS_SUFFIX = "/providers/microsoft.resourcehealth/availabilitystatuses"


def entry_signal(unit: Unit, properties: Obj) -> Signal:
    """Read a Resource Health entry of the activity log; its fields have two sets of names."""
    entry = unit.entry
    targets = texts(unit.essentials, "alertTargetIDs")
    resource = value(entry, "resourceId") or (targets[0] if targets else "")
    kind = places.resource_type(resource) or value(entry, "resourceType")
    current = places.state(text(properties, "currentHealthStatus", "healthStatus"))
    operation = value(entry, "operationName")
    step = operation.lower().removesuffix("/action").rpartition("/")[2]
    happened = text(entry, "eventTimestamp", "time")
    correlation = value(entry, "correlationId") or instant(happened) or digest(entry, unit.seed)
    subject = identity("resourcehealth", resource or unit.subscription, correlation)
    name, stage = value(entry, "eventDataId"), text(properties, "stage")
    service = places.service(kind)
    condition = text(unit.essentials, "monitorCondition")
    return Signal(
        # Samples and templates share placeholders for ids: the operation and the time keep them apart.
        id=identity("resourcehealth", name or subject, instant(happened), step),
        subject=subject,
        kind=SignalKind.EVENT,
        provider="azure",
        family="resourcehealth",
        type=text(properties, "type", "healthEventType") or step.capitalize(),
        title=plain(text(properties, "title", limit=2000), TITLE) or "Azure Resource Health event",
        description=plain(text(properties, "details", limit=50_000)),
        service=service,
        region=places.region(text(entry, "location", "region")),
        account=unit.subscription,
        tenant=(text(entry, "tenantId") or unit.tenant).lower(),
        status=_status(step, current, condition),
        started_at=moment(entry.get("eventTimestamp"), entry.get("time")),
        detected_at=moment(entry.get("eventTimestamp"), entry.get("time")),
        updated_at=moment(entry.get("submissionTimestamp"), entry.get("eventTimestamp"), entry.get("time")),
        resources=(resource_of(resource, kind),) if resource else (),
        is_test=unit.is_made_up or is_test(properties),
        has_answers=True,
        is_availability=True,
        is_root_cause=is_root_cause(stage),
        service_keys=keys_of(service),
        flap_group=resource.lower(),
        facts=known(
            cause=places.cause(text(properties, "cause", "healthEventCause")),
            healthEventCategory=places.category(text(properties, "healthEventCategory", "category")),
            currentHealthStatus=current,
            previousHealthStatus=places.state(text(properties, "previousHealthStatus")),
            healthEventType=text(properties, "type", "healthEventType"),
            stage=stage,
            operationName=operation,
            level=value(entry, "level"),
            correlationId=value(entry, "correlationId"),
            schema=unit.schema,
        ),
    )


def _status(step: str, current: str, condition: str = "") -> SignalStatus:
    if step == "resolved" or current == "Available" or condition.lower() == "resolved":
        return SignalStatus.RESOLVED
    return SignalStatus.UPDATED if step == "updated" else SignalStatus.OPEN


def is_status(entry: Obj) -> bool:
    """Say whether a document is an availability status as the API returns it."""
    return text(entry, "type").lower().endswith("resourcehealth/availabilitystatuses") and (
        "availabilityState" in obj(entry, "properties") or "availabilityState" in entry
    )


def status_signals(unit: Unit) -> Iterator[Signal]:
    """Read one availability status."""
    entry = unit.entry
    properties = obj(entry, "properties") or entry
    name = text(entry, "id")
    cut = name.lower().find(_STATUS_SUFFIX)
    resource = name if cut < 0 else name[:cut]
    kind = places.resource_type(resource)
    service = places.service(kind)
    state = places.state(text(properties, "availabilityState"))
    reason = text(properties, "reasonType")
    happened = text(properties, "occurredTime", "occuredTime", "reportedTime")  # the API has one r
    cause = places.cause(text(properties, "context", "healthEventCause"))
    category = places.category(text(properties, "category", "healthEventCategory"))
    if not cause and places.cause(reason) in ("UserInitiated", "CustomerInitiated"):
        cause = places.cause(reason)
    if not category:
        category = places.category(reason)
    subject = identity("resourcehealth", resource, instant(happened) or digest(entry, unit.seed))
    impacting = objects(properties, "serviceImpactingEvents")
    yield Signal(
        id=identity(subject, state, text(properties, "reportedTime"), reason),
        subject=subject,
        kind=SignalKind.EVENT,
        provider="azure",
        family="resourcehealth",
        type="AvailabilityStatus",
        title=plain(text(properties, "title", "summary", limit=2000), TITLE)
        or f"Azure Resource Health: {state}"[:TITLE],
        description=plain(text(properties, "summary", "detailedStatus", limit=50_000)),
        service=service,
        region=places.region(text(entry, "location")),
        account=subscription_of(name) or unit.account.lower(),
        tenant=unit.tenant.lower(),
        status=_status("", state),
        started_at=moment(happened),
        detected_at=moment(happened, properties.get("reportedTime")),
        updated_at=moment(properties.get("reportedTime"), happened),
        resources=(resource_of(resource, kind),) if resource else (),
        tracking_id=text(impacting[0], "correlationId") if impacting else "",
        has_answers=True,
        is_availability=True,
        service_keys=keys_of(service),
        flap_group=resource.lower(),
        facts=known(
            cause=cause,
            context=text(properties, "context"),
            healthEventCategory=category,
            healthEventType=text(properties, "healthEventType"),
            reasonType=reason,
            currentHealthStatus=state,
            previousHealthStatus=places.state(
                text(obj(properties, "recentlyResolved"), "unavailableSummary") and "Unavailable"
            ),
            correlations=unique(text(item, "correlationId") for item in impacting),
            impactingTypes=unique(
                text(obj(item, "incidentProperties"), "incidentType") for item in impacting
            ),
        ),
    )
