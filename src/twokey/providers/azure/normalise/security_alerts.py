"""Microsoft Defender for Cloud alerts, as continuous export, automation and the Security API write them."""

from __future__ import annotations

from collections.abc import Iterator

from twokey.core.signals import Signal, SignalKind, SignalStatus
from twokey.providers.azure.normalise import places
from twokey.providers.azure.normalise.envelopes import Unit, subscription_of
from twokey.providers.azure.resource_types import resource_of
from twokey.providers.azure.service_names import keys_of
from twokey.providers.reading import (
    TITLE,
    Obj,
    digest,
    identity,
    known,
    moment,
    obj,
    objects,
    plain,
    text,
    unique,
)

_SEVERITY = {"informational": 0.0, "low": 3.0, "medium": 5.0, "high": 8.0, "critical": 9.5}
_OVER = ("resolved", "dismissed")


def is_alert(entry: Obj) -> bool:
    """Say whether a document is a security alert, flat or as a resource with properties."""
    alert = _alert(entry)
    return "alertdisplayname" in alert and ("systemalertid" in alert or "alerttype" in alert)


def _alert(entry: Obj) -> Obj:
    """Return the alert's fields under small names: exports begin them with capitals, the API does not."""
    found = obj(entry, "properties") if "alertDisplayName" in obj(entry, "properties") else entry
    return {name.lower(): item for name, item in found.items()}


def signals(unit: Unit) -> Iterator[Signal]:
    """Read one alert."""
    alert = _alert(unit.entry)
    name = text(alert, "systemalertid") or text(unit.entry, "name") or digest(unit.entry, unit.seed)
    identifiers = objects(alert, "resourceidentifiers")
    resource = next((text(item, "azureResourceId", "AzureResourceId") for item in identifiers), "")
    subject = identity("securityalert", name)
    status = text(alert, "status")
    entity = text(alert, "compromisedentity")
    kind = places.resource_type(resource)
    service = places.service(kind)
    yield Signal(
        id=identity(subject, status, text(alert, "processingendtimeutc", "endtimeutc")),
        subject=subject,
        kind=SignalKind.FINDING,
        provider="azure",
        family="activitylog",
        type=text(alert, "alerttype"),
        title=plain(text(alert, "alertdisplayname", limit=2000), TITLE),
        description=plain(text(alert, "description", limit=50_000)),
        service=service,
        account=subscription_of(resource) or subscription_of(text(unit.entry, "id")) or unit.subscription,
        tenant=unit.tenant.lower(),
        severity=_SEVERITY.get(text(alert, "severity", "alertseverity").lower()),
        status=SignalStatus.RESOLVED if status.lower() in _OVER else SignalStatus.OPEN,
        started_at=moment(alert.get("starttimeutc")),
        detected_at=moment(
            alert.get("timegeneratedutc"), alert.get("timegenerated"), alert.get("starttimeutc")
        ),
        updated_at=moment(alert.get("processingendtimeutc"), alert.get("endtimeutc")),
        resources=tuple(
            found
            for found in (resource_of(resource, kind), resource_of(entity))
            if found.id and found.id != "null"
        ),
        is_test=text(alert, "alerttype").lower().startswith("simulated."),
        is_muted=status.lower() in _OVER,
        has_answers=True,
        service_keys=keys_of(service),
        facts=known(
            category="Security",
            alertType=text(alert, "alerttype"),
            intent=text(alert, "intent"),
            status=status,
            entities=unique([entity]),
        ),
    )
