"""Notifications for the benchmarks, about 5.6 KB each, always the same for the same number."""

from __future__ import annotations

import json
import random
from typing import Any

TYPES = (
    "UnauthorizedAccess:EC2/SSHBruteForce",
    "CryptoCurrency:EC2/BitcoinTool.B!DNS",
    "UnauthorizedAccess:IAMUser/InstanceCredentialExfiltration.OutsideAWS",
    "Impact:S3/AnomalousBehavior.Delete",
    "Exfiltration:S3/AnomalousBehavior",
    "Persistence:IAMUser/AnomalousBehavior",
    "Policy:S3/BucketBlockPublicAccessDisabled",
    "Stealth:IAMUser/CloudTrailLoggingDisabled",
    "Backdoor:EC2/C&CActivity.B!DNS",
    "Execution:EC2/MaliciousFile",
)
REGIONS = ("ap-northeast-1", "us-east-1", "us-west-2", "eu-west-1")
SUBSCRIPTION = "5f1a9c3e-7d42-4b1e-9a60-3c2d8e7f1b04"
LARGE = 5600


def account(number: int) -> str:
    """Return one of a thousand accounts."""
    return f"{100_000_000_000 + number % 1000}"


def mark(number: int) -> str:
    """Return what a message about this notification is known by when it arrives in the chat."""
    return f"evid-{number}-"


def finding(number: int, **changes: Any) -> dict[str, Any]:
    """Return a GuardDuty finding about an instance, as EventBridge delivers it."""
    dice = random.Random(number)
    region, owner = REGIONS[number % len(REGIONS)], account(number)
    instance, address = (
        f"i-{dice.getrandbits(68):017x}",
        ".".join(str(dice.randint(1, 254)) for _ in range(4)),
    )
    name = f"{dice.getrandbits(128):032x}"
    title = f"{mark(number)} {address} is performing brute force attacks against {instance}."
    event = {
        "version": "0",
        "id": f"{number:08x}-0000-4a4a-8b8b-{dice.getrandbits(48):012x}",
        "detail-type": "GuardDuty Finding",
        "source": "aws.guardduty",
        "account": owner,
        "time": f"2026-11-21T10:{number // 60 % 60:02d}:{number % 60:02d}Z",
        "region": region,
        "resources": [],
        "detail": {
            "schemaVersion": "2.0",
            "accountId": owner,
            "region": region,
            "partition": "aws",
            "id": name,
            "arn": f"arn:aws:guardduty:{region}:{owner}:detector/{dice.getrandbits(128):032x}/finding/{name}",
            "type": TYPES[number % len(TYPES)],
            "resource": {"resourceType": "Instance", "instanceDetails": _instance(dice, instance, owner)},
            "service": _service(dice, address),
            "severity": (2, 5, 8, 9)[number % 4],
            "createdAt": "2026-11-21T09:05:00Z",
            "updatedAt": "2026-11-21T10:05:00Z",
            "title": title,
            "description": title,
        },
    }
    event["detail"] |= changes
    return event


def _instance(dice: random.Random, instance: str, owner: str) -> dict[str, Any]:
    card = {
        "networkInterfaceId": f"eni-{dice.getrandbits(68):017x}",
        "privateIpAddresses": [{"privateIpAddress": f"10.0.1.{n}"} for n in range(6)],
        "subnetId": f"subnet-{dice.getrandbits(68):017x}",
        "securityGroups": [
            {"groupName": f"app-{n}", "groupId": f"sg-{dice.getrandbits(68):017x}"} for n in range(5)
        ],
    }
    return {
        "instanceId": instance,
        "instanceType": "m5.xlarge",
        "launchTime": "2026-01-11T08:14:45Z",
        "iamInstanceProfile": {
            "arn": f"arn:aws:iam::{owner}:instance-profile/app",
            "id": "AIPAEXAMPLE0000001",
        },
        "networkInterfaces": [card],
        "tags": [
            {"key": f"team-tag-{n}", "value": f"value {dice.getrandbits(64):016x} of tag {n}"}
            for n in range(42)
        ],
        "instanceState": "running",
        "imageId": f"ami-{dice.getrandbits(68):017x}",
    }


