"""Azure Service Health: one event in the activity log's shapes, and as the Resource Health API returns it."""

from __future__ import annotations

from collections.abc import Iterator

from twokey.core.signals import Resource, Signal, SignalKind, SignalStatus
from twokey.providers.azure.answers import is_root_cause
from twokey.providers.azure.normalise import places
from twokey.providers.azure.normalise.envelopes import Unit, subscription_of, value
from twokey.providers.azure.resource_types import resource_of
from twokey.providers.azure.service_names import keys_of
from twokey.providers.reading import (
    TITLE,
    Obj,
    digest,
    embedded,
    identity,
    instant,
    is_true,
    known,
    moment,
    obj,
    objects,
    once,
    plain,
    text,
    texts,
    unique,
)

# One spelling per kind; a kind that is not known stays as it is and is nobody's error.
_TYPES = {
    name.lower().replace(" ", ""): name
    for name in (
        "ActionRequired",
        "AssistedRecovery",
        "Billing",
        "EmergingIssues",
        "HealthAdvisory",
        "Incident",
        "Informational",
        "Maintenance",
        "PlannedMaintenance",
        "RCA",
        "Security",
        "SecurityAdvisory",
        "ServiceIssue",
    )
} | {"information": "Informational"}
_OVER = ("resolved", "complete", "completed", "canceled", "cancelled", "rca")
_TEST_TITLE = "test action group"


def kind_of(name: str) -> str:
    """Return one spelling of an incident type."""
    return _TYPES.get(name.lower().replace(" ", ""), name)


def is_test(properties: Obj) -> bool:
    """Say whether Azure made this event up, for the test button of an action group."""
    if is_true(properties.get("isSynthetic")) or is_true(properties.get("IsSynthetic")):
        return True
    return text(properties, "title", "defaultLanguageTitle").lower().startswith(_TEST_TITLE)


def entry_signal(unit: Unit, properties: Obj) -> Signal:
    """Read a Service Health entry of the activity log."""
    entry = unit.entry
    kind = kind_of(text(properties, "incidentType"))
    tracking = text(properties, "trackingId")
    stage = text(properties, "stage") or value(entry, "status")
    subscription = unit.subscription
    unnamed = value(entry, "eventDataId") or value(entry, "correlationId") or digest(entry, unit.seed)
    subject = identity("servicehealth", tracking or unnamed)
    communication = text(properties, "communicationId") or unnamed
    services, regions = _impact(properties)
    service, tags = services[0] if services else text(properties, "service"), texts(properties, "eventTags")
    affected, where = once(services), once(map(places.region, regions))
    status = value(entry, "status")
    over = stage.lower() in _OVER or status.lower() == "resolved"
    named = [value(entry, "resourceId"), *texts(unit.essentials, "alertTargetIDs")]
    targets = [(name, found) for name in dict.fromkeys(named) if (found := places.resource_type(name))]
    return Signal(
        id=identity(subject, stage, communication, subscription),
        subject=subject,
        kind=SignalKind.EVENT,
        provider="azure",
        family="servicehealth",
        type=kind,
        title=plain(text(properties, "defaultLanguageTitle", "title", limit=2000), TITLE)
        or f"Azure Service Health {kind}".strip()[:TITLE],
        description=plain(
            text(properties, "defaultLanguageContent", "communication", limit=100_000)
            or value(entry, "description")
        ),
        service=service,
        region=_one_region(regions or [text(properties, "region")]),
        account=subscription,
        tenant=(text(entry, "tenantId") or unit.tenant).lower(),
        status=SignalStatus.RESOLVED if over else SignalStatus.OPEN,
        started_at=moment(properties.get("impactStartTime"), entry.get("eventTimestamp"), entry.get("time")),
        detected_at=moment(
            entry.get("eventTimestamp"), entry.get("time"), unit.essentials.get("firedDateTime")
        ),
        updated_at=moment(entry.get("submissionTimestamp"), entry.get("eventTimestamp"), entry.get("time")),
        ended_at=moment(properties.get("impactMitigationTime")),
        resources=tuple(resource_of(name, found) for name, found in targets),
        tracking_id=tracking,
        is_test=unit.is_made_up or is_test(properties),
        has_answers=True,
        is_root_cause=is_root_cause(stage, *tags),
        speaks_for_provider=True,
        services=affected,
        service_keys=keys_of(*(affected or (service,))),
        regions=where,
        facts=known(
            incidentType=kind,
            stage=stage,
            status=status,
            level=value(entry, "level"),
            isHIR=is_true(properties.get("isHIR")),
            eventSubType=text(properties, "eventSubType"),
            eventTags=unique(tags),
            operationName=value(entry, "operationName"),
            communicationId=text(properties, "communicationId"),
            impactMitigationTime=text(properties, "impactMitigationTime"),
            maintenanceId=text(properties, "maintenanceId"),
            schema=unit.schema,
            services=[*affected],
            regions=[*where],
        ),
    )


