"""What arrives in the demo: GuardDuty findings as EventBridge delivers them, and an Azure maintenance notice."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from twokey.demo.company import REGION, SHOP, USER

ATTACKER_IP = "198.51.100.23"
SUBSCRIPTION = "5f1a9c3e-7d42-4b1e-9a60-3c2d8e7f1b04"


def findings(key_id: str, buckets: list[str], now: datetime) -> list[str]:
    """Return a burst: the strange call, one finding a deleted bucket, each of them delivered more than once."""
    first = _finding(key_id, "UnauthorizedAccess:IAMUser/MaliciousIPCaller.Custom", 5.0, 0, now, [])
    anomaly = "Impact:S3/AnomalousBehavior.Delete"
    deletes = [_finding(key_id, anomaly, 8.0, n, now, [bucket]) for n, bucket in enumerate(buckets, start=1)]
    grown = [_finding(key_id, anomaly, 8.0, n, now, [bucket], 5) for n, bucket in enumerate(buckets, start=1)]
    every = [json.dumps(event) for event in (first, *deletes, *grown)]
    return every + every[: len(deletes) + 1]  # at least once is how EventBridge delivers


def planned_maintenance(now: datetime) -> str:
    """Return an Azure planned maintenance notice, common alert schema."""
    starts, ends = now + timedelta(days=2), now + timedelta(days=2, hours=4)
    services = [{"ServiceName": "Virtual Machines", "ImpactedRegions": [{"RegionName": "Japan East"}]}]
    title = "Planned maintenance: host updates for Virtual Machines in Japan East"
    return json.dumps(
        {
            "schemaId": "azureMonitorCommonAlertSchema",
            "data": {
                "essentials": {
                    "alertId": f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.AlertsManagement/alerts/b1",
                    "alertRule": "service-health",
                    "severity": "Sev4",
                    "signalType": "Activity Log",
                    "monitorCondition": "Fired",
                    "monitoringService": "ServiceHealth",
                    "alertTargetIDs": [f"/subscriptions/{SUBSCRIPTION}"],
                    "originAlertId": "0b7e5c1d-2f64-4a3b-8d9e-6c5a4b3f2e1d",
                    "firedDateTime": _iso(now),
                    "essentialsVersion": "1.0",
                    "alertContextVersion": "1.0",
                },
                "alertContext": {
                    "channels": 1,
                    "correlationId": "d9c8b7a6-5e4f-4321-9876-0a1b2c3d4e5f",
                    "eventSource": 2,
                    "eventTimestamp": _iso(now),
                    "eventDataId": "3e2d1c0b-9a8f-4e7d-b6c5-a4f3e2d1c0b9",
                    "level": 4,
                    "operationName": "Microsoft.ServiceHealth/maintenance/action",
                    "operationId": "d9c8b7a6-5e4f-4321-9876-0a1b2c3d4e5f",
                    "status": "Active",
                    "submissionTimestamp": _iso(now),
                    "properties": {
                        "title": title,
                        "service": "Virtual Machines",
                        "region": "Japan East",
                        "communication": "<p>Hosts will be updated. Virtual machines may pause for up to 30 s.</p>",
                        "communicationId": "11000123456789",
                        "incidentType": "Maintenance",
                        "trackingId": "VM2T-L9G",
                        "impactStartTime": _iso(starts),
                        "impactMitigationTime": _iso(ends),
                        "impactedServices": json.dumps(services),
                        "defaultLanguageTitle": title,
                        "defaultLanguageContent": "Hosts will be updated.",
                        "stage": "Planned",
                        "maintenanceId": "VM2T-L9G",
                        "maintenanceType": "HostUpdate",
                        "isHIR": "false",
                        "IsSynthetic": "False",
                        "version": "0.1.1",
                    },
                },
            },
        }
    )


def _finding(
    key_id: str, kind: str, severity: float, number: int, now: datetime, buckets: list[str], count: int = 1
) -> dict[str, Any]:
    seen = now - timedelta(minutes=4) + timedelta(seconds=number)
    finding_id = f"{number:02d}c4f1d0b2a9e8f7a6b5c4d3e2f1a0{number:02d}"
    resource: dict[str, Any] = {
        "resourceType": "S3Bucket" if buckets else "AccessKey",
        "accessKeyDetails": {
            "accessKeyId": key_id,
            "principalId": "AIDADEMODEPLOYBOT0001",
            "userType": "IAMUser",
            "userName": USER,
        },
    }
    if buckets:
        resource["s3BucketDetails"] = [
            {"arn": f"arn:aws:s3:::{bucket}", "name": bucket, "type": "Destination"} for bucket in buckets
        ]
    operation = "DeleteBucket" if buckets else "GetCallerIdentity"
    return {
        "version": "0",
        "id": f"7bf73129-1428-4cd3-a780-{number:06d}{count:06d}",
        "detail-type": "GuardDuty Finding",
        "source": "aws.guardduty",
        "account": SHOP,
        "time": _iso(seen + timedelta(minutes=2)),
        "region": REGION,
        "resources": [],
        "detail": {
            "schemaVersion": "2.0",
            "accountId": SHOP,
            "region": REGION,
            "partition": "aws",
            "id": finding_id,
            "arn": f"arn:aws:guardduty:{REGION}:{SHOP}:detector/d1/finding/{finding_id}",
            "type": kind,
            "resource": resource,
            "service": {
                "serviceName": "guardduty",
                "detectorId": "d1",
                "action": {
                    "actionType": "AWS_API_CALL",
                    "awsApiCallAction": {
                        "api": operation,
                        "serviceName": "s3.amazonaws.com" if buckets else "sts.amazonaws.com",
                        "callerType": "Remote IP",
                        "remoteIpDetails": {"ipAddressV4": ATTACKER_IP},
                    },
                },
                "resourceRole": "TARGET",
                "additionalInfo": {"value": "{}", "type": "default"},
                "eventFirstSeen": _iso(seen),
                "eventLastSeen": _iso(seen + timedelta(seconds=count)),
                "archived": False,
                "count": count,
            },
            "severity": severity,
            "createdAt": _iso(seen + timedelta(seconds=90)),
            "updatedAt": _iso(seen + timedelta(seconds=90 + count)),
            "title": f"{operation} was called by {USER} from an address on a threat list"
            if not buckets
            else f"The user {USER} deleted the bucket {buckets[0]} in an unusual way",
            "description": "An API call that is not usual for this user was observed.",
        },
    }


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
