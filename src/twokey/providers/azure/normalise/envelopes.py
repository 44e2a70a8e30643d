"""How Azure notifications arrive: webhooks in two schemas, Event Grid, log records, API pages."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from twokey.core.errors import Json
from twokey.core.signals import RawNotification
from twokey.providers.reading import Obj, each, obj, text, texts, unreadable

_MAX_WRAPPERS = 4
# What the test button of an action group names: an invented machine, and alert rules of these names
# (alerts-payload-samples.md, "test action"). Nothing that exists is in this subscription.
INVENTED = "11111111-1111-1111-1111-111111111111"
_INVENTED = f"/subscriptions/{INVENTED}"
_INVENTED_GROUP = f"{_INVENTED}/resourcegroups/test-rg/"
_INVENTED_RULES = frozenset(
    name.lower()
    for name in (
        "test-activityLogAlertRule",
        "test-dynamicMetricAlertRule",
        "test-logAlertRule-v1-metricMeasurement",
        "test-logAlertRule-v1-numResults",
        "test-logAlertRule-v2",
        "test-metricAlertRule",
        "test-ResourceHealthAlertRule",
        "test-ServiceHealthAlertRule",
        "test-SmartAlertRule",
    )
)
UNREADABLE = "Unreadable part"


@dataclass(frozen=True, slots=True)
class Unit:
    """One document out of a notification, and what stood around it."""

    entry: Obj
    seed: str  # tells this document from others when it has no id of its own
    document: Obj = field(default_factory=dict)  # as it arrived: what rules see as `raw`
    essentials: Obj = field(default_factory=dict)  # of the common alert schema
    schema: str = ""
    account: str = ""
    tenant: str = ""
    fault: str = ""  # where it could not be read

    @property
    def subscription(self) -> str:
        """Return the subscription, from whatever names it."""
        entry = self.entry
        named = text(entry, "subscriptionId")
        if named:
            return named.lower()
        targets = texts(self.essentials, "alertTargetIDs")
        places = [value(entry, "resourceId"), *targets, text(entry, "id"), text(self.essentials, "alertId")]
        found = next((subscription_of(place) for place in places if subscription_of(place)), "")
        if found:
            return found
        # Older and cost notices name it beside what they are about.
        data = obj(self.document, "data")
        named = text(data, "SubscriptionId") or text(obj(data, "context"), "subscriptionId")
        return (named or self.account).lower()

    @property
    def is_made_up(self) -> bool:
        """Say whether this is what an action group's test button sends, by what it names."""
        targets = texts(self.essentials, "alertTargetIDs")
        named = [value(self.entry, "resourceId"), *targets]
        folded = [place.lower() for place in named]
        if any(place.startswith(_INVENTED_GROUP) for place in folded):
            return True
        rule = text(self.essentials, "alertRule").lower()
        return rule in _INVENTED_RULES and any(place.startswith(_INVENTED) for place in folded)


def value(entry: Obj, name: str) -> str:
    """Return a field that is text, or the activity log's pair of value and localizedValue."""
    found = entry.get(name)
    return text(found, "value") if isinstance(found, dict) else text(entry, name)


def subscription_of(resource_id: str) -> str:
    """Return the subscription in a resource id."""
    head, _, rest = resource_id.lower().partition("/subscriptions/")
    return rest.partition("/")[0] if rest and not head else ""


def units(body: Json, raw: RawNotification) -> Iterator[Unit]:
    """Yield every document in a notification."""
    start = Unit({}, seed=raw.id, account=raw.account, tenant=raw.tenant)
    yield from _opened(body, start, 0, "$")


def _opened(found: Json, around: Unit, depth: int, where: str) -> Iterator[Unit]:
    if isinstance(found, list):
        yield from _each(found, around, depth, where)
        return
    if not isinstance(found, dict):
        raise unreadable("not an object", where)
    listed = found.get("records", found.get("value"))
    data = obj(found, "data")
    if isinstance(listed, list) and "schemaId" not in found:
        if not listed:
            yield replace(around, entry=found, document=found, schema="Empty page")
        yield from _each(listed, around, depth, where)
    elif "alertContext" in data or "essentials" in data:
        schema = text(found, "schemaId")
        context, essentials = obj(data, "alertContext"), obj(data, "essentials")
        yield replace(around, entry=context, document=found, essentials=essentials, schema=schema)
    elif isinstance(found.get("alertContext"), dict):
        essentials = obj(found, "essentials")
        yield replace(around, entry=obj(found, "alertContext"), document=found, essentials=essentials)
    elif obj(data, "context", "activityLog"):
        schema = text(found, "schemaId")
        yield replace(around, entry=obj(data, "context", "activityLog"), document=found, schema=schema)
    else:
        yield replace(around, entry=found, document=found, schema=text(found, "schemaId"))


def _each(listed: list[Json], around: Unit, depth: int, where: str) -> Iterator[Unit]:
    if depth >= _MAX_WRAPPERS:
        raise unreadable("lists in lists", where)

    def inner(index: int) -> Unit:
        return replace(around, seed=f"{around.seed}/{index}")

    def broken(index: int, at: str) -> Unit:
        return replace(inner(index), seed=f"{inner(index).seed}{at}", schema=UNREADABLE, fault=at)

    yield from each(
        listed,
        where,
        lambda item, index: _opened(item, inner(index), depth + 1, f"{where}[{index}]"),
        broken,
    )
