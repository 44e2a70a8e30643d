"""AWS Health: events over EventBridge, what the Health API returns, and the public status history."""

from __future__ import annotations

import re
from collections.abc import Iterator

from twokey.core.errors import Json
from twokey.core.signals import Principal, Resource, Signal, SignalKind, SignalStatus
from twokey.providers.aws.normalise.envelopes import Envelope
from twokey.providers.aws.resource_types import resource_of
from twokey.providers.aws.service_names import keys_of
from twokey.providers.reading import (
    TITLE,
    Obj,
    digest,
    identity,
    is_true,
    known,
    moment,
    obj,
    objects,
    plain,
    text,
    texts,
    unique,
)

_CATEGORIES = {
    name.lower(): name for name in ("issue", "accountNotification", "scheduledChange", "investigation")
}
_KEY = re.compile(
    r"(?:AKIA|ASIA)[A-Z0-9]{12,124}"
)  # access key ids; no two ways to match, so no backtracking
_PUBLIC_CODE = "_OPERATIONAL_ISSUE"


def is_event(detail: Obj) -> bool:
    """Say whether a bare document is a Health event, in the shape of EventBridge or of the API."""
    if "eventTypeCode" in detail:
        return True
    return "eventTypeCode" in obj(detail, "event")


def event(detail: Obj, around: Envelope) -> Signal:
    """Read one event; whatever is missing stays empty."""
    detail = _flat(detail)
    code, category = text(detail, "eventTypeCode"), text(detail, "eventTypeCategory")
    category = _CATEGORIES.get(category.lower(), category)
    arn = text(detail, "eventArn", "arn")
    scope = text(detail, "eventScopeCode").upper()
    account, key = _account(detail, around)
    subject = _subject(detail, arn, code, account, around)
    description, service = _description(detail), _service(detail, code)
    principal = _principal(detail, key)
    resources = tuple(_resources(detail, around))
    metadata = obj(detail, "eventMetadata")
    return Signal(
        id=_message(detail, subject, account, around),
        subject=subject,
        kind=SignalKind.EVENT,
        provider="aws",
        family="health",
        type=code,
        title=_title(description, code),
        description=plain(description),
        service=service,
        region=_region(detail, arn, around),
        account=account,
        tenant=around.tenant,
        status=_status(detail, category, description),
        started_at=moment(detail.get("startTime")),
        detected_at=moment(around.time, detail.get("lastUpdatedTime"), detail.get("startTime")),
        updated_at=moment(detail.get("lastUpdatedTime"), around.time, detail.get("startTime")),
        ended_at=moment(detail.get("endTime")),
        resources=resources,
        principal=principal,
        tracking_id=arn,
        has_answers=True,
        is_account_specific=scope == "ACCOUNT_SPECIFIC",
        speaks_for_provider=True,
        service_keys=keys_of(service),
        facts=known(
            eventTypeCategory=category,
            eventScopeCode=scope,
            detailType=around.detail_type,
            statusCode=text(detail, "statusCode"),
            actionability=text(detail, "actionability").upper(),
            personas=unique(texts(detail, "personas")),
            page=text(detail, "page"),
            totalPages=text(detail, "totalPages"),
            isBackup=is_true(detail.get("backupEvent")),
            endTime=_iso(detail.get("endTime")),
            publicKey=text(metadata, "publicKey"),
            exposedUrl=text(metadata, "exposedUrl"),
            access_key_id=principal.access_key_id,
            user_name=principal.name,
        ),
    )


def _flat(detail: Obj) -> Obj:
    """Return the API's {event, eventDescription, eventMetadata} in the flat shape of EventBridge."""
    inner = obj(detail, "event")
    if not inner or "eventTypeCode" in detail:
        return detail
    return {**detail, **inner}


def _account(detail: Obj, around: Envelope) -> tuple[str, str]:
    """Return the account and, where a sender put an access key id in its place, that key."""
    affected = text(detail, "affectedAccount", "awsAccountId")
    if _KEY.fullmatch(affected):
        return around.account, affected
    return affected or around.account, ""


def _subject(detail: Obj, arn: str, code: str, account: str, around: Envelope) -> str:
    """An event ARN is not unique per account: account-specific events of two accounts are two matters."""
    if not arn:
        return identity(
            "health",
            code or "event",
            text(detail, "startTime") or digest(detail, around.seed),
            account,
        )
    scope = text(detail, "eventScopeCode").upper()
    is_public = scope == "PUBLIC" or (not scope and code.endswith(_PUBLIC_CODE))
    return identity("health", arn) if is_public else identity("health", arn, account)


def _message(detail: Obj, subject: str, account: str, around: Envelope) -> str:
    """Backup copies have the same id as the original; the pages of one message do not."""
    communication = text(detail, "communicationId")
    if communication:
        return identity("health", communication, account, text(detail, "page") or "1")
    updated = text(detail, "lastUpdatedTime")
    return identity(subject, updated, text(detail, "statusCode"), digest(detail, around.seed))


