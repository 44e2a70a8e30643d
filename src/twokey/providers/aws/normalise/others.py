"""What else arrives on AWS's ways: other EventBridge sources, SNS texts, and documents of no known kind."""

from __future__ import annotations

from twokey.core.signals import Signal, SignalKind, SignalStatus
from twokey.providers.aws.normalise.envelopes import Unit
from twokey.providers.aws.resource_types import resource_of
from twokey.providers.aws.service_names import keys_of
from twokey.providers.reading import (
    DESCRIPTION,
    TITLE,
    Obj,
    digest,
    identity,
    known,
    moment,
    number,
    obj,
    objects,
    once,
    shortened,
    text,
)


def event(unit: Unit) -> Signal:
    """Read anything: what it says about itself, and nothing that it does not say."""
    detail, around = unit.detail, unit.envelope
    kind, service = _kind(unit)
    state = text(detail, "NewStateValue", "state", "status", "lastStatus", "complianceType", "StatusCode")
    state = state or text(obj(detail, "state"), "value")
    state = state or text(obj(detail, "newEvaluationResult"), "complianceType")
    content = digest([detail, unit.message], around.seed)
    own = identity(around.id, content) if around.id else content  # a retry keeps both
    name = identity("other", around.source or service, around.account, own)
    parts = text(detail, "AlarmArn").split(":")
    alarm = text(detail, "AlarmArn", "AlarmName", "alarmName")
    subject = identity("other", "alarm", around.region, around.account, alarm) if alarm else name
    severity, is_alarm = number(detail.get("severity")), kind in _ALARMS
    watched = _watched(detail) if is_alarm else ()
    return Signal(
        id=name,
        subject=subject,
        kind=SignalKind.EVENT,
        provider="aws",
        family="other",
        type=kind,
        title=_title(unit, kind, state),
        description=shortened(
            unit.message.strip() or text(detail, "message", "Event Message", "Description")
        )[:DESCRIPTION],
        service=service,
        # An alarm's ARN has the Region's code; its Region field has a name for people.
        region=(around.region or (parts[3] if len(parts) > 5 else "")).lower(),
        account=text(detail, "accountId", "AWSAccountId") or around.account,
        tenant=around.tenant,
        severity=severity if severity is not None and 0 <= severity <= 10 else None,
        status=SignalStatus.RESOLVED if state == "OK" else SignalStatus.OPEN,
        started_at=moment(around.time),
        detected_at=moment(around.time, detail.get("StateChangeTime")),
        updated_at=moment(around.time, detail.get("StateChangeTime")),
        resources=tuple(resource_of(found) for found in around.resources),
        has_answers=True,
        is_availability=is_alarm,
        services=watched,
        service_keys=keys_of(*(watched or (service,))),
        facts=known(
            source=around.source,
            detailType=around.detail_type,
            state=state,
            subject=around.subject,
            topic=around.topic,
            attributes=list(around.attributes),
            isAlarm=is_alarm or None,
            services=[*watched],
        ),
    )


# EventBridge's detail-type, and what the same alarm is called here when it comes by SNS
_ALARMS = ("CloudWatch Alarm", "CloudWatch Alarm State Change")


def _watched(detail: Obj) -> tuple[str, ...]:
    """Return the services whose metrics an alarm watches: AWS/ApplicationELB is ApplicationELB."""
    trigger = obj(detail, "Trigger")
    stats = [obj(one, "MetricStat") for one in objects(trigger, "Metrics")]
    stats += [obj(one, "metricStat") for one in objects(obj(detail, "configuration"), "metrics")]
    metrics = [trigger, *(obj(one, "Metric") or obj(one, "metric") for one in stats)]
    named = (text(one, "Namespace", "namespace") for one in metrics)
    return once(one.removeprefix("AWS/") for one in named if one.startswith("AWS/"))


def _kind(unit: Unit) -> tuple[str, str]:
    detail, around = unit.detail, unit.envelope
    if around.detail_type:
        return around.detail_type, around.source.removeprefix("aws.")
    if "AlarmName" in detail and "NewStateValue" in detail:
        return "CloudWatch Alarm", "CloudWatch"
    if "configRuleName" in detail or "configRuleArn" in detail:
        return "Config Rule Evaluation", "Config"
    if "Event Source" in detail and "Event Message" in detail:
        is_database = text(detail, "Event Source").lower().startswith("db-")
        return ("RDS Notification", "RDS") if is_database else ("DMS Notification", "DMS")
    if "anomalyId" in detail and "monitorArn" in detail:
        return "Cost Anomaly Notification", "Billing"
    if not unit.message:
        return "Unknown document", ""
    # Texts over SNS are told apart by their subject and attributes, which the sending service sets.
    subject = around.subject.lower()
    if "aws backup" in subject or "BACKUP_JOB" in unit.message or "RecoveryPoint" in around.attributes:
        return "Backup Notification", "Backup"
    return ("Budget Notification", "Budgets") if "budget" in subject else ("Text message", "SNS")


def _title(unit: Unit, kind: str, state: str) -> str:
    around = unit.envelope
    named = text(unit.detail, "AlarmName", "alarmName", "configRuleName", "title", limit=200)
    first = unit.message.strip().partition("\n")[0]
    words = ": ".join(part for part in (kind, named or around.subject or first, state) if part)
    return shortened(words, TITLE)