def _service(dice: random.Random, address: str) -> dict[str, Any]:
    remote = {
        "ipAddressV4": address,
        "organization": {
            "asn": str(dice.randint(1000, 60000)),
            "asnOrg": "Example Org",
            "isp": "Example ISP",
        },
        "country": {"countryName": "Netherlands"},
        "city": {"cityName": "Amsterdam"},
    }
    call = {"connectionDirection": "INBOUND", "protocol": "TCP", "blocked": False, "remoteIpDetails": remote}
    return {
        "serviceName": "guardduty",
        "detectorId": f"{dice.getrandbits(128):032x}",
        "action": {"actionType": "NETWORK_CONNECTION", "networkConnectionAction": call},
        "resourceRole": "TARGET",
        "additionalInfo": {"value": json.dumps({"ports": list(range(40))}), "type": "default"},
        "eventFirstSeen": "2026-11-21T09:00:00Z",
        "eventLastSeen": "2026-11-21T10:00:00Z",
        "archived": False,
        "count": 1,
    }


def outage(number: int, matter: int | None = None) -> dict[str, Any]:
    """Return an Azure Service Health incident as an action group's webhook delivers it.

    Each is an incident of its own, unless `matter` says which one it is about.
    """
    title = f"{mark(number)} Virtual Machines: connectivity lost"
    tracking = f"{number if matter is None else matter:04X}-B9G"
    properties = {
        "title": title,
        "service": "Virtual Machines",
        "region": "Japan East",
        "incidentType": "Incident",
        "trackingId": tracking,
        "impactStartTime": "2026-11-21T10:00:00Z",
        "impactedServices": json.dumps(
            [{"ServiceName": "Virtual Machines", "ImpactedRegions": [{"RegionName": "Japan East"}]}]
        ),
        "defaultLanguageTitle": title,
        "defaultLanguageContent": "Connections to machines are lost.",
        "communication": "<p>Connections to machines are lost. We are looking into it.</p>",
        "stage": "Active",
        "version": "0.1.1",
    }
    essentials = {
        "alertId": f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.AlertsManagement/alerts/{number}",
        "alertRule": "service-health",
        "severity": "Sev1",
        "signalType": "Activity Log",
        "monitorCondition": "Fired",
        "monitoringService": "ServiceHealth",
        "alertTargetIDs": [f"/subscriptions/{SUBSCRIPTION}"],
        "originAlertId": f"{number:08d}-2f64-4a3b-8d9e-6c5a4b3f2e1d",
        "firedDateTime": "2026-11-21T10:01:00Z",
        "essentialsVersion": "1.0",
        "alertContextVersion": "1.0",
    }
    context = {
        "channels": 1,
        "correlationId": f"{number:08d}-5e4f-4321-9876-0a1b2c3d4e5f",
        "eventSource": 2,
        "eventTimestamp": "2026-11-21T10:01:00Z",
        "eventDataId": f"{number:08d}-9a8f-4e7d-b6c5-a4f3e2d1c0b9",
        "level": 2,
        "operationName": "Microsoft.ServiceHealth/incident/action",
        "operationId": f"{number:08d}-5e4f-4321-9876-0a1b2c3d4e5f",
        "status": "Active",
        "submissionTimestamp": "2026-11-21T10:01:00Z",
        "properties": properties,
    }
    alert = {
        "schemaId": "azureMonitorCommonAlertSchema",
        "data": {"essentials": essentials, "alertContext": context},
    }
    missing = LARGE - len(json.dumps(alert))
    properties["communication"] += "<p>" + "More will be said here. " * (missing // 24) + "</p>"
    return alert
