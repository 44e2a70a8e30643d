"""GuardDuty findings, as EventBridge (camelCase) and the API (PascalCase) write them, and scan results."""

from __future__ import annotations

from collections.abc import Iterator

from twokey.core.errors import Json
from twokey.core.signals import Principal, Resource, Signal, SignalKind, SignalStatus
from twokey.providers.aws.normalise.envelopes import Envelope
from twokey.providers.reading import (
    DESCRIPTION,
    TITLE,
    Obj,
    digest,
    embedded,
    identity,
    is_true,
    known,
    moment,
    number,
    obj,
    objects,
    text,
    unique,
)

_FOLD_DEPTH = 16

# The resource part of `Purpose:Resource/Family` -> the service that is affected.
_SERVICES = {
    "container": "ECS",
    "ec2": "EC2",
    "ecs": "ECS",
    "eks": "EKS",
    "iam": "IAM",
    "iamuser": "IAM",
    "kubernetes": "EKS",
    "lambda": "Lambda",
    "rds": "RDS",
    "runtime": "EC2",
    "s3": "S3",
}


def is_finding(detail: Obj) -> bool:
    """Say whether a bare document is a GuardDuty finding, in either spelling."""
    service = detail.get("service", detail.get("Service"))
    if not isinstance(service, dict):
        return False
    return any(
        name in service or name[0].upper() + name[1:] in service
        for name in ("detectorId", "archived", "eventFirstSeen", "serviceName", "additionalInfo")
    )


def fold(value: Json, depth: int = 0) -> Json:
    """Make the first letter of every key small: what boto3 returns becomes what EventBridge sends."""
    if depth > _FOLD_DEPTH:
        return value
    if isinstance(value, dict):
        return {name[:1].lower() + name[1:]: fold(item, depth + 1) for name, item in value.items()}
    if isinstance(value, list):
        return [fold(item, depth + 1) for item in value]
    return value


def finding(detail: Obj, around: Envelope) -> Signal:
    """Read one finding; whatever is missing stays empty."""
    if "service" not in detail:
        detail = obj({"folded": fold(detail)}, "folded")
    service, resource = obj(detail, "service"), obj(detail, "resource")
    arn = text(detail, "arn").split(":")
    account = text(detail, "accountId") or around.account or (arn[4] if len(arn) > 5 else "")
    region = (text(detail, "region") or around.region or (arn[3] if len(arn) > 5 else "")).lower()
    kind = _type(text(detail, "type"))
    name = text(detail, "id") or digest(detail, around.seed)
    subject = identity("guardduty", account, region, name)
    updated = text(detail, "updatedAt")
    muted = is_true(service.get("archived"))
    principal = _principal(resource, service)
    resources = tuple({found.id: found for found in _resources(resource, service, region)}.values())
    call = obj(service, "action", "awsApiCallAction")
    return Signal(
        id=identity(subject, updated, text(service, "count")),
        subject=subject,
        kind=SignalKind.FINDING,
        provider="aws",
        family="guardduty",
        type=kind,
        title=text(detail, "title", limit=TITLE) or kind or "GuardDuty finding",
        description=text(detail, "description", limit=DESCRIPTION),
        service=_SERVICES.get(kind.partition(":")[2].partition("/")[0].lower(), "GuardDuty"),
        region=region,
        account=account,
        tenant=around.tenant,
        severity=_severity(detail.get("severity")),
        status=SignalStatus.RESOLVED if muted else SignalStatus.OPEN,
        started_at=moment(service.get("eventFirstSeen"), detail.get("createdAt")),
        detected_at=moment(detail.get("createdAt"), around.time),
        updated_at=moment(detail.get("updatedAt"), service.get("eventLastSeen")),
        resources=resources,
        principal=principal,
        is_test=_is_sample(service),
        is_muted=muted,
        facts=known(
            resourceType=text(resource, "resourceType"),
            resourceRole=text(service, "resourceRole"),
            actionType=text(obj(service, "action"), "actionType"),
            api=text(call, "api"),
            apiService=text(call, "serviceName"),
            remoteIp=_remote_ip(service),
            featureName=text(service, "featureName"),
            count=number(service.get("count")),
            associatedAttackSequenceArn=text(detail, "associatedAttackSequenceArn"),
            access_key_id=principal.access_key_id,
            user_name=principal.name,
            buckets=unique(_bucket(found) for found in resources if found.type == "S3Bucket"),
        ),
    )


def _type(kind: str) -> str:
    """One sender writes a space where GuardDuty has a slash."""
    head, colon, tail = kind.partition(":")
    return head + colon + tail.replace(" ", "/", 1) if " " in tail and "/" not in tail else kind


def _severity(value: object) -> float | None:
    found = number(value)
    return None if found is None else min(max(found, 0.0), 10.0)


