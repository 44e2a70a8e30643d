"""AWS Health: events over EventBridge, what the Health API returns, and the public status history."""

from __future__ import annotations

import re

from twokey.core.signals import Principal, Signal, SignalKind, SignalStatus
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
    once,
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
    if (inner := obj(detail, "event")) and "eventTypeCode" not in detail:
        detail = {**detail, **inner}  # the API's {event, eventDescription, eventMetadata}
    code, category = text(detail, "eventTypeCode"), text(detail, "eventTypeCategory")
    category = _CATEGORIES.get(category.lower(), category)
    arn = text(detail, "eventArn", "arn")
    scope = text(detail, "eventScopeCode").upper()
    account, principal = _whose(detail, around)
    subject, name = _identities(detail, arn, code, account, around)
    description = _description(detail)
    words = code.removeprefix("AWS_").replace("_", " ").capitalize()
    first = plain(description.partition("\n")[0], 160)
    service = (text(detail, "service") or code.removeprefix("AWS_").partition("_")[0]).upper()
    parts = arn.split(":")
    from_arn = parts[3] if len(parts) > 5 and parts[2] == "health" else ""
    # An issue may be over in its text while its status still says open; an end time alone is a plan.
    is_over = text(detail, "statusCode").lower() == "closed" or (
        category == "issue" and text(detail, "endTime") and "[RESOLVED]" in description[:2000]
    )
    entities = once(text(item, "entityValue", "entityArn") for item in objects(detail, "affectedEntities"))
    affected = [*entities, *(found for found in around.resources if found not in entities)]
    at = text(detail, "eventRegion").lower()
    return Signal(
        id=name,
        subject=subject,
        kind=SignalKind.EVENT,
        provider="aws",
        family="health",
        type=code,
        # The code in words stands first: the description does not always say what it is about.
        title=(f"{words}: {first}" if words and first else words or first or "AWS Health event")[:TITLE],
        description=plain(description),
        service=service,
        # The envelope's Region is where the event was delivered, not where the trouble is: it comes last.
        region=(text(detail, "eventRegion", "region") or from_arn or around.region).lower(),
        account=account,
        tenant=around.tenant,
        status=SignalStatus.RESOLVED if is_over else SignalStatus.OPEN,
        started_at=moment(detail.get("startTime")),
        detected_at=moment(around.time, detail.get("lastUpdatedTime"), detail.get("startTime")),
        updated_at=moment(detail.get("lastUpdatedTime"), around.time, detail.get("startTime")),
        ended_at=moment(detail.get("endTime")),
        resources=tuple(resource_of(found, _resource_type(found), at) for found in affected),
        principal=principal,
        tracking_id=arn,
        has_answers=True,
        is_account_specific=scope == "ACCOUNT_SPECIFIC",
        speaks_for_provider=True,
        service_keys=keys_of(service),
        facts=known(eventTypeCategory=category, eventScopeCode=scope, **_facts(detail, around, principal)),
    )


def _facts(detail: Obj, around: Envelope, principal: Principal) -> Obj:
    metadata = obj(detail, "eventMetadata")
    ended = moment(detail.get("endTime"))
    return known(
        detailType=around.detail_type,
        statusCode=text(detail, "statusCode"),
        actionability=text(detail, "actionability").upper(),
        personas=unique(texts(detail, "personas")),
        page=text(detail, "page"),
        totalPages=text(detail, "totalPages"),
        isBackup=is_true(detail.get("backupEvent")),
        endTime=ended.isoformat() if ended else "",
        publicKey=text(metadata, "publicKey"),
        exposedUrl=text(metadata, "exposedUrl"),
        access_key_id=principal.access_key_id,
        user_name=principal.name,
    )


def _whose(detail: Obj, around: Envelope) -> tuple[str, Principal]:
    """Return the account, and whose key was exposed: the metadata says it, an entity, or the account's place."""
    account, key = text(detail, "affectedAccount", "awsAccountId"), ""
    if _KEY.fullmatch(account):  # some senders put the key's id there
        account, key = "", account
    metadata = obj(detail, "eventMetadata")
    entities = (text(item, "entityValue") for item in objects(detail, "affectedEntities"))
    named = text(metadata, "publicKey", "accessKeyId", "accessKey")
    found = named or key or next((item for item in entities if _KEY.fullmatch(item)), "")
    name = text(metadata, "userName", "username")
    return account or around.account, Principal(
        name=name, type="IAMUser" if name else "", access_key_id=found
    )


def _identities(detail: Obj, arn: str, code: str, account: str, around: Envelope) -> tuple[str, str]:
    """Return the subject and the message's own id.

    An event ARN is not unique per account: account-specific events of two accounts are two matters. Backup
    copies have the same id as the original; the pages of one message do not.
    """
    scope = text(detail, "eventScopeCode").upper()
    if not arn:
        began = text(detail, "startTime") or digest(detail, around.seed)
        subject = identity("health", code or "event", began, account)
    elif scope == "PUBLIC" or (not scope and code.endswith(_PUBLIC_CODE)):
        subject = identity("health", arn)
    else:
        subject = identity("health", arn, account)
    if communication := text(detail, "communicationId"):
        return subject, identity("health", communication, account, text(detail, "page") or "1")
    updated = text(detail, "lastUpdatedTime")
    return subject, identity(subject, updated, text(detail, "statusCode"), digest(detail, around.seed))


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


def _resource_type(found: str) -> str:
    if found.startswith("i-") or ":instance/" in found:
        return "Instance"
    if found.startswith("vol-") or ":volume/" in found:
        return "Volume"
    if found.startswith("arn:aws:s3:::"):
        return "S3Bucket"
    return "AccessKey" if _KEY.fullmatch(found) else ""


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
