"""Azure notifications become signals with the documented identities, whatever schema they come in."""

from __future__ import annotations

import base64
import json
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from twokey.core.errors import Invalid
from twokey.core.signals import RawNotification, Signal, SignalStatus, raw_id
from twokey.providers.azure.normalise import AzureNormaliser, places

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures" / "azure"
NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
SUBSCRIPTION = "52c65f65-0518-4d37-9719-7dbbfc68c57b"


def raw(body: bytes) -> RawNotification:
    return RawNotification(raw_id("azure.webhook", body), "azure.webhook", body, NOW)


def signals(document: Any) -> tuple[Signal, ...]:
    return AzureNormaliser().normalise(raw(json.dumps(document).encode()))


def fixture(name: str) -> Any:
    return json.loads((FIXTURES / f"{name}.json").read_text())


def only(name: str) -> Signal:
    (signal,) = signals(fixture(name))
    return signal


@pytest.mark.parametrize("schema", ["legacy", "common"])
def test_service_health_is_the_same_in_both_schemas(schema: str) -> None:
    signal = only(f"service-health-maintenance-{schema}")
    assert (signal.family, signal.type, signal.service) == ("servicehealth", "Maintenance", "SQL Database")
    assert (signal.region, signal.account, signal.tracking_id) == ("japaneast", SUBSCRIPTION, "VVL0-9D8")
    assert signal.subject == "servicehealth|vvl0-9d8"
    assert signal.started_at == datetime(2026, 12, 4, 16, 0, tzinfo=UTC)
    assert signal.facts["services"] == ["SQL Database"]
    assert not signal.is_test


def test_the_two_schemas_of_one_communication_are_one_message() -> None:
    legacy, common = only("service-health-incident-legacy"), only("service-health-incident-common")
    assert (legacy.id, legacy.subject) == (common.id, common.subject)


def test_a_stage_moves_the_same_matter_and_resolves_it() -> None:
    active, resolved = only("service-health-incident-legacy"), only("service-health-incident-resolved-legacy")
    assert active.subject == resolved.subject
    assert active.id != resolved.id
    assert (active.status, resolved.status) == (SignalStatus.OPEN, SignalStatus.RESOLVED)


def test_two_subscriptions_are_told_of_one_matter() -> None:
    document = fixture("service-health-incident-legacy")
    first = signals(document)[0]
    document["data"]["context"]["activityLog"]["subscriptionId"] = "11111111-0000-0000-0000-000000000000"
    second = signals(document)[0]
    assert first.subject == second.subject
    assert first.id != second.id


@pytest.mark.parametrize("name", ["test-notification-legacy", "test-notification-common"])
def test_the_test_button_is_known(name: str) -> None:
    assert only(name).is_test


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("isSynthetic", "True", True),
        ("IsSynthetic", "true", True),
        ("isSynthetic", True, True),
        ("isSynthetic", "False", False),
        ("title", "Test Action Group - Test", True),
    ],
)
def test_a_test_is_known_by_each_of_its_markers(field: str, value: object, expected: bool) -> None:
    document = fixture("service-health-incident-legacy")
    document["data"]["context"]["activityLog"]["properties"][field] = value
    if field == "title":
        document["data"]["context"]["activityLog"]["properties"].pop("defaultLanguageTitle")
    assert signals(document)[0].is_test is expected


@pytest.mark.parametrize("schema", ["legacy", "common"])
def test_resource_health_names_cause_states_and_resource(schema: str) -> None:
    signal = only(f"resource-health-{schema}")
    assert (signal.family, signal.service, signal.account) == (
        "resourcehealth",
        "Virtual Machines",
        SUBSCRIPTION,
    )
    assert signal.facts["cause"] == "PlatformInitiated"
    assert (signal.facts["currentHealthStatus"], signal.facts["previousHealthStatus"]) == (
        "Unavailable",
        "Available",
    )
    assert signal.resources[0].id.lower().endswith("/virtualmachines/web-1")


