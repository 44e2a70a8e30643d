"""What a GuardDuty finding is about: every kind of resource that findings and attack sequences name."""

from __future__ import annotations

from collections.abc import Iterator

from twokey.core.signals import Resource
from twokey.providers.aws.resource_types import resource_of
from twokey.providers.reading import Obj, obj, objects, text

# Where a finding has one thing of a kind: by its part, the fields that identify it, and what it is.
_DETAILS: dict[str, tuple[tuple[str, ...], str]] = {
    "bedrockGuardrailDetails": (("guardrailArn",), "BedrockGuardrail"),
    "containerDetails": (("id", "name"), "Container"),
    "ebsSnapshotDetails": (("snapshotArn",), "EBSSnapshot"),
    "ec2ImageDetails": (("imageArn",), "EC2Image"),
    "ecsClusterDetails": (("arn", "name"), "ECSCluster"),
    "eksClusterDetails": (("arn", "name"), "EKSCluster"),
    "instanceDetails": (("instanceId", "instanceArn"), "Instance"),
    "lambdaDetails": (("functionArn", "functionName"), "Lambda"),
    "rdsDbInstanceDetails": (("dbInstanceArn", "dbInstanceIdentifier"), "RDSDBInstance"),
    "rdsLimitlessDbDetails": (("dbShardGroupArn", "dbShardGroupIdentifier"), "RDSLimitlessDB"),
    "recoveryPointDetails": (("recoveryPointArn",), "RecoveryPoint"),
}
# What stands inside a part: an instance's role, a task, a workload.
_INSIDE: dict[str, tuple[str, tuple[str, ...], str]] = {
    "ecsClusterDetails": ("taskDetails", ("arn",), "ECSTask"),
    "instanceDetails": ("iamInstanceProfile", ("arn", "id"), "InstanceProfile"),
    "kubernetesDetails": ("kubernetesWorkloadDetails", ("uid", "name"), "KubernetesWorkload"),
}

# Attack sequences write the kinds in capitals.
_KINDS = {
    "ACCESS_KEY": "AccessKey",
    "AUTOSCALING_AUTO_SCALING_GROUP": "AutoScalingGroup",
    "CLOUDFORMATION_STACK": "CloudFormationStack",
    "CONTAINER": "Container",
    "EC2_IMAGE": "EC2Image",
    "EC2_INSTANCE": "Instance",
    "EC2_LAUNCH_TEMPLATE": "LaunchTemplate",
    "EC2_NETWORK_INTERFACE": "NetworkInterface",
    "EC2_VPC": "VPC",
    "ECS_CLUSTER": "ECSCluster",
    "ECS_TASK": "ECSTask",
    "EKS_CLUSTER": "EKSCluster",
    "IAM_INSTANCE_PROFILE": "InstanceProfile",
    "KUBERNETES_WORKLOAD": "KubernetesWorkload",
    "S3_BUCKET": "S3Bucket",
    "S3_OBJECT": "S3Object",
}


def bucket_arn(name: str) -> str:
    """Return a bucket's ARN, from its ARN or its name."""
    return name if not name or name.startswith("arn:") else f"arn:aws:s3:::{name}"


def bucket_name(found: Resource) -> str:
    """Return a bucket's name."""
    return found.id.rpartition(":")[2].partition("/")[0]


def every_resource(resource: Obj, service: Obj, region: str) -> Iterator[Resource]:
    """Yield what a finding names, what was touched by its call, and the parts of an attack sequence."""
    for bucket in objects(resource, "s3BucketDetails"):
        arn = text(bucket, "arn") or bucket_arn(text(bucket, "name"))
        if arn:
            yield resource_of(arn, "S3Bucket", region)
        for item in objects(bucket, "s3ObjectDetails"):
            if text(item, "objectArn", "key"):
                yield resource_of(text(item, "objectArn", "key"), "S3Object", region)
    key = text(obj(resource, "accessKeyDetails"), "accessKeyId")
    if key:
        yield resource_of(key, "AccessKey", region)
    for part, details in resource.items():
        if not isinstance(details, dict):
            continue
        if part in _DETAILS:
            names, kind = _DETAILS[part]
            if found := text(details, *names):
                yield resource_of(found, kind, region)
        if part in _INSIDE:
            inner, names, kind = _INSIDE[part]
            if found := text(obj(details, inner), *names):
                yield resource_of(found, kind, region)
    yield from _affected(service, region)
    if "detection" in service:
        yield from _sequence(service, region)


def _affected(service: Obj, region: str) -> Iterator[Resource]:
    affected = obj(service, "action", "awsApiCallAction").get("affectedResources")
    if not isinstance(affected, dict):
        return
    for name, value in list(affected.items())[:20]:
        if isinstance(value, str) and value:
            kind = name[:1].upper() + name[1:]
            is_bucket = kind == "AWS::S3::Bucket"
            yield resource_of(
                bucket_arn(value[:1024]) if is_bucket else value[:1024],
                "S3Bucket" if is_bucket else kind[:64],
                region,
            )


def _sequence(service: Obj, region: str) -> Iterator[Resource]:
    for item in objects(service, "detection", "sequence", "resources"):
        uid, kind = text(item, "uid"), text(item, "resourceType", "type")
        if uid:
            is_bucket = uid.startswith("arn:") and uid.split(":")[2:3] == ["s3"] and "/" not in uid
            yield resource_of(
                uid,
                "S3Bucket" if is_bucket else _KINDS.get(kind, kind[:64]),
                text(item, "region").lower() or region,
            )