def _description(detail: Obj) -> str:
    """Return the latest text, the English one if there is a choice; its shape differs by sender."""
    found = detail.get("eventDescription")
    if isinstance(found, dict):
        return text(found, "latestDescription", limit=200_000)
    if isinstance(found, list):
        listed = [item for item in found if isinstance(item, dict)]
        listed.sort(key=lambda item: not text(item, "language").lower().startswith("en"))
        return text(listed[0], "latestDescription", limit=200_000) if listed else ""
    return found if isinstance(found, str) else ""


def _title(description: str, code: str) -> str:
    """Return the code in words: the description does not always say what it is about."""
    words = code.removeprefix("AWS_").replace("_", " ").capitalize()
    first = plain(description.partition("\n")[0], 160)
    return f"{words}: {first}"[:TITLE] if words and first else (words[:TITLE] or first or "AWS Health event")


def _service(detail: Obj, code: str) -> str:
    """Return the service; the code names it where the field is missing."""
    found = text(detail, "service")
    return (found or code.removeprefix("AWS_").partition("_")[0]).upper()


def _region(detail: Obj, arn: str, around: Envelope) -> str:
    """The envelope's Region is where the event was delivered, not where the trouble is: it comes last."""
    parts = arn.split(":")
    from_arn = parts[3] if len(parts) > 5 and parts[2] == "health" else ""
    return (text(detail, "eventRegion", "region") or from_arn or around.region).lower()


def _status(detail: Obj, category: str, description: str) -> SignalStatus:
    """An issue may be over in its text while its status still says open; an end time alone is a plan."""
    if text(detail, "statusCode").lower() == "closed":
        return SignalStatus.RESOLVED
    if category == "issue" and text(detail, "endTime") and "[RESOLVED]" in description[:2000]:
        return SignalStatus.RESOLVED
    return SignalStatus.OPEN


def _principal(detail: Obj, key: str) -> Principal:
    """Return whose key was exposed, as risk events tell in their metadata or as an entity."""
    metadata = obj(detail, "eventMetadata")
    entities = (text(item, "entityValue") for item in objects(detail, "affectedEntities"))
    named = text(metadata, "publicKey", "accessKeyId", "accessKey")
    found = named or key or next((item for item in entities if _KEY.fullmatch(item)), "")
    name = text(metadata, "userName", "username")
    return Principal(name=name, type="IAMUser" if name else "", access_key_id=found)


def _resources(detail: Obj, around: Envelope) -> Iterator[Resource]:
    seen = set()
    for item in objects(detail, "affectedEntities"):
        found = text(item, "entityValue", "entityArn")
        if found and found not in seen:
            seen.add(found)
            yield resource_of(found, _resource_type(found), text(detail, "eventRegion").lower())
    for found in around.resources:
        if found not in seen:
            seen.add(found)
            yield resource_of(found, _resource_type(found), text(detail, "eventRegion").lower())


def _resource_type(found: str) -> str:
    if found.startswith("i-") or ":instance/" in found:
        return "Instance"
    if found.startswith("vol-") or ":volume/" in found:
        return "Volume"
    if found.startswith("arn:aws:s3:::"):
        return "S3Bucket"
    return "AccessKey" if _KEY.fullmatch(found) else ""


def _iso(value: Json) -> str:
    found = moment(value)
    return found.isoformat() if found else ""


def is_status_record(detail: Obj) -> bool:
    """Say whether a bare document is a record of the public status page's history."""
    return {"service_name", "summary", "description"} <= detail.keys()


def status_record(detail: Obj, around: Envelope) -> Signal:
    """Read one record of the public status history: AWS's own word on an incident, without an account."""
    slug, summary = text(detail, "service"), text(detail, "summary", limit=TITLE)
    name, _, region = slug.partition("-")
    started = moment(float(text(detail, "date")) if text(detail, "date").isdigit() else text(detail, "date"))
    subject = identity("health-status", slug, text(detail, "date") or digest(detail, around.seed))
    return Signal(
        id=identity(subject, summary, digest(detail.get("description"), around.seed)),
        subject=subject,
        kind=SignalKind.EVENT,
        provider="aws",
        family="health",
        type="AWS_STATUS_PAGE",
        title=f"{text(detail, 'service_name')}: {summary}"[:TITLE],
        description=plain(text(detail, "description", limit=50_000)),
        service=name.upper(),
        region=region.lower(),
        status=SignalStatus.RESOLVED if "[RESOLVED]" in summary else SignalStatus.OPEN,
        started_at=started,
        detected_at=started,
        updated_at=started,
        has_answers=True,
        speaks_for_provider=True,
        service_keys=keys_of(name.upper()),
        facts=known(eventTypeCategory="issue", eventScopeCode="PUBLIC"),
    )
