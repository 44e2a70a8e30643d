"""One spelling for the types of AWS resources: GuardDuty, Security Hub, CloudTrail and CloudFormation each have one.

The spelling is CloudFormation's, whose registry is the one that AWS publishes; what it does not have is named alike.
https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-template-resource-type-ref.html
"""

from __future__ import annotations

from functools import lru_cache

from twokey.core.errors import Json
from twokey.core.signals import Resource

BUCKET = "AWS::S3::Bucket"

# Each with its names that differ in more than case, punctuation and the maker's name before it:
# `AwsS3Bucket`, `S3_BUCKET` and `S3Bucket` are bucket's anyway.
_TYPES: dict[str, tuple[str, ...]] = {
    BUCKET: (),
    "AWS::AutoScaling::AutoScalingGroup": ("AutoScalingGroup",),
    "AWS::Backup::RecoveryPoint": ("RecoveryPoint",),
    "AWS::Bedrock::Guardrail": (),
    "AWS::CloudFormation::Stack": (),
    "AWS::CloudTrail::Trail": ("Trail",),
    "AWS::EC2::Image": (),
    "AWS::EC2::Instance": ("Instance",),
    "AWS::EC2::LaunchTemplate": ("LaunchTemplate",),
    "AWS::EC2::NetworkInterface": ("NetworkInterface",),
    "AWS::EC2::SecurityGroup": ("SecurityGroup",),
    "AWS::EC2::Snapshot": ("Snapshot", "EBSSnapshot"),
    "AWS::EC2::Volume": ("Volume",),
    "AWS::EC2::VPC": ("VPC",),
    "AWS::ECR::ContainerImage": (),
    "AWS::ECR::Repository": ("Repository",),
    "AWS::ECS::Cluster": (),
    "AWS::ECS::Container": ("Container",),
    "AWS::ECS::Task": (),
    "AWS::EKS::Cluster": (),
    "AWS::EKS::Workload": ("KubernetesWorkload",),
    "AWS::GuardDuty::Detector": ("Detector",),
    "AWS::IAM::AccessKey": ("AccessKey",),
    "AWS::IAM::Group": ("Group",),
    "AWS::IAM::InstanceProfile": ("InstanceProfile",),
    "AWS::IAM::Role": (),
    "AWS::IAM::User": (),
    "AWS::KMS::Key": ("Key",),
    "AWS::Lambda::Function": ("Lambda",),
    "AWS::Organizations::Account": ("AwsAccount",),
    "AWS::Organizations::Policy": ("Policy",),
    "AWS::Organizations::Target": ("Target",),  # a policy's: a root, a unit or an account
    "AWS::RDS::DBCluster": (),
    "AWS::RDS::DBClusterSnapshot": (),
    "AWS::RDS::DBInstance": (),
    "AWS::RDS::DBShardGroup": ("RDSLimitlessDB",),
    "AWS::RDS::DBSnapshot": ("RDSSnapshot",),
    "AWS::Redshift::Cluster": (),
    "AWS::S3::Object": (),
    "AWS::SNS::Topic": (),
    "": ("Other",),  # Security Hub's word for what it has no type for
}


def _fold(type_: str) -> str:
    return "".join(filter(str.isalnum, type_.casefold())).removeprefix("aws")


_KINDS = {_fold(name): kind for kind, names in _TYPES.items() for name in (kind, *names)}


@lru_cache(maxsize=1024)  # asked of every resource, and types are few
def kind_of(type_: str) -> str:
    """Return a type in the one spelling, "" when nobody knows it; whatever is called a bucket is one."""
    return _KINDS.get(_fold(type_)) or (BUCKET if "bucket" in type_.lower() else "")


def resource_of(id: str, type_: str = "", region: str = "") -> Resource:
    """Make a resource: its kind, its name, and what a runbook may take of it."""
    kind = kind_of(type_)
    if id[3:4] != ":" or id[:3].lower() != "arn":
        return Resource(id, type_, region, kind, "", {"buckets": [id]} if kind == BUCKET else {})
    path = id.rpartition(":")[2]
    known: dict[str, Json] = {"buckets": [path.partition("/")[0]]} if kind == BUCKET else {}
    return Resource(id, type_, region, kind, path.rpartition("/")[2], known)
