"""CloudTrail records: over EventBridge, in files, and bare."""

from __future__ import annotations

from collections.abc import Iterator

from twokey.core.signals import Principal, Resource, Signal, SignalKind
from twokey.providers.aws.normalise.envelopes import Envelope
from twokey.providers.reading import (
    DESCRIPTION,
    TITLE,
    Obj,
    digest,
    identity,
    is_true,
    known,
    moment,
    obj,
    objects,
    text,
    unique,
)


def is_record(detail: Obj) -> bool:
    """Say whether a bare document is a CloudTrail record."""
    return "eventName" in detail and ("eventSource" in detail or "userIdentity" in detail)


def record(detail: Obj, around: Envelope) -> Signal:
    """Read one API call or sign-in."""
    who, asked = obj(detail, "userIdentity"), obj(detail, "requestParameters")
    name, source = text(detail, "eventName"), text(detail, "eventSource")
    region = (text(detail, "awsRegion") or around.region).lower()
    account = text(detail, "recipientAccountId") or text(who, "accountId") or around.account
    subject = identity("cloudtrail", account, text(detail, "eventID") or digest(detail, around.seed))
    principal = _principal(who)
    error = text(detail, "errorCode")
    resources = tuple({found.id: found for found in _resources(detail, asked, region)}.values())
    return Signal(
        id=subject,
        subject=subject,
        kind=SignalKind.EVENT,
        provider="aws",
        family="cloudtrail",
        type=name,
        title=f"{name} by {principal.name or principal.type or 'somebody'}"[:TITLE],
        description=text(detail, "errorMessage", limit=DESCRIPTION),
        service=source.partition(".")[0],
        region=region,
        account=account,
        tenant=around.tenant,
        started_at=moment(detail.get("eventTime"), around.time),
        detected_at=moment(detail.get("eventTime"), around.time),
        updated_at=moment(detail.get("eventTime"), around.time),
        resources=resources,
        principal=principal,
        facts=known(
            eventSource=source,
            detailType=around.detail_type,
            readOnly=is_true(detail.get("readOnly")),
            errorCode=error,
            sourceIPAddress=text(detail, "sourceIPAddress"),
            userAgent=text(detail, "userAgent", limit=300),
            userType=principal.type,
            invokedBy=text(who, "invokedBy"),
            eventType=text(detail, "eventType"),
            policyArn=text(asked, "policyArn"),
            policyName=text(asked, "policyName"),
            mfaUsed=text(obj(detail, "additionalEventData"), "MFAUsed"),
            consoleLogin=text(obj(detail, "responseElements"), "ConsoleLogin"),
            versioning=text(obj(asked, "VersioningConfiguration"), "Status"),
            access_key_id=principal.access_key_id,
            user_name=principal.name,
            buckets=unique(
                found.id.rpartition(":")[2].partition("/")[0]
                for found in resources
                if found.type == "S3Bucket"
            ),
        ),
    )


def _principal(who: Obj) -> Principal:
    issuer = obj(who, "sessionContext", "sessionIssuer")
    return Principal(
        name=text(who, "userName") or text(issuer, "userName"),
        type=text(who, "type"),
        access_key_id=text(who, "accessKeyId"),
        arn=text(who, "arn"),
    )


def _resources(detail: Obj, asked: Obj, region: str) -> Iterator[Resource]:
    bucket = text(asked, "bucketName")
    if bucket:
        yield Resource(f"arn:aws:s3:::{bucket}", "S3Bucket", region)
    for item in objects(detail, "resources"):
        found = text(item, "ARN", "arn")
        if found:
            is_bucket = text(item, "type") == "AWS::S3::Bucket"
            yield Resource(found, "S3Bucket" if is_bucket else text(item, "type"), region)
    for name, kind in (
        ("userName", "IAMUser"),
        ("roleName", "IAMRole"),
        ("instanceId", "Instance"),
        ("functionName", "Lambda"),
        ("groupId", "SecurityGroup"),
    ):
        if text(asked, name):
            yield Resource(text(asked, name), kind, region)
