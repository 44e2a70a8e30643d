"""GuardDuty findings, as EventBridge (camelCase) and the API (PascalCase) write them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from twokey.core.errors import Json
from twokey.core.signals import Principal, Signal, SignalKind, SignalStatus
from twokey.providers.aws.normalise.envelopes import Envelope
from twokey.providers.aws.normalise.guardduty_resources import bucket_name, every_resource
from twokey.providers.aws.service_names import keys_of
from twokey.providers.reading import (
    DESCRIPTION,
    TITLE,
    Obj,
    digest,
    embedded,
    fields,
    identity,
    is_true,
    known,
    moment,
    number,
    obj,
    objects,
    text,
    texts,
    unique,
)

_FOLD_DEPTH = 16

# The resource part of `Purpose:Resource/Family` -> the service that is affected.
_SERVICES = {
    "bedrock": "Bedrock",
    "container": "ECS",
    "ec2": "EC2",
    "ecs": "ECS",
    "eks": "EKS",
    "iam": "IAM",
    "iamuser": "IAM",
    "kubernetes": "EKS",
    "lambda": "Lambda",
    "rds": "RDS",
    "s3": "S3",
}


_SERVICES_BY_TYPE = {
    "AccessKey": "IAM",
    "Container": "ECS",
    "ECSCluster": "ECS",
    "EKSCluster": "EKS",
    "Instance": "EC2",
    "Lambda": "Lambda",
    "RDSDBInstance": "RDS",
    "RDSLimitlessDB": "RDS",
    "S3Bucket": "S3",
    "S3Object": "S3",
}


def is_finding(detail: Obj) -> bool:
    """Say whether a bare document is a GuardDuty finding, in either spelling."""
    service = detail.get("service", detail.get("Service"))
    if not isinstance(service, dict):
        return _names_a_finding(detail)
    return any(
        name in service or name[0].upper() + name[1:] in service
        for name in ("detectorId", "archived", "eventFirstSeen", "serviceName", "additionalInfo")
    )


def _names_a_finding(detail: Obj) -> bool:
    """Say whether a document without its `service` part is still one: by its type, `Purpose:Resource/Family`."""
    purpose, colon, rest = text(detail, "type", "Type").partition(":")
    if not colon or not purpose.isalpha() or "/" not in rest or rest.startswith(":"):
        return False
    around = ("accountId", "severity", "updatedAt", "createdAt", "resource", "arn")
    return sum(name in detail or name[0].upper() + name[1:] in detail for name in around) >= 2


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
    if not isinstance(detail.get("service"), dict):
        detail = obj({"folded": fold(detail)}, "folded")
    service, resource = obj(detail, "service"), obj(detail, "resource")
    named, account, region, kind, name, updated, sequence = fields(
        detail, "arn", "accountId", "region", "type", "id", "updatedAt", "associatedAttackSequenceArn"
    )
    count, role, feature = fields(service, "count", "resourceRole", "featureName")
    arn = named.split(":")
    account = account or around.account or (arn[4] if len(arn) > 5 else "")
    region = (region or around.region or (arn[3] if len(arn) > 5 else "")).lower()
    kind = _type(kind)
    name = name or digest(detail, around.seed)
    subject = identity("guardduty", account, region, name)
    muted = is_true(service.get("archived"))
    principal = _principal(resource, service)
    resources = tuple({found.id: found for found in every_resource(resource, service, region)}.values())
    call = obj(service, "action", "awsApiCallAction")
    api, api_service = fields(call, "api", "serviceName")
    created, resource_type = moment(detail.get("createdAt")), text(resource, "resourceType")
    affected = _service(kind, resource_type)
    return Signal(
        id=identity(subject, updated, count, "archived" if muted else ""),
        subject=subject,
        kind=SignalKind.FINDING,
        provider="aws",
        family="guardduty",
        type=kind,
        title=text(detail, "title", limit=TITLE) or kind[:TITLE] or "GuardDuty finding",
        description=text(detail, "description", limit=DESCRIPTION),
        service=affected,
        region=region,
        account=account,
        tenant=around.tenant,
        severity=_severity(detail.get("severity")),
        status=SignalStatus.RESOLVED if muted else SignalStatus.OPEN,
        started_at=_first_seen(service) or created,
        detected_at=created or moment(around.time),
        updated_at=moment(detail.get("updatedAt"), service.get("eventLastSeen"), around.time),
        resources=resources,
        principal=principal,
        is_test=_is_sample(service),
        is_muted=muted,
        has_answers=True,
        is_security_finding=True,
        service_keys=keys_of(affected),
        facts=known(
            resourceType=resource_type,
            resourceRole=role,
            actionType=text(obj(service, "action"), "actionType"),
            api=api,
            apiService=api_service,
            remoteIp=_remote_ip(service),
            featureName=feature,
            count=number(service.get("count")),
            associatedAttackSequenceArn=sequence,
            access_key_id=principal.access_key_id,
            user_name=principal.name,
            buckets=unique(bucket_name(found) for found in resources if found.type == "S3Bucket"),
            kubernetesUser=text(obj(resource, "kubernetesDetails", "kubernetesUserDetails"), "username"),
            databaseUser=text(obj(resource, "rdsDbUserDetails"), "user"),
            threats=unique(_threats(service)),
            **_sequence(service),
        ),
    )


def _service(kind: str, resource_type: str) -> str:
    named = kind.partition(":")[2].partition("/")[0].lower()
    return _SERVICES.get(named) or _SERVICES_BY_TYPE.get(resource_type, "GuardDuty")


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
    """Return whose credentials acted. Users of a cluster or a database are no principals of AWS: see the facts."""
    key = obj(resource, "accessKeyDetails")
    if key:
        return Principal(
            name=text(key, "userName"),
            type=text(key, "userType"),
            access_key_id=text(key, "accessKeyId"),
        )
    if "detection" not in service:
        return Principal()
    users = [obj(actor, "user") for actor in objects(service, "detection", "sequence", "actors")]
    users.sort(key=lambda user: not text(user, "credentialUid"))  # the one whose key is known comes first
    user = users[0] if users else {}
    return Principal(
        name=text(user, "name"), type=text(user, "type"), access_key_id=text(user, "credentialUid")
    )


def _threats(service: Obj) -> Iterator[str]:
    """Yield the names of the malware that was found, on volumes, in objects or in backups."""
    if "malwareScanDetails" in service:
        for item in objects(service, "malwareScanDetails", "threats"):
            yield text(item, "name")
    if "ebsVolumeScanDetails" in service:
        detections = obj(service, "ebsVolumeScanDetails", "scanDetections")
        for item in objects(detections, "threatDetectedByName", "threatNames"):
            yield text(item, "name")


def _remote_ip(service: Obj) -> str:
    """Return where it came from: the action says it, or the endpoints of a sequence."""
    for part in obj(service, "action").values():
        if isinstance(part, dict):
            found = text(obj(part, "remoteIpDetails"), "ipAddressV4", "ipAddressV6")
            if found:
                return found
    for endpoint in objects(service, "detection", "sequence", "endpoints"):
        if text(endpoint, "ip"):
            return text(endpoint, "ip")
    return ""


def _sequence(service: Obj) -> Obj:
    """Return what an attack sequence tells beside its resources: signals, tactics, and the actors' keys."""
    if "detection" not in service:
        return {}
    found = obj(service, "detection", "sequence")
    if not found:
        return {}
    indicators = objects(found, "sequenceIndicators")
    tactics = [
        name for item in indicators if text(item, "key") == "ATTACK_TACTIC" for name in texts(item, "values")
    ]
    return known(
        sequenceSignals=unique(text(signal, "name") for signal in objects(found, "signals")),
        tactics=unique(tactics),
        actorKeys=unique(text(obj(actor, "user"), "credentialUid") for actor in objects(found, "actors")),
    )


def _first_seen(service: Obj) -> datetime | None:
    """Return when it began; a sequence began with the first of its signals."""
    if "detection" not in service:
        return moment(service.get("eventFirstSeen"))
    signals = objects(service, "detection", "sequence", "signals")
    seen = [
        found for signal in signals if (found := moment(signal.get("firstSeenAt"), signal.get("createdAt")))
    ]
    return moment(service.get("eventFirstSeen")) or min(seen, default=None)
