"""The role in deploy/ is what the actions declare, and what they declare is what they call."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from twokey.core.errors import Json
from twokey.core.runbooks import Target
from twokey.ports import Cloud
from twokey.providers.azure.facts import AzureFacts
from twokey.providers.azure.permissions import custom_role, permissions
from twokey.testing.arm import Arm, Call, StorageAccount, health_event
from twokey.testing.clocks import SettableClock

ROOT = Path(__file__).resolve().parents[3]
SUBSCRIPTION = "11111111-2222-3333-4444-555555555555"


@pytest.mark.parametrize(("name", "with_writes"), [("custom-role", True), ("custom-role-observer", False)])
def test_the_roles_in_deploy_are_made_from_the_actions(name: str, with_writes: bool) -> None:
    written = json.loads((ROOT / "deploy" / "azure" / f"{name}.json").read_text())
    assert written == custom_role(with_writes=with_writes)


def test_a_role_allows_no_keys_no_deletes_no_data_and_no_wildcards() -> None:
    for permission in permissions():
        assert "*" not in permission
        assert not permission.lower().endswith(("/action", "/delete"))
    assert [p for p in permissions() if not p.endswith("/read")] == [
        "Microsoft.Storage/storageAccounts/write"
    ]
    assert all(p.endswith("/read") for p in permissions(with_writes=False))


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
    }
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
    assert {_needed(call) for call in arm.calls} <= set(permissions())


def _needed(call: Call) -> str:
    """Name the operation that Azure asks for: the types of the path's last provider, and the verb."""
    verb = "read" if call.method == "GET" else "write"
    provider, _, rest = call.path.rpartition("/providers/")[2].partition("/")
    if "/providers/" not in call.path:
        return f"Microsoft.Resources/subscriptions/{verb}"
    parts = rest.split("/")
    if provider == "Microsoft.Insights":
        return f"{provider}/eventtypes/values/{verb}"
    if provider == "Microsoft.ResourceHealth":
        return {
            "availabilityStatuses": f"{provider}/AvailabilityStatuses/{verb}",
            "availabilityStatuses/current": f"{provider}/AvailabilityStatuses/current/{verb}",
            "events": f"{provider}/events/{verb}",
        }.get(rest, f"{provider}/events/impactedResources/{verb}")
    return f"{provider}/{'/'.join(parts[0::2])}/{verb}"
