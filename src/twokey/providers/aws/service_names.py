"""One spelling for AWS's services: alarms and resource types name them otherwise than the provider's posts."""

from __future__ import annotations

from functools import lru_cache

from twokey.providers.reading import once, service_key

_ALIASES = {
    "applicationelb": "elb",
    "elasticloadbalancing": "elb",
    "networkelb": "elb",
    "elasticcomputecloud": "ec2",
    "simplestorageservice": "s3",
    "relationaldatabaseservice": "rds",
    "simplequeueservice": "sqs",
    "simplenotificationservice": "sns",
    "elasticmapreduce": "emr",
    "elasticmapreduceemr": "emr",
    "states": "stepfunctions",
    "efs": "elasticfilesystem",
    "s3usstandard": "s3",
    "natgateway": "vpc",
    "vpn": "vpc",
    "events": "eventbridge",
    "es": "opensearch",
    "elasticsearch": "opensearch",
    "opensearchservice": "opensearch",
    "usage": "",
}


@lru_cache(maxsize=2048)  # asked of every notification, and services are few
def keys_of(*names: str) -> tuple[str, ...]:
    """Return what spellings of services have in common: "Amazon EC2", EC2 and AWS/EC2 are one."""
    folded = (service_key(name) for name in names)
    return once(_ALIASES.get(one, one) for one in folded)
