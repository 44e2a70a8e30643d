"""How AWS notifications arrive: EventBridge, SNS around it, Lambda records, put-events entries, API pages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from twokey.core.errors import Json
from twokey.core.signals import RawNotification
from twokey.providers.reading import Obj, each, embedded, fields, items, obj, text, texts, unreadable

_MAX_WRAPPERS = 4
_ENTRY = {
    "detail-type": "DetailType",
    "source": "Source",
    "time": "Time",
    "resources": "Resources",
    "detail": "Detail",
}
UNREADABLE = "Unreadable part"
PAGES = ("Findings", "findings", "events", "successfulSet")  # where the APIs' answers have what was asked for


@dataclass(frozen=True, slots=True)
class Envelope:
    """What stood around a document."""

    seed: str  # tells this document from others when it has no id of its own
    document: Obj  # the document as a whole, unwrapped: what rules see as `raw`
    account: str = ""
    tenant: str = ""
    region: str = ""
    time: str = ""
    id: str = ""
    source: str = ""
    detail_type: str = ""
    resources: tuple[str, ...] = ()
    subject: str = ""  # of an SNS message
    topic: str = ""
    attributes: tuple[str, ...] = ()  # names of SNS message attributes
    own_roles: tuple[str, ...] = ()  # the names of the roles that twokey itself acts as


@dataclass(frozen=True, slots=True)
class Unit:
    """One document out of a notification: an event's detail, a finding, a record, or a text."""

    detail: Obj
    envelope: Envelope
    message: str = ""  # a text that is not JSON


def units(body: Json, raw: RawNotification, own_roles: tuple[str, ...] = ()) -> Iterator[Unit]:
    """Yield every document in a notification."""
    start = Envelope(seed=raw.id, document={}, account=raw.account, tenant=raw.tenant, own_roles=own_roles)
    yield from _opened(body, start, 0, "$")


def _opened(value: Json, around: Envelope, depth: int, where: str) -> Iterator[Unit]:
    if isinstance(value, list):
        if depth >= _MAX_WRAPPERS:
            raise unreadable("lists in lists", where)
        yield from _each(value, around, where, lambda item, env, at: _opened(item, env, depth + 1, at))
        return
    if not isinstance(value, dict):
        raise unreadable("not an object", where)
    if depth >= _MAX_WRAPPERS:
        yield Unit(value, replace(around, document=value))
        return
    if "detail-type" in value or ("detail" in value and "source" in value):
        yield _event(value, around, where)
    elif "DetailType" in value and "Detail" in value:
        # An entry for put-events, as the event that EventBridge would deliver.
        yield _event({name: value.get(entry) for name, entry in _ENTRY.items()}, around, where)
    elif isinstance(value.get("Records"), list):
        records, at_records = items(value, "Records"), f"{where}.Records"
        yield from _each(records, around, at_records, lambda item, env, at: _record(item, env, depth, at))
    elif isinstance(value.get("Message"), str) and ("TopicArn" in value or "MessageId" in value):
        yield from _sns(value, around, depth, where)
    else:
        yield from _page(value, around, depth, where)


def _each(
    values: list[Json], around: Envelope, where: str, read: Callable[[Json, Envelope, str], Iterator[Unit]]
) -> Iterator[Unit]:
    def inner(index: int) -> Envelope:
        return replace(around, seed=f"{around.seed}/{index}")

    return each(
        values,
        where,
        lambda item, index: read(item, inner(index), f"{where}[{index}]"),
        lambda index, at: broken(inner(index), at),
    )


def broken(around: Envelope, where: str) -> Unit:
    """Make the unit that stands for a part of a notification that could not be read."""
    marked = replace(around, id="", detail_type=UNREADABLE, seed=f"{around.seed}{where}")
    return Unit({}, marked, message=f"could not be read: {where}")


def _record(record: Json, around: Envelope, depth: int, where: str) -> Iterator[Unit]:
    """Open one record of a Lambda event (SNS, SQS) or of a CloudTrail file."""
    if isinstance(record, dict) and isinstance(record.get("Sns"), dict):
        yield from _sns(obj(record, "Sns"), around, depth + 1, f"{where}.Sns")
    elif isinstance(record, dict) and isinstance(record.get("body"), str) and "eventSource" in record:
        inner = embedded(record["body"])
        if inner is None:
            yield Unit({}, replace(around, document=record), message=text(record, "body", limit=10_000))
        else:
            yield from _opened(inner, around, depth + 1, f"{where}.body")
    else:
        yield from _opened(record, around, depth + 1, where)


def _sns(value: Obj, around: Envelope, depth: int, where: str) -> Iterator[Unit]:
    topic = text(value, "TopicArn")
    parts = topic.split(":")
    around = replace(
        around,
        document=value,
        account=around.account or (parts[4] if len(parts) > 5 else ""),
        region=around.region or (parts[3] if len(parts) > 5 else ""),
        time=text(value, "Timestamp"),
        id=text(value, "MessageId"),
        subject=text(value, "Subject"),
        topic=topic,
        attributes=tuple(list(obj(value, "MessageAttributes"))[:20]),
    )
    inner = embedded(value.get("Message"))
    if inner is None or text(value, "Type") in ("SubscriptionConfirmation", "UnsubscribeConfirmation"):
        kind = text(value, "Type") if text(value, "Token") else ""
        yield Unit({}, replace(around, detail_type=kind), message=text(value, "Message", limit=10_000) or " ")
    else:
        yield from _opened(inner, around, depth + 1, f"{where}.Message")


def _page(value: Obj, around: Envelope, depth: int, where: str) -> Iterator[Unit]:
    """Open what the APIs return: GetFindings, DescribeEvents, DescribeEventDetails."""
    for name in PAGES:
        listed = value.get(name)
        if isinstance(listed, list) and not {"Id", "id", "arn"} & value.keys():
            if not listed:
                yield Unit(value, replace(around, document=value, detail_type="Empty page"))
            yield from _opened(listed, around, depth + 1, f"{where}.{name}")
            return
    yield Unit(value, replace(around, document=value))


def _event(value: Obj, around: Envelope, where: str) -> Unit:
    detail = value.get("detail")
    if isinstance(detail, str):
        detail = embedded(detail)
    if not isinstance(detail, dict):
        raise unreadable("the event has no detail", f"{where}.detail")
    account, region, time, id_, source, detail_type = fields(
        value, "account", "region", "time", "id", "source", "detail-type"
    )
    return Unit(
        detail,
        # Written out: nearly every notification comes this way, and `replace` costs three times as much.
        Envelope(
            seed=around.seed,
            document=value if detail is value.get("detail") else {**value, "detail": detail},
            account=account or around.account,
            tenant=around.tenant,
            region=region or around.region,
            time=time or around.time,
            id=id_ or around.id,
            source=source,
            detail_type=detail_type,
            resources=tuple(texts(value, "resources")),
            subject=around.subject,
            topic=around.topic,
            attributes=around.attributes,
            own_roles=around.own_roles,
        ),
    )
