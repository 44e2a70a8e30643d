"""OCSF: Security Hub's newer findings, Prowler's, and API activity, of every version seen."""

from __future__ import annotations

from datetime import datetime

from twokey.core.signals import Principal, Resource, Signal, SignalKind, SignalStatus
from twokey.providers.aws.normalise.envelopes import Envelope
from twokey.providers.aws.normalise.securityhub import guardduty_subject, service_of
from twokey.providers.aws.resource_types import resource_of
from twokey.providers.aws.service_names import keys_of
from twokey.providers.reading import (
    DESCRIPTION,
    TITLE,
    Obj,
    digest,
    identity,
    is_true,
    items,
    known,
    moment,
    number,
    obj,
    objects,
    text,
    texts,
    unique,
)

_SEVERITY = {1: 0.0, 2: 2.0, 3: 5.0, 4: 8.0, 5: 9.5, 6: 10.0}
_OVER = ("resolved", "archived")
_MUTED = (*_OVER, "suppressed")


def is_event(detail: Obj) -> bool:
    """Say whether a bare document is an OCSF event."""
    return "class_uid" in detail and ("metadata" in detail or "category_uid" in detail)


def event(detail: Obj, around: Envelope) -> Signal:
    """Read one event: a finding of any class, or an activity."""
    class_uid = int(number(detail.get("class_uid")) or 0)
    if 2000 <= class_uid < 3000:
        return _finding(detail, around, class_uid)
    cloud = _cloud(detail)
    operation = text(obj(detail, "api"), "operation") or text(detail, "activity_name", "type_name")
    source = text(obj(detail, "api", "service"), "name")
    service = source.partition(".")[0]
    uid = text(obj(detail, "metadata"), "uid") or digest(detail, around.seed)
    subject = identity("cloudtrail", uid)
    return Signal(
        id=subject,
        subject=subject,
        kind=SignalKind.EVENT,
        provider=cloud,
        family="cloudtrail",
        type=operation,
        title=f"{operation} {source}".strip()[:TITLE],
        service=service,
        region=_region(detail, around),
        account=_account(detail) or around.account,
        tenant=around.tenant,
        started_at=_when(detail, "time"),
        detected_at=_when(detail, "time"),
        updated_at=_when(detail, "time"),
        resources=_resources(detail, cloud),
        principal=_principal(detail),
        has_answers=cloud == "aws",
        service_keys=keys_of(service),
        facts=known(
            class_uid=number(detail.get("class_uid")),
            className=text(detail, "class_name"),
            product=text(obj(detail, "metadata", "product"), "name"),
            eventSource=source,
        ),
    )


