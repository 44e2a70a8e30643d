"""What comes through one webhook address: both schemas of every kind, tests, and what nobody has documented."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.lab.intake_harness import IntakeHarness, shipped_rules
from twokey.core.responsibility import Label, Verdict
from twokey.core.signals import RawNotification, Signal
from twokey.providers.azure.normalise import AzureNormaliser

SUBSCRIPTION = "0b1f6471-1bf0-4dda-aec3-111122223333"
INVENTED = "11111111-1111-1111-1111-111111111111"
AT = "2026-11-16T08:27:36.1836909+00:00"


def read(document: Any) -> tuple[Signal, Verdict]:
    body = json.dumps(document).encode()
    raw = RawNotification("raw-1", "azure.webhook:prod", body, datetime(2026, 11, 16, tzinfo=UTC))
    (signal,) = AzureNormaliser().normalise(raw)
    return signal, shipped_rules().verdict(signal, raw)


def vm(subscription: str = SUBSCRIPTION, group: str = "rg", name: str = "vm") -> str:
    return f"/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Compute/virtualMachines/{name}"


ENTRIES: dict[str, dict[str, Any]] = {
    "ServiceHealth": {
        "operationName": "Microsoft.ServiceHealth/incident/action",
        "properties": {"title": "t", "incidentType": "Incident", "trackingId": "X", "stage": "Active"},
    },
    "ResourceHealth": {
        "operationName": "Microsoft.Resourcehealth/healthevent/Activated/action",
        "properties": {
            "title": "Rebooted by user",
            "details": None,
            "currentHealthStatus": "Unavailable",
            "previousHealthStatus": "Available",
            "type": "Downtime",
            "cause": "UserInitiated",
        },
    },
    "Administrative": {
        "operationName": "Microsoft.Compute/virtualMachines/restart/action",
        "caller": "user@example.com",
        "properties": {"eventCategory": "Administrative", "entity": vm(), "message": "restart"},
    },
    "Security": {
        "operationName": "Microsoft.Security/locations/alerts/activate/action",
        "properties": {
            "threatStatus": "Quarantined",
            "category": "Virus",
            "severity": "High",
            "compromisedEntity": "vm",
            "resourceType": "Virtual Machine",
            "alertDisplayName": "Antimalware Action Taken",
        },
    },
}
SERVICES = {
    "ServiceHealth": "ServiceHealth",
    "ResourceHealth": "Resource Health",
    "Administrative": "Activity Log - Administrative",
    "Security": "Activity Log - Security",
}
LABELS = {
    "ServiceHealth": Label.PROVIDER_OUTAGE,
    "ResourceHealth": Label.CUSTOMER_INITIATED,
    "Administrative": Label.CUSTOMER_INITIATED,
    "Security": Label.CUSTOMER_SECURITY,
}


def entry(kind: str, resource: str) -> dict[str, Any]:
    return {
        "correlationId": "c",
        "eventDataId": "e",
        "eventSource": kind,
        "eventTimestamp": AT,
        "level": "Informational",
        "status": "Active",
        "submissionTimestamp": AT,
        **ENTRIES[kind],
        "resourceId": resource,
    }


def legacy(kind: str, resource: str | None = None) -> dict[str, Any]:
    place = resource or vm()
    said = {**entry(kind, place), "subscriptionId": place.split("/")[2]}
    return {
        "schemaId": "Microsoft.Insights/activityLogs",
        "data": {"status": "Activated", "context": {"activityLog": said}, "properties": {}},
    }


def common(kind: str, resource: str | None = None, rule: str = "rule-1") -> dict[str, Any]:
    place = resource or vm()
    context = {name: value for name, value in entry(kind, place).items() if name != "resourceId"}
    if kind == "ServiceHealth":
        context |= {"channels": 1, "eventSource": 2, "level": 3}
    essentials = {
        "alertId": f"/subscriptions/{place.split('/')[2]}/providers/Microsoft.AlertsManagement/alerts/1",
        "alertRule": rule,
        "severity": "Sev4",
        "signalType": "Activity Log",
        "monitorCondition": "Fired",
        "monitoringService": SERVICES[kind],
        "alertTargetIDs": [place],
        "firedDateTime": AT,
    }
    return {
        "schemaId": "azureMonitorCommonAlertSchema",
        "data": {"essentials": essentials, "alertContext": context},
    }


@pytest.mark.parametrize("kind", ENTRIES)
def test_both_schemas_of_a_kind_are_the_same_message_with_the_same_verdict(kind: str) -> None:
    (one, said), (other, again) = read(legacy(kind)), read(common(kind))
    assert said.label is again.label is LABELS[kind]
    assert said.rule == again.rule
    assert (one.id, one.subject) == (other.id, other.subject)
    assert one.account == other.account == SUBSCRIPTION
    assert not one.is_test
    assert not other.is_test


@pytest.mark.parametrize("kind", ["ResourceHealth", "Administrative", "Security"])
def test_what_the_test_button_sends_is_a_test_in_both_schemas(kind: str) -> None:
    """It names an invented machine of an invented subscription, and says nothing else of being a test."""
    machine = vm(INVENTED, "test-RG", "test-VM")
    for document in (legacy(kind, machine), common(kind, machine, "test-activityLogAlertRule")):
        signal, verdict = read(document)
        assert signal.is_test
        assert (verdict.label, verdict.rule) == (Label.INFORMATIONAL, "azure.test-notification")


def test_the_service_health_test_is_known_by_its_rule_its_title_or_its_mark() -> None:
    place = f"/subscriptions/{INVENTED}"
    assert read(common("ServiceHealth", place, "test-ServiceHealthAlertRule"))[0].is_test
    for properties in (
        {"title": "Test Action Group - Test Service Health Alert"},
        {"isSynthetic": "True"},
        {"IsSynthetic": "True"},
    ):
        document = legacy("ServiceHealth")
        document["data"]["context"]["activityLog"]["properties"] = {
            **ENTRIES["ServiceHealth"]["properties"],
            **properties,
        }
        assert read(document)[0].is_test


@pytest.mark.parametrize(
    ("resource", "rule"),
    [
        (vm(group="test-RG", name="test-VM"), "test-activityLogAlertRule"),  # our own group of that name
        (vm(), "test-ServiceHealthAlertRule"),
        (vm(INVENTED), "rule-1"),  # a sample whose ids were replaced
        (vm(name="subscriptions"), "Test"),
    ],
)
def test_a_real_alert_is_not_taken_for_a_test_for_its_names(resource: str, rule: str) -> None:
    assert not read(common("Security", resource, rule))[0].is_test


@pytest.mark.parametrize(
    "document",
    [
        {"schemaId": "AIP Budget Notification", "data": {"SubscriptionId": SUBSCRIPTION, "BudgetName": "b"}},
        {
            "schemaId": "azureMonitorCommonAlertSchema",
            "data": {
                "essentials": {"monitoringService": "CostAlerts", "severity": None, "alertRule": "b", "alertTargetIDs": [f"/subscriptions/{SUBSCRIPTION}"]},
                "alertContext": {"AlertCategory": "Budgets", "AlertData": {"Scope": "x"}},
            },
        },
    ],
)  # fmt: skip
def test_a_budget_is_informational_and_belongs_to_its_subscription(document: dict[str, Any]) -> None:
    signal, verdict = read(document)
    assert (verdict.label, verdict.opens_incident) == (Label.INFORMATIONAL, False)
    assert signal.account == SUBSCRIPTION


def test_a_metric_alert_shows_an_effect_and_no_cause() -> None:
    signal, verdict = read(
        {
            "schemaId": "AzureMonitorMetricAlert",
            "data": {
                "status": "Activated",
                "context": {"id": "i", "name": "cpu", "subscriptionId": SUBSCRIPTION},
            },
        }
    )
    assert (verdict.label, verdict.rule, verdict.opens_incident) == (Label.UNKNOWN, "azure.alert", True)
    assert (signal.account, signal.title) == (SUBSCRIPTION, "AzureMonitorMetricAlert: cpu: Activated")


@pytest.mark.parametrize(
    "document",
    [
        {"schemaId": "Something/new", "data": {"x": 1}},
        {"schemaId": "azureMonitorCommonAlertSchema", "data": {"essentials": {"monitoringService": "New Service"}, "alertContext": None}},
        {"schemaId": "azureMonitorCommonAlertSchema", "data": {"essentials": {"monitoringService": "Resource Health"}, "alertContext": {}}},
        {"schemaId": "Microsoft.Insights/activityLogs", "data": {"context": {"activityLog": {}}}},
        {"schemaId": "Microsoft.Insights/activityLogs"},
        {"hello": "world"},
        {},
    ],
)  # fmt: skip
def test_what_is_not_understood_is_an_incident_that_a_person_has_to_look_at(document: dict[str, Any]) -> None:
    """Kept and shown: it may be the one that matters."""
    sorting = IntakeHarness()
    sorting.arrives("azure.webhook:prod", json.dumps(document).encode())
    sorting.works()
    (incident,) = sorting.incidents()
    assert incident.verdict.label is Label.UNKNOWN
