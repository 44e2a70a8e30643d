"""Azure notifications into signals: pure, no network, no SDK."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from twokey.core.errors import Json
from twokey.core.signals import RawNotification, Signal
from twokey.providers.azure.normalise import (
    activity,
    event_grid,
    others,
    resource_health,
    security_alerts,
    service_health,
)
from twokey.providers.azure.normalise.envelopes import Unit, units
from twokey.providers.reading import Obj, bounded, obj, parsed

# The first that recognises a document reads it.
_READERS: tuple[tuple[Callable[[Obj], bool], Callable[[Unit], Iterator[Signal]]], ...] = (
    (event_grid.is_event, event_grid.signals),
    (service_health.is_arm_event, service_health.arm_signals),
    (resource_health.is_status, resource_health.status_signals),
    (security_alerts.is_alert, security_alerts.signals),
    (activity.is_entry, activity.signals),
)


class AzureNormaliser:
    """Reads what Service Health, Resource Health, the activity log and other Azure sources send."""

    def normalise(self, raw: RawNotification) -> tuple[Signal, ...]:
        """Return the signals in a notification; Invalid when it cannot be understood."""
        return self.normalise_json(parsed(raw.body), raw)

    def normalise_json(self, body: Json, raw: RawNotification) -> tuple[Signal, ...]:
        """Do the same with a body that was parsed already."""
        return bounded(signal for unit in units(body, raw) for signal in _signals(unit))

    def payload(self, signal: Signal, raw: RawNotification) -> Json:
        """Return the document that a signal was read from: `raw` to a rule."""
        body = parsed(raw.body)
        whole = list(units(body, raw))
        if len(whole) == 1:
            return whole[0].document
        return next(
            (unit.document for unit in whole if any(found.id == signal.id for found in _signals(unit))), body
        )

    @staticmethod
    def recognises(document: Json) -> bool:
        """Say whether a document looks like something Azure sends."""
        if isinstance(document, list):
            return any(AzureNormaliser.recognises(item) for item in document[:5] if isinstance(item, dict))
        if not isinstance(document, dict):
            return False
        if "alertContext" in document or "alertContext" in obj(document, "data"):
            return True
        schema = document.get("schemaId")
        if isinstance(schema, str):
            return True
        listed = document.get("value", document.get("records"))
        if isinstance(listed, list) and ("value" in document or "records" in document):
            return True
        return any(test(document) for test, _ in _READERS)


def _signals(unit: Unit) -> Iterator[Signal]:
    reader = next((read for test, read in _READERS if test(unit.entry)), None)
    if reader is None:
        yield others.signal(unit)
    else:
        yield from reader(unit)
