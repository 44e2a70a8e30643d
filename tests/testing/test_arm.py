"""The fake Resource Manager is strict where Azure is, and spoils what it is told to."""

from __future__ import annotations

import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from azure.core.exceptions import ServiceResponseError

from tests.lab.arm import Arm, ArmState, Container, Fault, StorageAccount
from twokey.core.errors import NotFound, Unavailable
from twokey.providers.azure import storage
from twokey.providers.azure.identifiers import storage_account_id

SUBSCRIPTION = "11111111-2222-3333-4444-555555555555"


@pytest.fixture
def arm() -> Iterator[Arm]:
    state = ArmState(subscriptions={SUBSCRIPTION: "Enabled"}, page_size=2)
    state.accounts = [
        StorageAccount(SUBSCRIPTION, "rg", f"account{n}", containers=[Container("a"), Container("b")])
        for n in range(5)
    ]
    with Arm(state) as running:
        yield running


def ask(arm: Arm, path: str, token: str = "fake-arm-token") -> int:
    request = urllib.request.Request(arm.base_url + path, headers={"Authorization": f"Bearer {token}"})
    context = ssl.create_default_context(cafile=arm.ca_bundle)
    try:
        with urllib.request.urlopen(request, context=context, timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_a_request_needs_the_token_an_api_version_and_a_known_path(arm: Arm) -> None:
    path = f"/subscriptions/{SUBSCRIPTION}"
    assert ask(arm, f"{path}?api-version=2022-12-01") == 200
    assert ask(arm, f"{path}?api-version=2022-12-01", token="other") == 401
    assert ask(arm, path) == 400
    assert ask(arm, f"{path}/providers/Microsoft.Nothing/x?api-version=2022-12-01") == 404
    other = "22222222-2222-3333-4444-555555555555"
    assert ask(arm, f"/subscriptions/{other}?api-version=2022-12-01") == 404


def test_lists_come_in_pages_that_the_sdk_follows(arm: Arm) -> None:
    client = arm.session().storage(SUBSCRIPTION)
    assert [account.name for account in client.storage_accounts.list()] == [f"account{n}" for n in range(5)]
    assert len(arm.calls) == 3


def test_a_patch_changes_what_it_names_and_leaves_the_rest(arm: Arm) -> None:
    account = arm.state.accounts[0]
    account.tags = {"owner": "web"}
    client = arm.session().storage(SUBSCRIPTION)
    client.storage_accounts.update("rg", "account0", {"properties": {"publicNetworkAccess": "Disabled"}})
    assert (account.public_network_access, account.allow_blob_public_access) == ("Disabled", True)
    assert account.tags == {"owner": "web"}
    assert [call.method for call in arm.writes] == ["PATCH"]


def test_a_setting_that_was_never_made_is_left_out(arm: Arm) -> None:
    arm.state.accounts[0].allow_blob_public_access = None
    shown = arm.state.accounts[0].shown()
    assert isinstance(shown["properties"], dict)
    assert "allowBlobPublicAccess" not in shown["properties"]


@pytest.mark.parametrize("after_effect", [True, False])
def test_a_cut_comes_before_or_after_the_effect_as_ordered(arm: Arm, after_effect: bool) -> None:
    arm.order(Fault(method="PATCH", cut=True, after_effect=after_effect))
    client = arm.session().storage(SUBSCRIPTION)
    with pytest.raises(ServiceResponseError):
        client.storage_accounts.update("rg", "account0", {"properties": {"allowBlobPublicAccess": False}})
    assert arm.state.accounts[0].allow_blob_public_access is not after_effect


def test_a_fault_is_used_up_and_hits_only_what_it_is_for(arm: Arm) -> None:
    arm.order(Fault(path="account1$", status=503, times=3))
    session = arm.session()
    assert storage.look(session, storage_account_id(arm.state.accounts[0].id)).at.name == "account0"
    with pytest.raises(Unavailable, match=r"azure\.server_error"):
        storage.look(session, storage_account_id(arm.state.accounts[1].id))
    assert storage.look(session, storage_account_id(arm.state.accounts[1].id)).at.name == "account1"


def test_an_account_that_is_not_there_is_not_found(arm: Arm) -> None:
    missing = storage_account_id(arm.state.accounts[0].id.replace("account0", "nothing"))
    with pytest.raises(NotFound, match=r"azure\.not_found"):
        storage.look(arm.session(), missing)
