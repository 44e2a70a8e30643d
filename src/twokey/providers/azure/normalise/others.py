"""What else comes through the same doors: metric and log alerts, cost notices, lists, unknown documents."""

from __future__ import annotations

from twokey.core.signals import Signal, SignalKind, SignalStatus
from twokey.providers.azure.normalise import places
from twokey.providers.azure.normalise.envelopes import UNREADABLE, Unit
from twokey.providers.azure.normalise.service_health import is_test
from twokey.providers.azure.resource_types import resource_of
from twokey.providers.azure.service_names import keys_of
from twokey.providers.reading import (
    TITLE,
    digest,
    identity,
    known,
    moment,
    obj,
    once,
    plain,
    shortened,
    text,
    texts,
)


def signal(unit: Unit) -> Signal:
    """Read anything: what it says about itself, and nothing that it does not say."""
    essentials, entry = unit.essentials, unit.entry
    data = obj(unit.document, "data")
    kind = text(essentials, "monitoringService") or unit.schema or text(entry, "type") or "Unknown document"
    rule = text(essentials, "alertRule") or text(obj(data, "context"), "name") or text(data, "BudgetName")
    condition = text(essentials, "monitorCondition") or text(data, "status")
    alert = text(essentials, "originAlertId", "alertId") or text(obj(data, "context"), "id")
    seed = digest(unit.document, unit.seed) if not unit.fault else unit.seed
    subject = identity("other", kind, alert or text(entry, "id") or seed)
    fired = text(essentials, "firedDateTime") or text(obj(data, "context"), "timestamp")
    over = condition.lower() in ("resolved", "deactivated")
    source = text(essentials, "signalType")
    is_alarm = bool(condition) and source in ("Metric", "Log")
    resources = tuple(
        resource_of(name, places.resource_type(name)) for name in texts(essentials, "alertTargetIDs")
    )
    services = once(places.service(one.type) for one in resources)
    return Signal(
        id=identity(subject, condition, text(essentials, "resolvedDateTime") or fired or seed),
        subject=subject,
        kind=SignalKind.EVENT,
        provider="azure",
        family="other",
        type=kind,
        title=shortened(": ".join(part for part in (kind, rule, condition) if part), TITLE),
        description=f"could not be read: {unit.fault}"
        if unit.schema == UNREADABLE
        else plain(text(unit.essentials, "description", limit=20_000)),
        service=source,
        account=unit.subscription,
        tenant=unit.tenant.lower(),
        status=SignalStatus.RESOLVED if over else SignalStatus.OPEN,
        started_at=moment(fired),
        detected_at=moment(fired),
        updated_at=moment(essentials.get("resolvedDateTime"), fired),
        resources=resources,
        is_test=unit.is_made_up
        or is_test(obj(entry, "properties"))
        or rule.lower().startswith("test action group"),
        has_answers=True,
        is_availability=is_alarm,
        services=services,
        service_keys=keys_of(*(services or (source,))),
        facts=known(
            schema=unit.schema,
            monitoringService=text(essentials, "monitoringService"),
            alertRule=rule,
            monitorCondition=condition,
            severity=text(essentials, "severity"),
            isAlarm=is_alarm or None,
            services=[*services],
        ),
    )
