"""Security Hub findings in ASFF: imported, sent by a custom action, or bare from the API."""

from __future__ import annotations

from collections.abc import Iterator

from twokey.core.signals import Principal, Resource, Signal, SignalKind, SignalStatus
from twokey.providers.aws.normalise.envelopes import Envelope
from twokey.providers.aws.resource_types import resource_of
from twokey.providers.aws.service_names import keys_of
from twokey.providers.reading import (
    DESCRIPTION,
    TITLE,
    Obj,
    digest,
    embedded,
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

# Labels and the band of the 0 to 100 scale that belongs to each; a label is newer than the number and wins.
_BANDS = {
    "INFORMATIONAL": (0.0, 0.0, 0.0),
    "LOW": (0.1, 3.9, 2.0),
    "MEDIUM": (4.0, 6.9, 5.0),
    "HIGH": (7.0, 8.9, 8.0),
    "CRITICAL": (9.0, 10.0, 9.5),
}
_KEY_ID = "AWS::IAM::AccessKey:"
_GUARDDUTY = "aws/guardduty/service/"


def is_finding(detail: Obj) -> bool:
    """Say whether a bare document is an ASFF finding."""
    return "ProductArn" in detail or (
        "SchemaVersion" in detail and "Resources" in detail and "Service" not in detail
    )


def finding(detail: Obj, around: Envelope) -> Signal:
    """Read one finding; whatever is missing stays empty."""
    fields = obj(detail, "ProductFields")
    product_arn = text(detail, "ProductArn")
    product = text(detail, "ProductName") or text(fields, "aws/securityhub/ProductName")
    arn = product_arn.split(":")
    resources = tuple(_resources(detail))
    region = _region(detail, arn, resources, around)
    account = text(detail, "AwsAccountId") or around.account
    name = text(detail, "Id") or digest(detail, around.seed)
    subject = identity("securityhub", product_arn, name)
    updated = text(detail, "UpdatedAt")
    workflow = _workflow(detail)
    state = text(detail, "RecordState").upper()
    archived = state == "ARCHIVED" or is_true(fields.get(_GUARDDUTY + "archived"))
    types = texts(detail, "Types") or texts(detail, "FindingProviderFields", "Types")
    guardduty = product_arn.lower().endswith("product/aws/guardduty") or product.lower() == "guardduty"
    principal, affected = _principal(detail), _service(resources, product)
    return Signal(
        id=identity(subject, updated or digest(detail, around.seed), workflow, state),
        subject=subject,
        kind=SignalKind.FINDING,
        provider="aws",
        family="securityhub",
        type=_type(types, guardduty),
        title=text(detail, "Title", limit=TITLE) or name[:TITLE],
        description=text(detail, "Description", limit=DESCRIPTION),
        service=affected,
        region=region,
        account=account,
        tenant=around.tenant,
        severity=_severity(obj(detail, "Severity"), obj(detail, "FindingProviderFields", "Severity")),
        status=SignalStatus.RESOLVED if workflow == "RESOLVED" or archived else SignalStatus.OPEN,
        started_at=moment(detail.get("FirstObservedAt"), detail.get("CreatedAt")),
        detected_at=moment(detail.get("CreatedAt"), around.time),
        updated_at=moment(detail.get("UpdatedAt"), detail.get("LastObservedAt")),
        resources=resources,
        principal=principal,
        is_test=is_true(detail.get("Sample")) or _is_guardduty_sample(fields),
        is_muted=archived or workflow in ("SUPPRESSED", "RESOLVED"),
        has_answers=True,
        is_security_finding=True,
        service_keys=keys_of(affected),
        facts=known(
            ProductArn=product_arn,
            product=product or product_arn.rpartition("/")[2],
            isGuardDuty=guardduty,
            Types=unique(types),
            complianceStatus=text(obj(detail, "Compliance"), "Status").upper(),
            control=_control(detail, fields),
            GeneratorId=text(detail, "GeneratorId"),
            workflowStatus=workflow,
            RecordState=state,
            hasVulnerabilities=bool(items(detail, "Vulnerabilities")),
            hasMalware=bool(items(detail, "Malware")),
            actionName=text(obj(around.document, "detail"), "actionName"),
            same_as=guardduty_subject(text(detail, "Id"), account, region) if guardduty else "",
            access_key_id=principal.access_key_id,
            user_name=principal.name,
            buckets=unique(found.id.rpartition(":")[2] for found in resources if found.type == "AwsS3Bucket"),
        ),
    )


def _region(detail: Obj, arn: list[str], resources: tuple[Resource, ...], around: Envelope) -> str:
    found = text(detail, "Region") or (arn[3] if len(arn) > 5 else "")
    return (found or next((item.region for item in resources if item.region), "") or around.region).lower()


def _workflow(detail: Obj) -> str:
    """The status that people set; WorkflowState is its retired form, for where the new one is missing."""
    found = text(obj(detail, "Workflow"), "Status") or text(detail, "WorkflowState")
    return found.upper()


def _type(types: list[str], guardduty: bool) -> str:
    """Return GuardDuty's own name of a finding, which ASFF writes with a dash at the end of a path."""
    first = types[0] if types else ""
    name = first.rpartition("/")[2]
    if guardduty and ":" in name:
        purpose, _, rest = name.partition(":")
        return f"{purpose}:{rest.replace('-', '/', 1)}"
    return first


def guardduty_subject(id: str, account: str, region: str) -> str:
    """Return the subject that the same finding has when GuardDuty sends it directly."""
    name = id.rpartition("/finding/")[2]
    return identity("guardduty", account, region, name) if name else ""


def _is_guardduty_sample(fields: Obj) -> bool:
    if is_true(fields.get(_GUARDDUTY + "additionalInfo/sample")):
        return True
    for name in (_GUARDDUTY + "additionalInfo/value", "additionalInfo"):
        value = fields.get(name)
        if isinstance(value, str) and '"sample"' in value and is_true(obj(embedded(value)).get("sample")):
            return True
    return False


def _severity(severity: Obj, provider: Obj) -> float | None:
    label = (text(severity, "Label") or text(provider, "Label")).upper()
    scaled = number(severity.get("Normalized"))
    if label in _BANDS:
        low, high, usual = _BANDS[label]
        return scaled / 10 if scaled is not None and low <= scaled / 10 <= high else usual
    if scaled is not None:
        return min(max(scaled / 10, 0.0), 10.0)
    product = number(severity.get("Product"))
    return min(max(product, 0.0), 10.0) if product is not None else None


def _control(detail: Obj, fields: Obj) -> str:
    return (
        text(obj(detail, "Compliance"), "SecurityControlId")
        or text(fields, "ControlId", "RuleId")
        or text(detail, "GeneratorId").rpartition("/")[2]
    )


def _resources(detail: Obj) -> Iterator[Resource]:
    for item in objects(detail, "Resources"):
        found = text(item, "Id")
        if found:
            yield resource_of(found, text(item, "Type"), text(item, "Region").lower())


def _principal(detail: Obj) -> Principal:
    """Return whose key it was; a user who is merely listed is what a control looked at, not who acted."""
    for item in objects(detail, "Resources"):
        if text(item, "Type") != "AwsIamAccessKey":
            continue
        more = obj(item, "Details", "AwsIamAccessKey")
        name = text(item, "Id")
        from_id = name.removeprefix(_KEY_ID) if name.startswith(_KEY_ID) else ""
        return Principal(
            name=text(more, "PrincipalName", "UserName"),
            type=text(more, "PrincipalType"),
            access_key_id=text(more, "AccessKeyId") or ("" if from_id == "null" else from_id),
        )
    return Principal()


# Resource types say `Aws<Service><Thing>`; these are the services that responders speak of.
_SERVICES = (
    ("AwsS3", "S3"),
    ("AwsIam", "IAM"),
    ("AwsEc2", "EC2"),
    ("AwsRds", "RDS"),
    ("AwsLambda", "Lambda"),
    ("AwsEks", "EKS"),
    ("AwsEcs", "ECS"),
    ("AwsEcr", "ECR"),
    ("AwsCloudTrail", "CloudTrail"),
    ("AwsKms", "KMS"),
    ("AwsSns", "SNS"),
    ("AwsSqs", "SQS"),
    ("AwsRedshift", "Redshift"),
    ("AwsAutoScaling", "AutoScaling"),
    ("AwsElb", "ELB"),
    ("AwsAccount", "Account"),
    ("AwsApiGateway", "API Gateway"),
    ("AwsAthena", "Athena"),
    ("AwsBackup", "Backup"),
    ("AwsCertificateManager", "ACM"),
    ("AwsCloudFormation", "CloudFormation"),
    ("AwsCloudFront", "CloudFront"),
    ("AwsCloudWatch", "CloudWatch"),
    ("AwsCodeBuild", "CodeBuild"),
    ("AwsDms", "DMS"),
    ("AwsDynamoDb", "DynamoDB"),
    ("AwsEfs", "EFS"),
    ("AwsElastiCache", "ElastiCache"),
    ("AwsElasticBeanstalk", "Elastic Beanstalk"),
    ("AwsElasticsearch", "OpenSearch"),
    ("AwsEvent", "EventBridge"),
    ("AwsGuardDuty", "GuardDuty"),
    ("AwsKinesis", "Kinesis"),
    ("AwsMsk", "MSK"),
    ("AwsNetworkFirewall", "Network Firewall"),
    ("AwsOpenSearch", "OpenSearch"),
    ("AwsRoute53", "Route 53"),
    ("AwsSageMaker", "SageMaker"),
    ("AwsSecretsManager", "Secrets Manager"),
    ("AwsSsm", "SSM"),
    ("AwsStepFunction", "Step Functions"),
    ("AwsWaf", "WAF"),
)


def _service(resources: tuple[Resource, ...], product: str) -> str:
    found = (service_of(item.type) for item in resources)
    return next((name for name in found if name), "") or product or "Security Hub"


def service_of(resource_type: str) -> str:
    """Return the service that an ASFF resource type belongs to, "" when the type does not tell."""
    return next((name for begin, name in _SERVICES if resource_type.startswith(begin)), "")


def insights(detail: Obj, around: Envelope) -> Signal:
    """Read what a custom action sends about an insight: counts, no findings."""
    subject = identity("securityhub-insight", text(detail, "insightArn") or digest(detail, around.seed))
    return Signal(
        id=identity(subject, around.id or digest(detail, around.seed)),
        subject=subject,
        kind=SignalKind.EVENT,
        provider="aws",
        family="securityhub",
        type=around.detail_type,
        title=text(detail, "insightName", limit=TITLE) or around.detail_type[:TITLE],
        service="Security Hub",
        region=around.region.lower(),
        account=around.account,
        tenant=around.tenant,
        detected_at=moment(around.time),
        updated_at=moment(around.time),
        has_answers=True,
        is_security_finding=True,
        service_keys=keys_of("Security Hub"),
        facts=known(actionName=text(detail, "actionName"), results=len(items(detail, "insightResults"))),
    )
