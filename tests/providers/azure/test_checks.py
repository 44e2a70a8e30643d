"""Guards and verifications, against the fake Resource Manager."""

from __future__ import annotations

import pytest

from tests.lab.arm import Arm, StorageAccount
from twokey.core.errors import Invalid, Json, Refused
from twokey.core.runbooks import Target
from twokey.ports import Cloud

SUBSCRIPTION = "11111111-2222-3333-4444-555555555555"
OTHER = "99999999-2222-3333-4444-555555555555"


@pytest.mark.parametrize(
    ("setting", "wanted", "holds"),
    [
        (True, True, True),
        (False, False, True),
        (True, False, False),
        (False, True, False),
        (None, False, False),  # never set is not a proof that it is blocked
        (None, True, False),
    ],
)
def test_public_access_is_equal_only_when_it_is_explicit(
    account: StorageAccount, azure: Cloud, target: Target, setting: bool | None, wanted: bool, holds: bool
) -> None:
    account.allow_blob_public_access = setting
    check = azure.checks["azure.storage.public_access_equals"]
    result = check.holds(target, {"storage_account_id": account.id, "allow": wanted})
    assert result.holds is holds
    assert result.seen == {"allow_blob_public_access": setting}
    assert (result.reason is None) is holds


def test_public_access_must_be_asked_with_yes_or_no(
    account: StorageAccount, azure: Cloud, target: Target
) -> None:
    check = azure.checks["azure.storage.public_access_equals"]
    with pytest.raises(Invalid, match=r"azure\.not_yes_or_no"):
        check.holds(target, {"storage_account_id": account.id, "allow": "false"})


def test_network_access_that_was_never_set_is_enabled(
    account: StorageAccount, azure: Cloud, target: Target
) -> None:
    check = azure.checks["azure.storage.public_network_access_equals"]
    given: dict[str, Json] = {"storage_account_id": account.id, "access": "Enabled"}
    assert check.holds(target, given).holds
    assert not check.holds(target, {**given, "access": "Disabled"}).holds


def test_an_account_of_the_incidents_subscription_is_in_it(
    account: StorageAccount, azure: Cloud, target: Target
) -> None:
    check = azure.checks["azure.storage.account_in_subscription"]
    given: dict[str, Json] = {"storage_account_id": account.id, "subscription_id": SUBSCRIPTION.upper()}
    assert check.holds(target, given).holds


def test_an_account_of_another_subscription_is_not_even_asked_for(
    arm: Arm, account: StorageAccount, azure: Cloud, target: Target
) -> None:
    check = azure.checks["azure.storage.account_in_subscription"]
    result = check.holds(target, {"storage_account_id": account.id, "subscription_id": OTHER})
    assert not result.holds
    assert result.reason is not None
    assert result.reason.code == "azure.other_subscription"
    elsewhere = account.id.replace(SUBSCRIPTION, OTHER)
    assert not check.holds(target, {"storage_account_id": elsewhere, "subscription_id": SUBSCRIPTION}).holds
    assert not check.holds(target, {"storage_account_id": elsewhere, "subscription_id": OTHER}).holds
    assert arm.calls == []


def test_a_tag_is_found_in_any_letter_case(account: StorageAccount, azure: Cloud, target: Target) -> None:
    check = azure.checks["azure.resource.has_no_tag"]
    given: dict[str, Json] = {"resource_id": account.id, "tag": "twokey:never-contain"}
    assert check.holds(target, given).holds
    account.tags["TWOKEY:NEVER-CONTAIN"] = "yes"
    result = check.holds(target, given)
    assert not result.holds
    assert result.seen["is_there"] is True


def test_the_name_that_is_typed_must_be_the_name_in_the_id(
    account: StorageAccount, azure: Cloud, target: Target
) -> None:
    check = azure.checks["azure.storage.account_is_named"]
    given: dict[str, Json] = {"storage_account_id": account.id, "name": "publicassets"}
    assert check.holds(target, given).holds
    result = check.holds(target, {**given, "name": "privateassets"})
    assert not result.holds
    with pytest.raises(Refused, match=r"azure\.other_subscription"):
        check.holds(Target(OTHER), given)