def _impact(properties: Obj) -> tuple[list[str], list[str]]:
    """Return services and regions; the list of them is JSON in a string."""
    found = properties.get("impactedServices")
    listed = found if isinstance(found, list) else embedded(found)
    services: list[str] = []
    regions: list[str] = []
    for item in objects({"found": listed}, "found"):
        services.append(text(item, "ServiceName", "serviceName"))
        for place in objects(item, "ImpactedRegions") or objects(item, "impactedRegions"):
            regions.append(text(place, "RegionName", "regionName"))
    regions = regions or [part.strip() for part in text(properties, "region").split(",")]
    return [name for name in services if name], [name for name in dict.fromkeys(regions) if name]


def _one_region(names: list[str]) -> str:
    """Return the region when it is one; of many, the facts have the list."""
    folded = {places.region(name) for name in names if name}
    if len(folded) == 1:
        return folded.pop()
    return "global" if "global" in folded else ""


# the Resource Health API's form


def is_arm_event(entry: Obj) -> bool:
    """Say whether a document is an event as the API or an SDK returns it, or the list of emerging issues."""
    kind = text(entry, "type").lower()
    if not kind.startswith(("/providers/microsoft.resourcehealth/", "microsoft.resourcehealth/")):
        return False
    return kind.endswith(("/events", "/emergingissues"))


def arm_signals(unit: Unit) -> Iterator[Signal]:
    """Read one event, or every active emerging issue."""
    entry = unit.entry
    properties = obj(entry, "properties") or entry
    if text(entry, "type").lower().endswith("/emergingissues"):
        for issue in objects(properties, "statusActiveEvents"):
            yield _emerging(unit, issue)
        if not objects(properties, "statusActiveEvents"):
            yield _arm_event(unit, {**properties, "eventType": "Informational", "status": "Resolved"})
        return
    yield _arm_event(unit, properties)


