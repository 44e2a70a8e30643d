"""S27 on Azure: whose tag keeps a storage account out of containments, and what the settings list."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from tests.lab.arm import Arm, StorageAccount, log_entry
from tests.lab.arm.faults import access_denied
from twokey.core.errors import Json, Refused
from twokey.core.runbooks import Target
from twokey.ports import Action, Cloud
from twokey.providers.azure import provider
from twokey.providers.azure.settings import AzureSettings
from twokey.testing.clocks import SettableClock

TAG = "twokey:never-contain"
TAGS = "Microsoft.Resources/tags/write"


@pytest.fixture
def block(azure: Cloud) -> Action:
    return azure.actions["azure.storage.set_public_access"]


@pytest.fixture
def began(clock: SettableClock) -> datetime:
    return clock.now() - timedelta(hours=3)


def given(account: StorageAccount, began: datetime) -> dict[str, Json]:
    return {"storage_account_id": account.id, "allow": False, "since": began.isoformat()}


def written(
    arm: Arm,
    account: StorageAccount,
    at: datetime,
    *,
    status: str = "Succeeded",
    body: str = "",
    by: str = "mallory",
) -> None:
    """Put a request that set the tag into the activity log."""
    entry = log_entry(account.id, TAGS, at, caller=by, status=status, correlation_id=f"{at}{status}")
    entry["properties"] = {"requestbody": body or '{"properties": {"tags": {"Twokey:Never-Contain": ""}}}'}
    arm.state.activity.insert(0, entry)


def test_a_tag_of_after_the_beginning_stops_nothing_and_is_shown_with_who_set_it(
    arm: Arm, account: StorageAccount, block: Action, target: Target, began: datetime
) -> None:
    plain = block.preview(target, given(account, began))
    account.tags["Twokey:Never-Contain"] = ""
    written(arm, account, began + timedelta(minutes=5))
    preview = block.preview(target, given(account, began))
    assert preview.refusal is None
    assert preview.observed == plain.observed
    (note,) = [note for note in preview.warnings if note.code == "azure.tag_came_after"]
    assert note.params["by"] == "mallory"
    block.apply(target, given(account, began), "key")
    assert account.allow_blob_public_access is False


def test_the_guard_sees_the_same_before_and_after_the_tag(
    arm: Arm, account: StorageAccount, azure: Cloud, target: Target, began: datetime
) -> None:
    check = azure.checks["azure.resource.has_no_tag"]
    asked: dict[str, Json] = {"resource_id": account.id, "tag": TAG, "since": began.isoformat()}
    before = check.holds(target, asked)
    account.tags[TAG] = ""
    written(arm, account, began + timedelta(minutes=5))
    after = check.holds(target, asked)
    assert (after.holds, after.seen) == (before.holds, before.seen)
    assert [note.code for note in after.warnings] == ["azure.tag_came_after"]


def test_a_tag_of_before_keeps_out_in_preview_and_in_apply_though_it_is_set_again(
    arm: Arm, account: StorageAccount, block: Action, target: Target, began: datetime
) -> None:
    account.tags[TAG] = ""
    written(arm, account, began - timedelta(days=9), by="platform")
    written(arm, account, began + timedelta(minutes=5))
    refusal = block.preview(target, given(account, began)).refusal
    assert refusal is not None
    assert (refusal.code, refusal.params["by"]) == ("azure.tag_was_before", "platform")
    with pytest.raises(Refused, match=r"azure\.tag_was_before"):
        block.apply(target, given(account, began), "key")
    assert arm.writes == []


@pytest.mark.parametrize("case", ["nothing", "failed", "another tag", "no request", "denied"])
def test_a_tag_that_nobody_can_date_keeps_out(
    case: str, arm: Arm, account: StorageAccount, block: Action, target: Target, began: datetime
) -> None:
    account.tags[TAG] = ""
    at = began + timedelta(minutes=5)
    if case == "failed":
        written(arm, account, at, status="Failed")
    if case == "another tag":
        written(arm, account, at, body='{"tags": {"owner": "x"}}')
    if case == "no request":
        arm.state.activity.insert(0, log_entry(account.id, TAGS, at))
    if case == "denied":
        arm.faults.append(access_denied("Microsoft.Insights/eventtypes/values/read", "eventtypes"))
    refusal = block.preview(target, given(account, began)).refusal
    assert refusal is not None
    assert refusal.code == ("azure.tag_cannot_tell" if case == "denied" else "azure.tag_not_told")


@pytest.fixture
def listed(arm: Arm, account: StorageAccount) -> Iterator[Cloud]:
    session = arm.session(account.subscription)
    session.options = replace(
        session.options, never_contain=("publicassets",), contain_despite_tag=("other",)
    )
    yield provider(session)
    session.close()


def test_what_the_settings_list_is_refused_in_preview_and_in_apply(
    arm: Arm, account: StorageAccount, listed: Cloud, target: Target, began: datetime
) -> None:
    block = listed.actions["azure.storage.set_public_access"]
    refusal = block.preview(target, given(account, began)).refusal
    assert refusal is not None
    assert refusal.code == "azure.listed_never_contain"
    with pytest.raises(Refused, match=r"azure\.listed_never_contain"):
        block.apply(target, given(account, began), "key")
    assert arm.writes == []


def test_the_settings_set_a_tag_aside_for_the_account_that_they_name(
    arm: Arm, account: StorageAccount, target: Target, began: datetime
) -> None:
    account.tags[TAG] = ""
    session = arm.session(account.subscription)
    session.options = replace(session.options, contain_despite_tag=(account.id.upper(),))
    preview = (
        provider(session).actions["azure.storage.set_public_access"].preview(target, given(account, began))
    )
    session.close()
    assert preview.refusal is None
    assert "azure.tag_set_aside" in [note.code for note in preview.warnings]


@pytest.mark.parametrize(
    ("entry", "is_fine"),
    [
        ("acmebackups", True),
        ("11111111-2222-3333-4444-555555555555", True),
        ("acme-*", False),
        ("/subscriptions/x", False),
    ],
)
def test_the_settings_take_names_ids_and_subscriptions(entry: str, is_fine: bool) -> None:
    assert (AzureSettings(never_contain=(entry,)).faults() == []) is is_fine
