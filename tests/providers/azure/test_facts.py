"""Evidence from resource health, service health and the activity log, through the real SDKs."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.lab.arm import Arm, Fault, StorageAccount, health_event, log_entry
from tests.lab.arm.faults import access_denied, throttled
from twokey.core.errors import Invalid, Unavailable
from twokey.providers.azure.facts import MAX_ITEMS, AzureFacts
from twokey.testing.clocks import SettableClock

SUBSCRIPTION = "11111111-2222-3333-4444-555555555555"
OTHER = "99999999-2222-3333-4444-555555555555"


@pytest.fixture
def facts(arm: Arm, clock: SettableClock) -> AzureFacts:
    return AzureFacts(arm.session(SUBSCRIPTION), clock)


def test_availability_carries_the_cause_and_the_service_event(
    arm: Arm, account: StorageAccount, facts: AzureFacts
) -> None:
    """After the published example AvailabilityStatuses_List."""
    arm.state.availability[account.id] = [
        {
            "id": f"{account.id}/providers/Microsoft.ResourceHealth/availabilityStatuses/current",
            "name": "current",
            "location": "eastus",
            "properties": {
                "availabilityState": "Unavailable",
                "summary": "We're sorry, we couldn't automatically recover it",
                "reasonType": "Unplanned",
                "context": "Platform Initiated",
                "category": "Unplanned",
                "healthEventCause": "PlatformInitiated",
                "occuredTime": "2016-03-29T09:12:00Z",
                "reportedTime": "2016-05-04T14:11:29.7598931Z",
                "serviceImpactingEvents": [{"correlationId": "b56d0180", "status": {"value": "Resolved"}}],
            },
        }
    ]
    found = facts.availability(account.id)
    assert found is not None
    assert (found.state, found.context, found.cause) == (
        "Unavailable",
        "Platform Initiated",
        "PlatformInitiated",
    )
    assert found.event_ids == ("b56d0180",)
    assert found.occurred_at is not None
    assert found.occurred_at.isoformat() == "2016-03-29T09:12:00+00:00"
    assert facts.availability_history(account.id) == [found]


def test_a_kind_of_resource_without_health_has_none(account: StorageAccount, facts: AzureFacts) -> None:
    assert facts.availability(account.id) is None


def test_a_state_that_is_missing_is_unknown_and_not_an_outage(
    arm: Arm, account: StorageAccount, facts: AzureFacts
) -> None:
    arm.state.availability[account.id] = [{"name": "current", "properties": {"summary": "event record"}}]
    found = facts.availability(account.id)
    assert found is not None
    assert found.state == "Unknown"


def test_service_events_come_over_all_pages_newest_first(arm: Arm, facts: AzureFacts) -> None:
    arm.state.page_size = 2
    arm.state.events[SUBSCRIPTION] = [
        health_event(f"T{day}", lastUpdateTime=f"2026-05-{day:02}T00:00:00Z", eventType="PlannedMaintenance")
        for day in (3, 1, 5, 2, 4)
    ]
    found = facts.events_of_subscription(SUBSCRIPTION)
    assert [event.tracking_id for event in found] == ["T5", "T4", "T3", "T2", "T1"]
    assert found[0].type == "PlannedMaintenance"
    assert found[0].services == ("Virtual Machines",)
    assert found[0].regions == ("West US",)
    assert [call.query.get("queryStartTime") for call in arm.calls] == ["05/11/2026"] * 3


def test_an_event_that_azure_took_back_says_so(arm: Arm, account: StorageAccount, facts: AzureFacts) -> None:
    arm.state.resource_events[account.id] = [
        health_event("BC_1-FXZ", eventTags=["Action Recommended", "False Positive"])
    ]
    (event,) = facts.events_of_resource(account.id)
    assert event.is_retracted


def test_an_event_with_almost_nothing_in_it_is_still_read(arm: Arm, facts: AzureFacts) -> None:
    arm.state.events[SUBSCRIPTION] = [
        {"name": "X1", "properties": {"eventType": "SomethingNew", "impact": None}},
        {"name": "X2", "properties": {"impact": [{"impactedService": "S", "impactedRegions": None}]}},
    ]
    found = {event.tracking_id: event for event in facts.events_of_subscription(SUBSCRIPTION)}
    assert found["X1"].type == "SomethingNew"
    assert found["X2"].services == ("S",)


def test_impacted_resources_are_listed(arm: Arm, account: StorageAccount, facts: AzureFacts) -> None:
    arm.state.page_size = 1
    arm.state.impacted["BC_1-FXZ"] = [account.id, account.id + "2"]
    assert facts.impacted_resources(SUBSCRIPTION, "BC_1-FXZ") == [account.id, account.id + "2"]


def test_who_did_what_in_the_last_day(
    arm: Arm, account: StorageAccount, facts: AzureFacts, clock: SettableClock
) -> None:
    arm.state.page_size = 1
    write = "Microsoft.Storage/storageAccounts/write"
    arm.state.activity = [
        log_entry(
            account.id, write, clock.now() - timedelta(hours=hours), caller=f"person{hours}@example.com"
        )
        for hours in (3, 1, 30)
    ] + [log_entry(account.id + "x", write, clock.now() - timedelta(hours=1))]
    found = facts.operations_on(account.id)
    assert [(op.caller, op.operation, op.status, op.ip) for op in found] == [
        ("person1@example.com", write, "Succeeded", "192.0.2.35"),
        ("person3@example.com", write, "Succeeded", "192.0.2.35"),
    ]


@pytest.mark.parametrize(
    "resource",
    ["x' or '1' eq '1", "/subscriptions/x", "", "/subscriptions/11111111-2222-3333-4444-555555555555"],
)
def test_text_that_is_not_a_resource_id_never_gets_into_a_filter(
    arm: Arm, facts: AzureFacts, resource: str
) -> None:
    for ask in (
        facts.operations_on,
        facts.availability,
        facts.availability_history,
        facts.events_of_resource,
    ):
        with pytest.raises(Invalid, match=r"azure\.not_a_resource_id"):
            ask(resource)
    quoted = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg/providers/A.B/c/d' or 'x"
    with pytest.raises(Invalid, match=r"azure\.not_a_resource_id"):
        facts.operations_on(quoted)
    assert arm.calls == []


def test_a_list_that_is_shown_ends_somewhere(arm: Arm, facts: AzureFacts) -> None:
    arm.state.events[SUBSCRIPTION] = [health_event(f"T{number}") for number in range(MAX_ITEMS + 100)]
    assert len(facts.events_of_subscription(SUBSCRIPTION)) == MAX_ITEMS


def test_throttling_in_the_middle_of_a_list_is_waited_out_or_said(
    arm: Arm, account: StorageAccount, facts: AzureFacts
) -> None:
    arm.state.page_size = 1
    arm.state.events[SUBSCRIPTION] = [health_event("T1"), health_event("T2")]
    arm.order(throttled("1"))
    assert len(facts.events_of_subscription(SUBSCRIPTION)) == 2
    arm.order(throttled("120", times=9))
    with pytest.raises(Unavailable, match=r"azure\.throttled"):
        facts.events_of_subscription(SUBSCRIPTION)


def test_a_subscription_in_reach_has_no_problem(arm: Arm, facts: AzureFacts) -> None:
    assert facts.reach(SUBSCRIPTION).is_reached


def test_what_keeps_a_subscription_out_of_reach_is_named(arm: Arm, facts: AzureFacts) -> None:
    def problem(subscription: str = SUBSCRIPTION) -> str:
        found = facts.reach(subscription).problem
        return found.code if found else ""

    assert problem(OTHER) == "azure.subscription_not_configured"
    arm.order(access_denied("Microsoft.Resources/subscriptions/read"))
    assert problem() == "azure.access_denied"
    arm.order(Fault(status=404, code="SubscriptionNotFound"))
    assert problem() == "azure.not_found"
    arm.state.subscriptions[SUBSCRIPTION] = "Disabled"
    assert problem() == "azure.subscription_not_enabled"
    arm.state.tenant = "00000000-0000-0000-0000-0000000000ff"
    assert problem() == "azure.other_tenant"
