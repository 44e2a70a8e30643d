"""What providers say of their outages, and the alarms of those whom they reach: notifications in documented shapes."""

from __future__ import annotations

import json
from datetime import datetime
from email.utils import format_datetime
from typing import Any

AWS_ACCOUNT = "111122223333"
SUBSCRIPTION = "52c65f65-0518-4d37-9719-7dbbfc68c57b"


def _iso(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _json(document: Any) -> bytes:
    return json.dumps(document).encode()


def aws_post(
    name: str,
    service: str,
    region: str,
    *,
    start: datetime,
    said: datetime,
    end: datetime | None = None,
    entities: tuple[str, ...] = (),
    account: str = "",
) -> bytes:
    """Return a Health event as EventBridge delivers it: public, or of one account where one is given."""
    scope = "ACCOUNT_SPECIFIC" if account else "PUBLIC"
    code = f"AWS_{service.upper()}_OPERATIONAL_ISSUE"
    detail = {
        "eventArn": f"arn:aws:health:{region}::event/{service.upper()}/{code}/{name}",
        "service": service.upper(),
        "eventTypeCode": code,
        "eventTypeCategory": "issue",
        "eventScopeCode": scope,
        "communicationId": f"{name}-{_iso(said)}-1",
        "startTime": format_datetime(start, usegmt=True),
        "lastUpdatedTime": format_datetime(said, usegmt=True),
        "statusCode": "closed" if end else "open",
        "eventRegion": region,
        "eventDescription": [{"language": "en_US", "latestDescription": "Increased error rates."}],
        "affectedEntities": [{"entityValue": one, "status": "IMPAIRED"} for one in entities],
        "page": "1",
        "totalPages": "1",
        **({"endTime": format_datetime(end, usegmt=True)} if end else {}),
        **({"affectedAccount": account} if account else {}),
    }
    return _event("aws.health", "AWS Health Event", f"{name}-{_iso(said)}", said, region, detail)


def aws_alarm(name: str, namespace: str, region: str, *, at: datetime, state: str = "ALARM") -> bytes:
    """Return a CloudWatch alarm that changed its state, as EventBridge delivers it."""
    metric = {"metricStat": {"metric": {"namespace": namespace, "name": "5XXError"}, "period": 60}}
    detail = {
        "alarmName": name,
        "state": {"value": state, "reason": "Threshold crossed", "timestamp": _iso(at)},
        "previousState": {"value": "OK" if state != "OK" else "ALARM"},
        "configuration": {"metrics": [{"id": "m1", "returnData": True, **metric}]},
    }
    event_id = f"{name}-{state}-{_iso(at)}"
    return _event("aws.cloudwatch", "CloudWatch Alarm State Change", event_id, at, region, detail)


def _event(source: str, kind: str, event_id: str, at: datetime, region: str, detail: dict[str, Any]) -> bytes:
    envelope = {"version": "0", "id": event_id, "detail-type": kind, "source": source, "account": AWS_ACCOUNT}
    return _json({**envelope, "time": _iso(at), "region": region, "resources": [], "detail": detail})


def azure_post(
    tracking: str,
    places: dict[str, list[str]],
    *,
    start: datetime,
    said: datetime,
    end: datetime | None = None,
    kind: str = "Incident",
    stage: str = "",
    targets: tuple[str, ...] = (),
) -> bytes:
    """Return a Service Health alert of the common schema; `places` gives the regions of each service."""
    impacted = [
        {"ServiceName": service, "ImpactedRegions": [{"RegionName": region} for region in regions]}
        for service, regions in places.items()
    ]
    stage = stage or ("Resolved" if end else "Active")
    properties = {
        "title": f"{next(iter(places), 'Azure')} - errors",
        "trackingId": tracking,
        "incidentType": kind,
        "stage": stage,
        "communicationId": f"{tracking}-{_iso(said)}",
        "impactStartTime": _iso(start),
        "impactedServices": json.dumps(impacted),
        "isHIR": "false",
        "IsSynthetic": "False",
        **({"impactMitigationTime": _iso(end)} if end else {}),
    }
    return _alert("ServiceHealth", f"{tracking}-{_iso(said)}", said, stage, properties, targets)


def azure_health(
    resource: str,
    region: str,
    *,
    at: datetime,
    health: str = "Unavailable",
    cause: str = "Unknown",
    matter: str = "",
) -> bytes:
    """Return a Resource Health alert of the common schema."""
    over = health == "Available"
    properties = {
        "title": f"The resource is {health}",
        "currentHealthStatus": health,
        "previousHealthStatus": "Unavailable" if over else "Available",
        "type": "Downtime",
        "cause": cause,
    }
    extra = {
        "operationName": f"Microsoft.Resourcehealth/healthevent/{'Resolved' if over else 'Activated'}/action",
        "correlationId": matter or f"{resource}-{_iso(at)}",
        "location": region,
    }
    name = f"{resource}-{health}-{_iso(at)}"
    return _alert(
        "Resource Health", name, at, "Resolved" if over else "Active", properties, (resource,), extra
    )


def _alert(
    service: str,
    name: str,
    at: datetime,
    status: str,
    properties: dict[str, Any],
    targets: tuple[str, ...],
    extra: dict[str, Any] | None = None,
) -> bytes:
    over = status == "Resolved" and service == "Resource Health"
    essentials = {
        "alertId": f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.AlertsManagement/alerts/{name}",
        "alertRule": service,
        "severity": "Sev4",
        "signalType": "Activity Log",
        "monitorCondition": "Resolved" if over else "Fired",
        "monitoringService": service,
        "alertTargetIDs": list(targets) or [f"/subscriptions/{SUBSCRIPTION}"],
        "firedDateTime": _iso(at),
        "essentialsVersion": "1.0",
        "alertContextVersion": "1.0",
    }
    context = {
        "channels": 1,
        "eventDataId": name,
        "eventSource": 2,
        "eventTimestamp": _iso(at),
        "submissionTimestamp": _iso(at),
        "level": 3,
        "operationName": "Microsoft.ServiceHealth/incident/action",
        "status": status,
        "subscriptionId": SUBSCRIPTION,
        "resourceId": targets[0] if targets else f"/subscriptions/{SUBSCRIPTION}",
        "properties": properties,
        **(extra or {}),
    }
    data = {"essentials": essentials, "alertContext": context}
    return _json({"schemaId": "azureMonitorCommonAlertSchema", "data": data})
