"""GuardDuty findings, as EventBridge (camelCase) and the API (PascalCase) write them."""

from __future__ import annotations

from twokey.core.errors import Json
from twokey.core.signals import Principal, Resource, Signal, SignalKind, SignalStatus
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
    if isinstance(service, dict):
        inside = ("detectorId", "archived", "eventFirstSeen", "serviceName", "additionalInfo")
        return any(name in service or name[0].upper() + name[1:] in service for name in inside)
    # Without its `service` part it is still one by its type, `Purpose:Resource/Family`.
    purpose, colon, rest = text(detail, "type", "Type").partition(":")
    if not colon or not purpose.isalpha() or "/" not in rest or rest.startswith(":"):
        return False
    around = ("accountId", "severity", "updatedAt", "createdAt", "resource", "arn")
    return sum(name in detail or name[0].upper() + name[1:] in detail for name in around) >= 2


def says_sample(value: Json) -> bool:
    """Say whether a text that holds JSON has the marker of a sample finding."""
    return isinstance(value, str) and '"sample"' in value and is_true(obj(embedded(value)).get("sample"))


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
    named, account, region, kind, name, updated = fields(
        detail, "arn", "accountId", "region", "type", "id", "updatedAt"
    )
    arn = named.split(":")
    account = account or around.account or (arn[4] if len(arn) > 5 else "")
    region = (region or around.region or (arn[3] if len(arn) > 5 else "")).lower()
    purpose, colon, about = kind.partition(":")
    if " " in about and "/" not in about:  # one sender writes a space where GuardDuty has a slash
        about = about.replace(" ", "/", 1)
        kind = purpose + colon + about
    name = name or digest(detail, around.seed)
    subject = identity("guardduty", account, region, name)
    muted = is_true(service.get("archived"))
    principal = _principal(resource, service)
    resources = tuple({found.id: found for found in every_resource(resource, service, region)}.values())
    created, severity = moment(detail.get("createdAt")), number(detail.get("severity"))
    affected = _SERVICES.get(about.partition("/")[0].lower()) or _SERVICES_BY_TYPE.get(
        text(resource, "resourceType"), "GuardDuty"
    )
    began, info = moment(service.get("eventFirstSeen")), obj(service, "additionalInfo")
    if began is None and "detection" in service:  # a sequence began with the first of its signals
        signals = objects(service, "detection", "sequence", "signals")
        seen = [moment(signal.get("firstSeenAt"), signal.get("createdAt")) for signal in signals]
        began = min((found for found in seen if found), default=None)
    return Signal(
        id=identity(subject, updated, text(service, "count"), "archived" if muted else ""),
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
        severity=None if severity is None else min(max(severity, 0.0), 10.0),
        status=SignalStatus.RESOLVED if muted else SignalStatus.OPEN,
        started_at=began or created,
        detected_at=created or moment(around.time),
        updated_at=moment(detail.get("updatedAt"), service.get("eventLastSeen"), around.time),
        resources=resources,
        principal=principal,
        # The marker stands beside the value, or only inside it.
        is_test=is_true(info.get("sample")) or says_sample(info.get("value")),
        is_muted=muted,
        has_answers=True,
        is_security_finding=True,
        service_keys=keys_of(affected),
        facts=_facts(detail, service, resource, resources, principal),
    )


def _facts(
    detail: Obj, service: Obj, resource: Obj, resources: tuple[Resource, ...], principal: Principal
) -> Obj:
    role, feature = fields(service, "resourceRole", "featureName")
    action = obj(service, "action")
    api, api_service = fields(obj(action, "awsApiCallAction"), "api", "serviceName")
    threats = objects(service, "malwareScanDetails", "threats") if "malwareScanDetails" in service else []
    if scan := service.get("ebsVolumeScanDetails"):
        threats += objects(scan, "scanDetections", "threatDetectedByName", "threatNames")
    facts = known(
        resourceType=text(resource, "resourceType"),
        resourceRole=role,
        actionType=text(action, "actionType"),
        api=api,
        apiService=api_service,
        remoteIp=_remote_ip(service),
        featureName=feature,
        count=number(service.get("count")),
        associatedAttackSequenceArn=text(detail, "associatedAttackSequenceArn"),
        access_key_id=principal.access_key_id,
        user_name=principal.name,
        buckets=unique(bucket_name(found) for found in resources if found.type == "S3Bucket"),
        kubernetesUser=text(obj(resource, "kubernetesDetails", "kubernetesUserDetails"), "username"),
        databaseUser=text(obj(resource, "rdsDbUserDetails"), "user"),
        threats=unique(text(threat, "name") for threat in threats),
    )
    if "detection" not in service:
        return facts
    # An attack sequence tells, beside its resources, its signals, its tactics, and the actors' keys.
    sequence = obj(service, "detection", "sequence")
    tactics = [
        name
        for item in objects(sequence, "sequenceIndicators")
        if text(item, "key") == "ATTACK_TACTIC"
        for name in texts(item, "values")
    ]
    return facts | known(
        sequenceSignals=unique(text(signal, "name") for signal in objects(sequence, "signals")),
        tactics=unique(tactics),
        actorKeys=unique(text(obj(actor, "user"), "credentialUid") for actor in objects(sequence, "actors")),
    )


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
