"""The role in deploy/ is what the actions declare, and what they declare is what they call."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest

from tests.lab.arm import Arm, Call, StorageAccount, health_event
from tests.lab.arm.state import log_entry
from twokey.core.errors import Json
from twokey.core.runbooks import Target
from twokey.flow.intake.cursors import StoredCursors
from twokey.ports import Cloud
from twokey.providers.azure.facts import AzureFacts
from twokey.providers.azure.permissions import custom_role, permissions, queue_role, setup_role
from twokey.providers.azure.setup import Setup, Wanted
from twokey.providers.azure.sources import ActivityLog, ServiceHealthEvents
from twokey.testing.clocks import SettableClock
from twokey.testing.memory import MemoryStore

ROOT = Path(__file__).resolve().parents[3]
SUBSCRIPTION = "11111111-2222-3333-4444-555555555555"


# A list that is asked for with a POST, being sensitive: it changes nothing.
LIST = "Microsoft.ResourceHealth/events/listSecurityAdvisoryImpactedResources/action"


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("custom-role", custom_role()),
        ("custom-role-observer", custom_role(with_writes=False)),
        ("custom-role-queue", queue_role()),
        ("custom-role-setup", setup_role()),
    ],
)
def test_the_roles_in_deploy_are_made_from_the_code(name: str, role: dict[str, Json]) -> None:
    written = json.loads((ROOT / "deploy" / "azure" / f"{name}.json").read_text())
    assert written == role


def test_a_role_allows_no_keys_no_deletes_no_data_and_no_wildcards() -> None:
    for permission in permissions():
        assert "*" not in permission
        assert permission == LIST or not permission.lower().endswith(("/action", "/delete"))
    assert [p for p in permissions() if not p.endswith("/read")] == [
        LIST,
        "Microsoft.Storage/storageAccounts/write",
    ]
    assert [p for p in permissions(with_writes=False) if not p.endswith("/read")] == [LIST]


def test_data_may_be_taken_from_queues_only_and_by_a_role_of_its_own() -> None:
    assert custom_role()["DataActions"] == setup_role()["DataActions"] == queue_role()["Actions"] == []
    taken = queue_role()["DataActions"]
    assert isinstance(taken, list)
    assert all("/queueServices/queues/messages/" in str(permission) for permission in taken)


def test_a_role_is_for_named_subscriptions() -> None:
    role = custom_role(["/subscriptions/a"], with_writes=False)
    assert role["AssignableScopes"] == ["/subscriptions/a"]
    assert role["DataActions"] == []


def test_every_call_that_is_made_is_declared(
    arm: Arm, account: StorageAccount, azure: Cloud, target: Target, clock: SettableClock
) -> None:
    arm.state.availability[account.id] = [{"name": "current", "properties": {}}]
    arm.state.events[SUBSCRIPTION] = [health_event("T1")]
    given: dict[str, Json] = {
        "storage_account_id": account.id,
        "resource_id": account.id,
        "subscription_id": SUBSCRIPTION,
        "allow": False,
        "access": "Disabled",
        "tag": "x",
        "name": account.name,
        "since": (clock.now() - timedelta(hours=1)).isoformat(),
    }
    # A tag that does not count is the longest way: the log is asked who set it.
    account.tags["twokey:never-contain"] = ""
    entry = log_entry(account.id, "Microsoft.Resources/tags/write", clock.now())
    entry["properties"] = {"requestbody": '{"properties": {"tags": {"twokey:never-contain": "", "x": ""}}}'}
    arm.state.activity = [entry]
    account.tags["x"] = ""
    for action in azure.actions.values():
        arm.calls.clear()
        action.preview(target, given)
        action.capture(target, given)
        action.apply(target, given, "key")
        action.find(target, given, "key")
        assert {_needed(call) for call in arm.calls} == set(action.permissions), action.name
    for check in azure.checks.values():
        arm.calls.clear()
        check.holds(target, given)
        assert {_needed(call) for call in arm.calls} == set(check.permissions), check.name
    arm.calls.clear()
    facts = AzureFacts(arm.session(SUBSCRIPTION), clock)
    facts.reach(SUBSCRIPTION)
    facts.availability(account.id)
    facts.availability_history(account.id)
    facts.events_of_resource(account.id)
    facts.events_of_subscription(SUBSCRIPTION)
    facts.impacted_resources(SUBSCRIPTION, "T1")
    facts.operations_on(account.id)
    session, kept = arm.session(SUBSCRIPTION), StoredCursors(MemoryStore(clock), clock)
    arm.state.events[SUBSCRIPTION] += [health_event("S1", eventType="SecurityAdvisory")]
    arm.state.impacted["T1"] = [account.id]
    for of_tenant in (False, True):
        ServiceHealthEvents(session, SUBSCRIPTION, "", clock, kept, of_tenant=of_tenant).receive()
    ActivityLog(session, SUBSCRIPTION, "", clock, kept).receive()
    assert LIST in {_needed(call) for call in arm.calls}
    assert {_needed(call) for call in arm.calls} <= set(permissions())


def test_the_setup_calls_what_its_role_allows(arm: Arm) -> None:
    setup = Setup(arm.session(SUBSCRIPTION), SUBSCRIPTION, Wanted("rg-web", "https://x.example/azure/secret"))
    setup.apply()
    setup.test("servicehealth")
    allowed = setup_role()["Actions"]
    assert isinstance(allowed, list)
    assert {_alerting(call) for call in arm.calls} == {str(name).lower() for name in allowed}


def _alerting(call: Call) -> str:
    """Name what Azure asks for around action groups; sending a test has names of its own."""
    end = call.path.rpartition("/")[2].lower()
    if end == "createnotifications":
        return "microsoft.insights/createnotifications/write"
    if "/notificationstatus/" in call.path.lower():
        return "microsoft.insights/notificationstatus/read"
    kind = call.path.split("/")[-2].lower()
    return f"microsoft.insights/{kind}/{'read' if call.method == 'GET' else 'write'}"


def _needed(call: Call) -> str:
    """Name the operation that Azure asks for: the types of the path's last provider, and the verb."""
    verb = "read" if call.method == "GET" else "write"
    provider, _, rest = call.path.rpartition("/providers/")[2].partition("/")
    if "/providers/" not in call.path:
        return f"Microsoft.Resources/subscriptions/{verb}"
    parts = rest.split("/")
    if provider == "Microsoft.Insights":
        return f"{provider}/eventtypes/values/{verb}"
    if rest.endswith("/listSecurityAdvisoryImpactedResources"):
        return LIST
    if provider == "Microsoft.ResourceHealth":
        return {
            "availabilityStatuses": f"{provider}/AvailabilityStatuses/{verb}",
            "availabilityStatuses/current": f"{provider}/AvailabilityStatuses/current/{verb}",
            "events": f"{provider}/events/{verb}",
        }.get(rest, f"{provider}/events/impactedResources/{verb}")
    return f"{provider}/{'/'.join(parts[0::2])}/{verb}"