def test_the_other_names_of_the_same_fields_are_read() -> None:
    entry = {
        "category": {"value": "ResourceHealth", "localizedValue": "Resource Health"},
        "operationName": {"value": "Microsoft.Resourcehealth/healthevent/Activated/action"},
        "eventDataId": "e-1",
        "correlationId": "c-1",
        "resourceId": f"/SUBSCRIPTIONS/{SUBSCRIPTION.upper()}/resourceGroups/g/providers/Microsoft.Compute/virtualMachines/a",
        "properties": {
            "healthStatus": "unavailable",
            "healthEventCause": "Platform Initiated",
            "healthEventCategory": "Not Applicaple",
        },
    }
    (signal,) = signals(entry)
    assert signal.account == SUBSCRIPTION
    assert signal.facts["cause"] == "PlatformInitiated"
    assert signal.facts["healthEventCategory"] == "NotApplicable"
    assert signal.facts["currentHealthStatus"] == "Unavailable"


def test_a_resolved_health_event_is_the_same_matter_although_cases_differ() -> None:
    active = fixture("resource-health-legacy")
    entry = active["data"]["context"]["activityLog"]
    before = signals(active)[0]
    entry["resourceId"] = entry["resourceId"].upper()
    assert signals(active)[0].subject == before.subject
    assert only("resource-health-resolved-legacy").subject == before.subject
    assert only("resource-health-resolved-legacy").status is SignalStatus.RESOLVED


def test_an_update_without_any_status_is_an_update() -> None:
    signal = only("resource-health-updated-without-status-common")
    assert signal.status is SignalStatus.UPDATED
    assert "currentHealthStatus" not in signal.facts


def test_an_annotation_joins_the_change_that_it_explains() -> None:
    change, annotation = only("event-grid-availability"), only("event-grid-annotation")
    assert change.subject == annotation.subject
    assert change.id != annotation.id
    assert "cause" not in change.facts
    assert annotation.facts["cause"] == "PlatformInitiated"


def test_a_cloud_event_is_the_same_as_an_event_grid_event() -> None:
    (event,) = fixture("event-grid-annotation")
    cloud = {
        "id": event["id"],
        "source": event["topic"],
        "subject": event["subject"],
        "data": event["data"],
        "type": event["eventType"],
        "specversion": "1.0",
        "time": event["eventTime"],
    }
    assert signals(cloud)[0].id == only("event-grid-annotation").id


def test_base64_from_a_storage_queue_is_read() -> None:
    body = base64.b64encode((FIXTURES / "event-grid-annotation.json").read_bytes())
    (signal,) = AzureNormaliser().normalise(raw(body))
    assert signal.id == only("event-grid-annotation").id


def test_the_api_form_is_the_same_matter_as_the_webhook() -> None:
    event: dict[str, Any] = {
        "type": "Microsoft.ResourceHealth/events",
        "id": f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.ResourceHealth/events/0NIH-U2O",
        "name": "0NIH-U2O",
        "properties": {
            "eventType": "ServiceIssue",
            "status": "Resolved",
            "title": "x",
            "impact": [
                {"impactedService": "Virtual Machines", "impactedRegions": [{"impactedRegion": "Japan East"}]}
            ],
        },
    }
    for document in (event, {"value": [event]}, {**event, **event["properties"]}):
        (signal,) = signals(document)
        assert signal.subject == only("service-health-incident-legacy").subject
        assert (signal.region, signal.status) == ("japaneast", SignalStatus.RESOLVED)


def test_log_records_are_read_with_their_properties_one_level_deeper() -> None:
    properties = fixture("service-health-incident-legacy")["data"]["context"]["activityLog"]["properties"]
    record = {
        "time": "2026-11-20T03:10:25Z",
        "resourceId": f"/SUBSCRIPTIONS/{SUBSCRIPTION}",
        "operationName": "Microsoft.ServiceHealth/incident/action",
        "category": "ServiceHealth",
        "properties": {"eventProperties": properties},
    }
    (signal,) = signals({"records": [record]})
    assert (signal.tracking_id, signal.account) == ("0NIH-U2O", SUBSCRIPTION)