def _finding(detail: Obj, around: Envelope, class_uid: int) -> Signal:
    info = obj(detail, "finding_info") or obj(detail, "finding")
    product = obj(detail, "metadata", "product")
    compliance = obj(detail, "compliance")
    product_arn, name = text(product, "uid"), text(product, "name")
    uid = text(info, "uid") or text(obj(detail, "metadata"), "uid") or digest(detail, around.seed)
    status = (text(detail, "status") or text(detail, "state")).lower()
    outcome = (text(compliance, "status") or text(detail, "status_code")).upper()
    types = texts(info, "types")
    subject = identity("securityhub", product_arn or name, uid)
    modified = text(info, "modified_time", "modified_time_dt") or text(detail, "time", "time_dt")
    guardduty = product_arn.lower().endswith("/aws/guardduty") or name.lower().endswith("guardduty")
    account, region = _account(detail) or around.account, _region(detail, around)
    principal, cloud = _principal(detail), _cloud(detail)
    resources = _resources(detail, cloud)
    service = _service(detail) or name or "Security Hub"
    return Signal(
        id=identity(subject, modified, status, outcome),
        subject=subject,
        kind=SignalKind.FINDING,
        provider=cloud,
        family="securityhub",
        type=types[0] if types else text(detail, "type_name", "class_name"),
        title=(text(info, "title", limit=TITLE) or uid)[:TITLE],
        description=text(info, "desc", limit=DESCRIPTION),
        service=service,
        region=region,
        account=account,
        tenant=text(obj(detail, "cloud", "org"), "uid") or around.tenant,
        severity=_SEVERITY.get(int(number(detail.get("severity_id")) or 0)),
        status=SignalStatus.RESOLVED if status in _OVER else SignalStatus.OPEN,
        started_at=_when(info, "first_seen_time", "created_time"),
        detected_at=_when(info, "created_time") or _when(detail, "time"),
        updated_at=_when(info, "modified_time", "last_seen_time") or _when(detail, "time"),
        resources=resources,
        principal=principal,
        is_test=is_true(obj(detail, "metadata").get("is_sample")) or is_true(detail.get("is_sample")),
        is_muted=status in _MUTED,
        has_answers=cloud == "aws",
        is_security_finding=True,
        service_keys=keys_of(service),
        facts=known(
            class_uid=class_uid,
            className=text(detail, "class_name"),
            ProductArn=product_arn,
            product=name,
            isGuardDuty=guardduty,
            Types=unique(types),
            complianceStatus={"FAIL": "FAILED", "PASS": "PASSED"}.get(outcome, outcome),
            control=text(compliance, "control"),
            hasVulnerabilities=bool(items(detail, "vulnerabilities")),
            hasMalware=bool(items(detail, "malware")),
            workflowStatus=status.upper(),
            same_as=guardduty_subject(uid, account, region) if guardduty else "",
            access_key_id=principal.access_key_id,
            user_name=principal.name,
            buckets=unique(
                found.id.rpartition(":")[2]
                for found in resources
                if found.type == "AwsS3Bucket" or found.id.startswith("arn:aws:s3:::")
            ),
        ),
    )


def _service(detail: Obj) -> str:
    """Return the service of the first resource: `AWS::S3::Bucket` and `AwsS3Bucket` are S3's."""
    for item in objects(detail, "resources") or [obj(detail, "resource")]:
        kind = text(item, "type")
        if kind.startswith("AWS::"):
            return kind.split("::")[1]
        if kind.startswith("Aws"):
            return service_of(kind) or text(obj(item, "group"), "name")
    return ""


def _principal(detail: Obj) -> Principal:
    """Return who acted: the finding says it, or one of its pieces of evidence."""
    actors = [obj(detail, "actor"), *(obj(item, "actor") for item in objects(detail, "evidences"))]
    user = next((found for actor in actors if (found := obj(actor, "user"))), {})
    uid = text(user, "uid")
    return Principal(
        name=text(user, "name"),
        type=text(user, "type"),
        access_key_id=text(user, "credential_uid"),
        arn=uid if uid.startswith("arn:") else "",
    )


def _cloud(detail: Obj) -> str:
    named = text(obj(detail, "cloud"), "provider").lower()
    return "azure" if named in ("azure", "microsoft") else "aws"


def _account(detail: Obj) -> str:
    return text(obj(detail, "cloud", "account"), "uid") or text(obj(detail, "cloud"), "account_uid")


def _region(detail: Obj, around: Envelope) -> str:
    return (text(obj(detail, "cloud"), "region") or around.region).lower()


def _when(found: Obj, *names: str) -> datetime | None:
    return moment(*(found.get(variant) for name in names for variant in (name, f"{name}_dt")))


def _resources(detail: Obj, cloud: str) -> tuple[Resource, ...]:
    """Return what it names; of another cloud's things that cloud's folder knows the kinds (see `has_answers`)."""
    made = resource_of if cloud == "aws" else Resource
    listed = objects(detail, "resources") or [obj(detail, "resource")]
    return tuple(
        made(text(item, "uid", "name"), text(item, "type"), text(item, "region").lower())
        for item in listed
        if text(item, "uid", "name")
    )
