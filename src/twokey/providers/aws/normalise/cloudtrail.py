"""CloudTrail records: over EventBridge, in files, and bare."""

from __future__ import annotations

from collections.abc import Iterator

from twokey.core.signals import Principal, Resource, Signal, SignalKind, SignalStatus
from twokey.providers.aws.normalise import own_role
from twokey.providers.aws.normalise.envelopes import Envelope
from twokey.providers.aws.normalise.guardduty_resources import bucket_arn, bucket_name
from twokey.providers.aws.normalise.requests import meaning
from twokey.providers.aws.resource_types import resource_of
from twokey.providers.aws.service_names import keys_of
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
    if "eventName" in detail and ("eventSource" in detail or "userIdentity" in detail):
        return True
    return "insightDetails" in detail and "eventID" in detail


def record(detail: Obj, around: Envelope) -> Signal:
    """Read one API call, sign-in or insight."""
    if isinstance(detail.get("insightDetails"), dict):
        return _insight(detail, around)
    who, asked = obj(detail, "userIdentity"), obj(detail, "requestParameters")
    name, source = text(detail, "eventName"), text(detail, "eventSource")
    service = source.partition(".")[0]
    region = (text(detail, "awsRegion") or around.region).lower()
    account = text(detail, "recipientAccountId") or text(who, "accountId") or around.account
    subject = identity("cloudtrail", account, text(detail, "eventID") or digest(detail, around.seed))
    principal = Principal(
        name=text(who, "userName") or text(obj(who, "sessionContext", "sessionIssuer"), "userName"),
        type=text(who, "type"),
        access_key_id=text(who, "accessKeyId"),
        arn=text(who, "arn") or text(who, "principalId"),
    )
    made = text(obj(detail, "responseElements", "accessKey"), "accessKeyId")
    resources = tuple({found.id: found for found in _resources(detail, asked, region, made)}.values())
    return Signal(
        id=subject,
        subject=subject,
        kind=SignalKind.EVENT,
        provider="aws",
        family="cloudtrail",
        type=name,
        title=f"{name} by {principal.name or principal.type or 'somebody'}"[:TITLE],
        description=text(detail, "errorMessage", limit=DESCRIPTION),
        service=service,
        region=region,
        account=account,
        tenant=around.tenant,
        started_at=moment(detail.get("eventTime"), around.time),
        detected_at=moment(detail.get("eventTime"), around.time),
        updated_at=moment(detail.get("eventTime"), around.time),
        resources=resources,
        principal=principal,
        has_answers=True,
        service_keys=keys_of(service),
        facts=known(
            eventSource=source,
            detailType=around.detail_type,
            readOnly=is_true(detail.get("readOnly")),
            errorCode=text(detail, "errorCode"),
            sourceIPAddress=text(detail, "sourceIPAddress"),
            userAgent=text(detail, "userAgent", limit=300),
            userType=principal.type,
            invokedBy=text(who, "invokedBy"),
            eventType=text(detail, "eventType"),
            mfaUsed=text(obj(detail, "additionalEventData"), "MFAUsed"),
            consoleLogin=text(obj(detail, "responseElements"), "ConsoleLogin"),
            access_key_id=principal.access_key_id,
            user_name=principal.name,
            buckets=unique(bucket_name(found) for found in resources if found.type == "S3Bucket"),
            **meaning(name, asked, account, principal.name if principal.type == "IAMUser" else ""),
            **own_role.facts(detail, around.own_roles),
        ),
    )


def _insight(detail: Obj, around: Envelope) -> Signal:
    """Read CloudTrail's own remark that a call or an error became unusually frequent."""
    about = obj(detail, "insightDetails")
    name = text(about, "eventName")
    region = (text(detail, "awsRegion") or around.region).lower()
    account = text(detail, "recipientAccountId") or around.account
    shared = text(detail, "sharedEventID") or text(detail, "eventID") or digest(detail, around.seed)
    subject = identity("cloudtrail-insight", account, region, shared)
    service, state = text(about, "eventSource").partition(".")[0], text(about, "state")
    return Signal(
        id=identity(subject, state),
        subject=subject,
        kind=SignalKind.EVENT,
        provider="aws",
        family="cloudtrail",
        type="CloudTrail Insight",
        title=f"{text(about, 'insightType') or 'Insight'}: {name}"[:TITLE],
        service=service,
        region=region,
        account=account,
        tenant=around.tenant,
        status=SignalStatus.RESOLVED if state == "End" else SignalStatus.OPEN,
        started_at=moment(detail.get("eventTime"), around.time),
        detected_at=moment(detail.get("eventTime"), around.time),
        updated_at=moment(detail.get("eventTime"), around.time),
        has_answers=True,
        service_keys=keys_of(service),
        facts=known(
            detailType=around.detail_type,
            insightType=text(about, "insightType"),
            insightState=state,
            api=name,
            errorCode=text(about, "errorCode"),
        ),
    )


def _resources(detail: Obj, asked: Obj, region: str, made: str) -> Iterator[Resource]:
    bucket = text(asked, "bucketName")
    if bucket:
        yield resource_of(bucket_arn(bucket), "S3Bucket", region)
    if made:
        yield resource_of(made, "AccessKey", region)
    for item in objects(detail, "resources"):
        found = text(item, "ARN", "arn")
        if found:
            is_bucket = text(item, "type") == "AWS::S3::Bucket"
            yield resource_of(found, "S3Bucket" if is_bucket else text(item, "type"), region)
    for name, kind in (
        ("userName", "IAMUser"),
        ("roleName", "IAMRole"),
        ("instanceId", "Instance"),
        ("functionName", "Lambda"),
        ("groupId", "SecurityGroup"),
        ("groupName", "Group"),
        ("detectorId", "Detector"),
        ("trailName", "Trail"),
        ("targetId", "Target"),
        ("policyId", "Policy"),
        ("snapshotId", "Snapshot"),
        ("imageId", "EC2Image"),
        ("dBSnapshotIdentifier", "RDSSnapshot"),
        ("keyId", "Key"),
        ("repositoryName", "Repository"),
    ):
        if text(asked, name):
            yield resource_of(text(asked, name), kind, region)