def _arm_event(unit: Unit, properties: Obj) -> Signal:
    entry = unit.entry
    kind = kind_of(text(properties, "eventType"))
    tracking = text(properties, "trackingId") or text(entry, "name")
    status = text(properties, "status")
    services = [text(item, "impactedService") for item in objects(properties, "impact")]
    tags = texts(properties, "eventTags")
    impacted = [place for item in objects(properties, "impact") for place in objects(item, "impactedRegions")]
    regions = [text(place, "impactedRegion", "id") for place in impacted]
    subscriptions = sorted({name for place in impacted for name in texts(place, "impactedSubscriptions")})
    affected, where = once(services), once(map(places.region, regions))
    subscription = subscription_of(text(entry, "id")) or unit.account
    subscription = subscription or (subscriptions[0] if len(subscriptions) == 1 else "")
    updated = text(properties, "lastUpdateTime")
    subject = identity("servicehealth", tracking or digest(entry, unit.seed))
    resources = _impacted(properties) or _impacted(entry)
    # Resources come to light after the event did: that is news of the same state.
    touched = [digest(sorted(item.id for item in resources), "")] if resources else []  # type: ignore[arg-type]
    return Signal(
        id=identity(subject, status, instant(updated) or digest(entry, unit.seed), subscription, *touched),
        subject=subject,
        kind=SignalKind.EVENT,
        provider="azure",
        family="servicehealth",
        type=kind,
        title=plain(text(properties, "title", limit=2000), TITLE)
        or f"Azure Service Health {kind}".strip()[:TITLE],
        description=plain(text(properties, "description", "summary", limit=200_000)),
        service=services[0] if services else "",
        region=_one_region(regions),
        account=subscription.lower(),
        tenant=unit.tenant.lower(),
        status=SignalStatus.RESOLVED if status.lower() in _OVER else SignalStatus.OPEN,
        started_at=moment(properties.get("impactStartTime")),
        detected_at=moment(properties.get("impactStartTime"), properties.get("lastUpdateTime")),
        updated_at=moment(properties.get("lastUpdateTime")),
        ended_at=moment(properties.get("impactMitigationTime")),
        resources=resources,
        tracking_id=tracking,
        is_test=is_test(properties),
        has_answers=True,
        is_root_cause=is_root_cause(*tags),
        speaks_for_provider=True,
        services=affected,
        service_keys=keys_of(*affected),
        regions=where,
        facts=known(
            incidentType=kind,
            status=status,
            # those of the resources that are not well at the moment
            unhealthy=unique(
                text(item, "resource")
                for item in objects(entry, "availabilityStatuses")
                if places.state(text(item, "availabilityState")) in ("Unavailable", "Degraded")
            ),
            eventSubType=text(properties, "eventSubType"),
            eventTags=unique(tags),
            level=text(properties, "eventLevel", "level"),
            isHIR=is_true(properties.get("isHIR")),
            platformInitiated=is_true(properties.get("platformInitiated")),
            priority=text(properties, "priority"),
            impactMitigationTime=text(properties, "impactMitigationTime"),
            services=[*affected],
            regions=[*where],
            subscriptions=unique(subscriptions),
        ),
    )


def _impacted(found: Obj) -> tuple[Resource, ...]:
    """Return the resources that the source has listed beside the event (see providers.azure.impact)."""
    named = {
        text(item, "targetResourceId"): resource_of(
            text(item, "targetResourceId"),
            text(item, "targetResourceType") or places.resource_type(text(item, "targetResourceId")),
            places.region(text(item, "targetRegion")),
        )
        for item in objects(found, "impactedResources")
    }
    return tuple(found for name, found in named.items() if name)


def _emerging(unit: Unit, issue: Obj) -> Signal:
    services = [text(impact, "name") for impact in objects(issue, "impacts")]
    regions = [
        text(place, "id", "name")
        for impact in objects(issue, "impacts")
        for place in objects(impact, "regions")
    ]
    affected, where = once(services), once(map(places.region, regions))
    tracking, stage = text(issue, "trackingId"), text(issue, "stage")
    subject = identity("servicehealth", tracking or digest(issue, unit.seed))
    return Signal(
        id=identity(subject, stage, text(issue, "lastModifiedTime") or digest(issue, unit.seed), "emerging"),
        subject=subject,
        kind=SignalKind.EVENT,
        provider="azure",
        family="servicehealth",
        type="EmergingIssues",
        title=plain(text(issue, "title", limit=2000), TITLE) or "Azure emerging issue",
        description=plain(text(issue, "description", limit=100_000)),
        service=services[0] if services else "",
        region=_one_region(regions),
        tenant=unit.tenant.lower(),
        status=SignalStatus.RESOLVED if stage.lower() in _OVER else SignalStatus.OPEN,
        started_at=moment(issue.get("startTime")),
        detected_at=moment(issue.get("startTime")),
        updated_at=moment(issue.get("lastModifiedTime")),
        tracking_id=tracking,
        has_answers=True,
        is_root_cause=is_root_cause(stage),
        speaks_for_provider=True,
        services=affected,
        service_keys=keys_of(*affected),
        regions=where,
        facts=known(
            incidentType="EmergingIssues",
            stage=stage,
            level=text(issue, "severity"),
            services=[*affected],
            regions=[*where],
        ),
    )