def _is_sample(service: Obj) -> bool:
    """Find the sample marker, which stands beside the value or only inside it, as JSON in a string."""
    info = obj(service, "additionalInfo")
    if is_true(info.get("sample")):
        return True
    value = info.get("value")
    return isinstance(value, str) and '"sample"' in value and is_true(obj(embedded(value)).get("sample"))


def _principal(resource: Obj, service: Obj) -> Principal:
    key = obj(resource, "accessKeyDetails")
    if key:
        return Principal(
            name=text(key, "userName"),
            type=text(key, "userType"),
            access_key_id=text(key, "accessKeyId"),
        )
    for actor in objects(service, "detection", "sequence", "actors"):
        user = obj(actor, "user")
        if user:
            return Principal(
                name=text(user, "name"), type=text(user, "type"), access_key_id=text(user, "credentialUid")
            )
    return Principal()


def _resources(resource: Obj, service: Obj, region: str) -> Iterator[Resource]:
    for bucket in objects(resource, "s3BucketDetails"):
        arn = text(bucket, "arn") or _bucket_arn(text(bucket, "name"))
        if arn:
            yield Resource(arn, "S3Bucket", region)
    key = obj(resource, "accessKeyDetails")
    if text(key, "accessKeyId"):
        yield Resource(text(key, "accessKeyId"), "AccessKey", region)
    for part, names, kind in _DETAILS:
        found = text(obj(resource, part), *names) if part in resource else ""
        if found:
            yield Resource(found, kind, region)
    affected = obj(service, "action", "awsApiCallAction").get("affectedResources")
    if isinstance(affected, dict):
        for name, value in list(affected.items())[:20]:
            kind = name[:1].upper() + name[1:]
            if isinstance(value, str) and value:
                is_bucket = kind == "AWS::S3::Bucket"
                yield Resource(
                    _bucket_arn(value) if is_bucket else value[:1024],
                    "S3Bucket" if is_bucket else kind[:64],
                    region,
                )
    for item in objects(service, "detection", "sequence", "resources"):
        if text(item, "uid"):
            kind = text(item, "resourceType", "type")
            uid = text(item, "uid")
            is_bucket = uid.startswith("arn:") and uid.split(":")[2:3] == ["s3"]
            yield Resource(uid, "S3Bucket" if is_bucket else kind, text(item, "region").lower() or region)


_DETAILS = (
    ("instanceDetails", ("instanceId", "instanceArn"), "Instance"),
    ("eksClusterDetails", ("arn", "name"), "EKSCluster"),
    ("ecsClusterDetails", ("arn", "name"), "ECSCluster"),
    ("containerDetails", ("id", "name"), "Container"),
    ("lambdaDetails", ("functionArn", "functionName"), "Lambda"),
    ("rdsDbInstanceDetails", ("dbInstanceArn", "dbInstanceIdentifier"), "RDSDBInstance"),
    ("rdsLimitlessDbDetails", ("dbShardGroupArn", "dbShardGroupIdentifier"), "RDSLimitlessDB"),
)


def _bucket_arn(name: str) -> str:
    return name if not name or name.startswith("arn:") else f"arn:aws:s3:::{name}"


def _bucket(found: Resource) -> str:
    return found.id.rpartition(":")[2].partition("/")[0]


def _remote_ip(service: Obj) -> str:
    for part in obj(service, "action").values():
        if isinstance(part, dict):
            found = text(obj(part, "remoteIpDetails"), "ipAddressV4", "ipAddressV6")
            if found:
                return found
    return ""


def scan_result(detail: Obj, around: Envelope) -> Signal:
    """Read the result of a malware scan of one S3 object: no finding, so it has neither id nor severity."""
    stored = obj(detail, "s3ObjectDetails")
    result = obj(detail, "scanResultDetails")
    bucket, status = text(stored, "bucketName"), text(result, "scanResultStatus")
    threats = unique(text(threat, "name") for threat in objects(result, "threats"))
    region = around.region.lower()
    subject = identity(
        "guardduty-scan", around.account, region, bucket, text(stored, "objectKey"), text(stored, "versionId")
    )
    return Signal(
        id=identity(subject, around.id or digest(detail, around.seed)),
        subject=subject,
        kind=SignalKind.FINDING,
        provider="aws",
        family="guardduty",
        type=around.detail_type,
        title=f"Malware scan of an object in {bucket}: {status}"[:TITLE],
        description=", ".join(str(threat) for threat in threats)[:DESCRIPTION],
        service="S3",
        region=region,
        account=around.account,
        tenant=around.tenant,
        started_at=moment(around.time),
        detected_at=moment(around.time),
        updated_at=moment(around.time),
        resources=(Resource(_bucket_arn(bucket), "S3Bucket", region),) if bucket else (),
        facts=known(
            scanResultStatus=status,
            scanStatus=text(detail, "scanStatus"),
            objectKey=text(stored, "objectKey"),
            threats=threats,
            buckets=[bucket] if bucket else [],
        ),
    )
