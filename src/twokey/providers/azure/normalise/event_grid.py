"""Event Grid: health resources (availability changes and the annotations that explain them), handshakes."""

from __future__ import annotations

from collections.abc import Iterator

from twokey.core.signals import Signal, SignalKind, SignalStatus
from twokey.providers.azure.normalise import places
from twokey.providers.azure.normalise.envelopes import Unit, subscription_of
from twokey.providers.azure.resource_types import resource_of
from twokey.providers.azure.service_names import keys_of
from twokey.providers.reading import TITLE, Obj, digest, identity, instant, known, moment, obj, plain, text

_HEALTH = "microsoft.resourcenotifications.healthresources."


def is_event(entry: Obj) -> bool:
    """Say whether a document is an Event Grid event, in its own schema or as a CloudEvent."""
    if not isinstance(entry.get("data"), dict):
        return False
    kind = text(entry, "eventType", "type")
    return bool(kind) and ("eventTime" in entry or "specversion" in entry or kind.lower().startswith(_HEALTH))


def signals(unit: Unit) -> Iterator[Signal]:
    """Read one event."""
    kind = text(unit.entry, "eventType", "type")
    if kind.lower().startswith(_HEALTH):
        yield _health(unit, kind.rpartition(".")[2])
    else:
        yield _other(unit, kind)


def _health(unit: Unit, kind: str) -> Signal:
    """A change of state has no cause; the annotation has. They share a resource and a time, so a subject."""
    entry = unit.entry
    info = obj(entry, "data", "resourceInfo")
    found = obj(info, "properties")
    resource = text(found, "targetResourceId") or text(entry, "subject")
    happened = text(found, "occurredTime") or text(entry, "eventTime", "time")
    state = places.state(text(found, "availabilityState"))
    annotation = text(found, "annotationName")
    # Within one tick of Azure's clock, however the two notifications spell it.
    subject = identity("resourcehealth", resource.rstrip("/"), instant(happened) or digest(entry, unit.seed))
    target_type = text(found, "targetResourceType") or places.resource_type(resource)
    service = places.service(target_type)
    return Signal(
        id=identity(
            "eventgrid", text(entry, "id") or digest(entry, unit.seed), annotation or state, happened
        ),
        subject=subject,
        kind=SignalKind.EVENT,
        provider="azure",
        family="resourcehealth",
        type=annotation or kind,
        title=plain(text(found, "reason", limit=2000), TITLE)
        or (f"Availability changed to {state}" if state else kind)[:TITLE],
        description=plain(text(found, "summary", limit=50_000)),
        service=service,
        region=places.region(text(info, "location")),
        account=subscription_of(resource) or unit.account.lower(),
        tenant=unit.tenant.lower(),
        status=SignalStatus.RESOLVED if state == "Available" else SignalStatus.OPEN,
        started_at=moment(happened),
        detected_at=moment(entry.get("eventTime"), entry.get("time"), happened),
        updated_at=moment(happened, entry.get("eventTime"), entry.get("time")),
        resources=(resource_of(resource, target_type),) if resource else (),
        waits_for_cause=not annotation and state in ("Unavailable", "Degraded"),
        has_answers=True,
        is_availability=True,
        service_keys=keys_of(service),
        flap_group=resource.lower(),
        facts=known(
            eventType=kind,
            annotationName=annotation,
            cause=places.cause(text(found, "context")),
            context=text(found, "context"),
            healthEventCategory=places.category(text(found, "category")),
            impactType=text(found, "impactType"),
            currentHealthStatus=state,
            previousHealthStatus=places.state(text(found, "previousAvailabilityState")),
            occurredTime=happened,
        ),
    )


def _other(unit: Unit, kind: str) -> Signal:
    entry = unit.entry
    resource = text(entry, "subject", "topic", "source")
    subject = identity("eventgrid", text(entry, "id") or digest(entry, unit.seed))
    return Signal(
        id=subject,
        subject=subject,
        kind=SignalKind.EVENT,
        provider="azure",
        family="other",
        type=kind,
        title=f"Event Grid: {kind}"[:TITLE],
        account=subscription_of(resource) or unit.account.lower(),
        tenant=unit.tenant.lower(),
        started_at=moment(entry.get("eventTime"), entry.get("time")),
        detected_at=moment(entry.get("eventTime"), entry.get("time")),
        updated_at=moment(entry.get("eventTime"), entry.get("time")),
        resources=(resource_of(resource, places.resource_type(resource)),) if resource else (),
        has_answers=True,
        facts=known(eventType=kind),
    )