def test_a_defender_alert_is_a_finding_in_either_spelling() -> None:
    resource = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/g/providers/Microsoft.Compute/virtualMachines/a"
    exported = {
        "SystemAlertId": "2342409243234234_F2BFED55",
        "AlertType": "VM_SuspiciousActivity",
        "AlertDisplayName": "Suspicious activity",
        "Severity": "High",
        "Status": "New",
        "CompromisedEntity": "a",
        "ResourceIdentifiers": [{"AzureResourceId": resource, "Type": "AzureResource"}],
        "StartTimeUtc": "2026-11-20T02:00:00Z",
    }
    listed = {
        "type": "Microsoft.Security/Locations/alerts",
        "name": exported["SystemAlertId"],
        "properties": {name[0].lower() + name[1:]: value for name, value in exported.items()},
    }
    for document in (exported, {"value": [listed]}):
        (signal,) = signals(document)
        assert (signal.kind.value, signal.severity, signal.account) == ("finding", 8.0, SUBSCRIPTION)
        assert signal.facts["category"] == "Security"


def test_a_log_of_another_category_is_no_operation_of_ours() -> None:
    (signal,) = signals(
        {"records": [{"category": "SignInLogs", "operationName": "Sign-in activity", "time": "x"}]}
    )
    assert signal.facts["category"] == "SignInLogs"


def test_what_nobody_knows_becomes_a_signal_of_no_known_family() -> None:
    (signal,) = signals({"schemaId": "AzureMonitorMetricAlert", "data": {"status": "Activated"}})
    assert (signal.family, signal.type) == ("other", "AzureMonitorMetricAlert")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("West US", "westus"),
        ("us-west", "westus"),
        ("westus", "westus"),
        ("europe-west", "westeurope"),
        ("Australia East", "australiaeast"),
        ("UK South", "uksouth"),
        ("Global", "global"),
        ("", ""),
    ],
)
def test_a_region_has_one_spelling(name: str, expected: str) -> None:
    assert places.region(name) == expected


def test_a_huge_communication_is_cut_and_its_tags_are_dropped() -> None:
    document = fixture("service-health-incident-legacy")
    properties = document["data"]["context"]["activityLog"]["properties"]
    properties["defaultLanguageContent"] = "<p>Hello</p><p>" + "<b" * 90_000
    (signal,) = signals(document)
    assert signal.description.startswith("Hello")
    assert len(signal.description) <= 4000


NAMES = sorted(path.stem for path in FIXTURES.glob("*.json"))
JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.text(max_size=8),
    st.lists(st.one_of(st.none(), st.integers(), st.text(max_size=3)), max_size=3),
    st.dictionaries(st.text(max_size=3), st.one_of(st.none(), st.text(max_size=3)), max_size=2),
)


def everywhere(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    if isinstance(value, dict):
        found += [place for name, item in value.items() for place in everywhere(item, (*path, name))]
    elif isinstance(value, list):
        found += [place for index, item in enumerate(value) for place in everywhere(item, (*path, index))]
    return found


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.data())
def test_any_field_may_be_missing_or_of_another_type(data: st.DataObject) -> None:
    document = fixture(data.draw(st.sampled_from(NAMES)))
    for _ in range(data.draw(st.integers(1, 4))):
        paths = everywhere(document)
        if not paths:
            break
        path = data.draw(st.sampled_from(paths))
        inside = document
        for part in path[:-1]:
            inside = inside[part]
        if data.draw(st.booleans()):
            del inside[path[-1]]
        else:
            inside[path[-1]] = data.draw(JUNK)
    fault = None
    found: tuple[Signal, ...] = ()
    try:
        found = signals(document)
    except Invalid as refused:
        fault = refused.message
    assert fault is None or (fault.code, fault.params["where"][:1]) == ("signal.unreadable", "$")
    for signal in found:
        assert signal.id
        assert signal.subject
        assert len(signal.title) <= 300
        json.dumps(dict(signal.facts))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_invalid(body: bytes) -> None:
    with suppress(Invalid):
        assert isinstance(AzureNormaliser().normalise(raw(body)), tuple)
