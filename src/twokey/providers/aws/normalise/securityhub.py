"""Security Hub findings in ASFF: imported, sent by a custom action, or bare from the API."""

from __future__ import annotations

from twokey.core.signals import Principal, Signal, SignalKind, SignalStatus
from twokey.providers.aws.normalise.envelopes import Envelope
from twokey.providers.aws.normalise.guardduty import says_sample
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
_INFO = (_GUARDDUTY + "additionalInfo/value", "additionalInfo")


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
    listed = objects(detail, "Resources")
    resources = tuple(
        resource_of(text(item, "Id"), text(item, "Type"), text(item, "Region").lower())
        for item in listed
        if text(item, "Id")
    )
    region = text(detail, "Region") or (arn[3] if len(arn) > 5 else "")
    region = region or next((found.region for found in resources if found.region), "") or around.region
    region = region.lower()
    account = text(detail, "AwsAccountId") or around.account
    name = text(detail, "Id") or digest(detail, around.seed)
    subject = identity("securityhub", product_arn, name)
    updated = text(detail, "UpdatedAt")
    # The status that people set; WorkflowState is its retired form, for where the new one is missing.
    workflow = (text(obj(detail, "Workflow"), "Status") or text(detail, "WorkflowState")).upper()
    state = text(detail, "RecordState").upper()
    archived = state == "ARCHIVED" or is_true(fields.get(_GUARDDUTY + "archived"))
    types = texts(detail, "Types") or texts(detail, "FindingProviderFields", "Types")
    guardduty = product_arn.lower().endswith("product/aws/guardduty") or product.lower() == "guardduty"
    is_sample = is_true(detail.get("Sample")) or is_true(fields.get(_GUARDDUTY + "additionalInfo/sample"))
    principal = _principal(listed)
    services = (service_of(found.type) for found in resources)
    affected = next((service for service in services if service), "") or product or "Security Hub"
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
        is_test=is_sample or any(says_sample(fields.get(name)) for name in _INFO),
        is_muted=archived or workflow in ("SUPPRESSED", "RESOLVED"),
        has_answers=True,
        is_security_finding=True,
        service_keys=keys_of(affected),
        facts=known(
            ProductArn=product_arn,
            product=product or product_arn.rpartition("/")[2],
            isGuardDuty=guardduty,
            Types=unique(types),
            **_facts(detail, fields, workflow, state),
            actionName=text(obj(around.document, "detail"), "actionName"),
            same_as=guardduty_subject(text(detail, "Id"), account, region) if guardduty else "",
            access_key_id=principal.access_key_id,
            user_name=principal.name,
            buckets=unique(found.id.rpartition(":")[2] for found in resources if found.type == "AwsS3Bucket"),
        ),
    )


def _facts(detail: Obj, fields: Obj, workflow: str, state: str) -> Obj:
    compliance, generator = obj(detail, "Compliance"), text(detail, "GeneratorId")
    return known(
        complianceStatus=text(compliance, "Status").upper(),
        control=text(compliance, "SecurityControlId")
        or text(fields, "ControlId", "RuleId")
        or generator.rpartition("/")[2],
        GeneratorId=generator,
        workflowStatus=workflow,
        RecordState=state,
        hasVulnerabilities=bool(items(detail, "Vulnerabilities")),
        hasMalware=bool(items(detail, "Malware")),
    )


def _type(types: list[str], guardduty: bool) -> str:
    """Return GuardDuty's own name of a finding, which ASFF writes with a dash at the end of a path."""
    first = types[0] if types else ""
    purpose, colon, rest = first.rpartition("/")[2].partition(":")
    return f"{purpose}:{rest.replace('-', '/', 1)}" if guardduty and colon else first


def guardduty_subject(id: str, account: str, region: str) -> str:
    """Return the subject that the same finding has when GuardDuty sends it directly."""
    name = id.rpartition("/finding/")[2]
    return identity("guardduty", account, region, name) if name else ""


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


def _principal(listed: list[Obj]) -> Principal:
    """Return whose key it was; a user who is merely listed is what a control looked at, not who acted."""
    for item in listed:
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
