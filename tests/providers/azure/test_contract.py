"""Every Azure action that writes keeps to the contract of all actions."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from tests.lab.arm import Arm, Call, StorageAccount
from twokey.core.runbooks import Target
from twokey.ports import Cloud
from twokey.providers.azure.permissions import permissions
from twokey.testing.contracts.actions import ActionContract, Scene


def needed(call: Call) -> str:
    """Name the operation that Azure asks for: the resource types of the path, and the verb."""
    provider, *rest = call.path.rpartition("/providers/")[2].split("/")
    return "/".join([provider, *rest[0::2], "read" if call.method == "GET" else "write"])


class TestSetPublicAccess(ActionContract):
    @pytest.fixture
    def scene(self, arm: Arm, account: StorageAccount, azure: Cloud, target: Target) -> Scene:
        action = azure.actions["azure.storage.set_public_access"]
        given = {"storage_account_id": account.id}
        return Scene(
            action=action,
            target=target,
            inputs={**given, "allow": False},
            world=lambda: [asdict(known) for known in arm.state.accounts],
            calls=lambda: [needed(call) for call in arm.calls],
            undo=action,
            undo_inputs=lambda _outputs, prior: {**given, "allow": prior["allow_blob_public_access"]},
        )


class TestSetPublicNetworkAccess(ActionContract):
    @pytest.fixture
    def scene(self, arm: Arm, account: StorageAccount, azure: Cloud, target: Target) -> Scene:
        account.public_network_access = "SecuredByPerimeter"
        action = azure.actions["azure.storage.set_public_network_access"]
        given = {"storage_account_id": account.id}
        return Scene(
            action=action,
            target=target,
            inputs={**given, "access": "Disabled"},
            world=lambda: [asdict(known) for known in arm.state.accounts],
            calls=lambda: [needed(call) for call in arm.calls],
            undo=action,
            undo_inputs=lambda _outputs, prior: {**given, "access": prior["public_network_access"]},
        )


def test_every_action_that_writes_has_a_contract_here(azure: Cloud) -> None:
    writing = {name for name, action in azure.actions.items() if action.effect.is_write}
    assert writing == {"azure.storage.set_public_access", "azure.storage.set_public_network_access"}
    assert all(set(action.permissions) <= set(permissions()) for action in azure.actions.values())
