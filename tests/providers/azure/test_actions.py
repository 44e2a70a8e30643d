"""Storage account actions through the real SDK, against the fake Resource Manager."""

from __future__ import annotations

import re

import pytest

from tests.lab.arm import Arm, Container, Fault, StorageAccount
from tests.lab.arm.faults import access_denied, throttled
from twokey.core.errors import Invalid, Json, NotFound, Refused, Unavailable
from twokey.core.executions import Found
from twokey.core.runbooks import Effect, Target
from twokey.ports import Action, Cloud

OTHER = "99999999-2222-3333-4444-555555555555"
BLOCK = "azure.storage.set_public_access"
NETWORK = "azure.storage.set_public_network_access"


@pytest.fixture
def block(azure: Cloud) -> Action:
    return azure.actions[BLOCK]


def inputs(account: StorageAccount, *, allow: Json = False) -> dict[str, Json]:
    return {"storage_account_id": account.id, "allow": allow}


def test_a_preview_names_the_account_as_azure_names_it_and_changes_nothing(
    arm: Arm, account: StorageAccount, block: Action, target: Target
) -> None:
    shouted = {**inputs(account), "storage_account_id": account.id.upper()}
    preview = block.preview(target, shouted)
    assert [(t.kind, t.id, t.name) for t in preview.touches] == [
        ("storage-account", account.id, "publicassets")
    ]
    assert preview.observed == {"storage_account_id": account.id}
    assert preview.shown == {"allow_blob_public_access": True}
    assert preview.counts == {"storage_accounts": 1}
    assert preview.refusal is None
    assert arm.writes == []


def test_a_preview_tells_which_containers_strangers_lose(
    arm: Arm, account: StorageAccount, block: Action, target: Target
) -> None:
    arm.state.page_size = 1
    notes = {note.code: note.params for note in block.preview(target, inputs(account)).warnings}
    assert notes["azure.note.public_containers"]["names"] == "images, dump"
    assert "azure.note.static_website_stays" in notes


def test_one_more_open_container_does_not_void_the_keys(
    account: StorageAccount, block: Action, target: Target
) -> None:
    before = block.preview(target, inputs(account))
    account.containers.append(Container("planted", "Container"))
    after = block.preview(target, inputs(account))
    assert (before.observed, before.counts, before.touches) == (after.observed, after.counts, after.touches)


def test_containers_that_cannot_be_listed_do_not_hold_up_the_preview(
    arm: Arm, account: StorageAccount, block: Action, target: Target
) -> None:
    arm.order(
        access_denied("Microsoft.Storage/storageAccounts/blobServices/containers/read", "containers$", 9)
    )
    preview = block.preview(target, inputs(account))
    assert "azure.note.containers_unknown" in [note.code for note in preview.warnings]
    assert preview.refusal is None


def test_blocking_changes_that_one_setting_and_nothing_else(
    arm: Arm, account: StorageAccount, block: Action, target: Target
) -> None:
    outputs = block.apply(target, inputs(account), "key")
    assert account.allow_blob_public_access is False
    assert outputs["allow_blob_public_access"] is False
    assert [(call.method, call.body) for call in arm.writes] == [
        ("PATCH", {"properties": {"allowBlobPublicAccess": False}})
    ]
    assert account.tags == {"owner": "web"}


def test_twice_with_the_same_key_is_once(
    arm: Arm, account: StorageAccount, block: Action, target: Target
) -> None:
    block.apply(target, inputs(account), "key")
    again = block.apply(target, inputs(account), "key")
    assert len(arm.writes) == 1
    assert again["allow_blob_public_access"] is False


def test_the_undo_brings_back_exactly_what_was_captured(
    account: StorageAccount, block: Action, target: Target
) -> None:
    prior = block.capture(target, inputs(account))
    block.apply(target, inputs(account), "key")
    block.apply(target, inputs(account, allow=prior["allow_blob_public_access"]), "undo")
    assert account.allow_blob_public_access is True


def test_a_setting_that_was_never_made_is_blocked_and_comes_back_as_allowed(
    arm: Arm, account: StorageAccount, block: Action, target: Target
) -> None:
    """Azure's pages disagree on what null means: only an explicit no is believed."""
    account.allow_blob_public_access = None
    preview = block.preview(target, inputs(account))
    assert preview.shown == {"allow_blob_public_access": None}
    assert "azure.note.never_set" in [note.code for note in preview.warnings]
    assert block.capture(target, inputs(account)) == {"allow_blob_public_access": True, "was_set": False}
    block.apply(target, inputs(account), "key")
    assert account.allow_blob_public_access is False
    assert len(arm.writes) == 1


def test_an_account_that_must_never_be_contained_is_refused_in_preview_and_again_in_apply(
    arm: Arm, account: StorageAccount, block: Action, target: Target
) -> None:
    account.tags["Twokey:Never-Contain"] = ""  # tag names have no letter case in Azure
    refusal = block.preview(target, inputs(account)).refusal
    assert refusal is not None
    assert refusal.code == "azure.never_contain"
    with pytest.raises(Refused, match=r"azure\.never_contain"):
        block.apply(target, inputs(account), "key")
    assert arm.writes == []


@pytest.mark.parametrize("action", [BLOCK, NETWORK, "azure.storage.get_account"])
@pytest.mark.parametrize(
    ("resource", "code"),
    [
        (
            f"/subscriptions/{OTHER}/resourceGroups/rg/providers/Microsoft.Storage/storageAccounts/abc",
            "azure.other_subscription",
        ),
        (
            "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/rg"
            "/providers/Microsoft.Compute/virtualMachines/vm1",
            "azure.not_a_storage_account",
        ),
        ("/subscriptions/11111111-2222-3333-4444-555555555555", "azure.not_a_storage_account"),
        ("publicassets", "azure.not_a_storage_account"),
        (
            "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/rg/providers"
            "/Microsoft.Storage/storageAccounts/abc/../../x",
            "azure.not_a_storage_account",
        ),
        (
            "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/rg/providers"
            "/Microsoft.Storage/storageAccounts/abc?api-version=1",
            "azure.not_a_storage_account",
        ),
        ("", "azure.not_a_storage_account"),
        (None, "azure.not_a_storage_account"),
        (["a"], "azure.not_a_storage_account"),
    ],
)
def test_what_is_not_a_storage_account_of_this_subscription_is_refused_without_a_call(
    arm: Arm, azure: Cloud, target: Target, action: str, resource: Json, code: str
) -> None:
    given: dict[str, Json] = {"storage_account_id": resource, "allow": False, "access": "Disabled"}
    refusal = azure.actions[action].preview(target, given).refusal
    assert refusal is not None
    assert refusal.code == code
    with pytest.raises(Refused, match=re.escape(code)):
        azure.actions[action].apply(target, given, "key")
    assert arm.calls == []


def test_a_subscription_outside_the_settings_is_refused_even_when_the_plan_is_about_it(
    arm: Arm, azure: Cloud
) -> None:
    elsewhere = StorageAccount(OTHER, "rg", "abc")
    arm.state.accounts.append(elsewhere)
    refusal = azure.actions[BLOCK].preview(Target(OTHER), inputs(elsewhere)).refusal
    assert refusal is not None
    assert refusal.code == "azure.subscription_not_configured"
    with pytest.raises(Refused, match=r"azure\.subscription_not_configured"):
        azure.actions[BLOCK].apply(Target(OTHER), inputs(elsewhere), "key")
    assert arm.calls == []


@pytest.mark.parametrize("allow", ["false", 0, None, "no", []])
def test_only_a_real_yes_or_no_is_taken(
    arm: Arm, account: StorageAccount, block: Action, target: Target, allow: Json
) -> None:
    with pytest.raises(Invalid, match=r"azure\.not_yes_or_no"):
        block.apply(target, inputs(account, allow=allow), "key")
    assert arm.writes == []


def test_an_answer_that_was_lost_after_the_effect_is_found_by_reading_and_not_repeated(
    arm: Arm, account: StorageAccount, block: Action, target: Target
) -> None:
    arm.order(Fault(method="PATCH", cut=True, after_effect=True))
    with pytest.raises(Unavailable, match=r"azure\.answer_lost"):
        block.apply(target, inputs(account), "key")
    assert len(arm.writes) == 1
    lookup = block.find(target, inputs(account), "key")
    assert lookup.found is Found.DONE
    assert lookup.outputs["allow_blob_public_access"] is False


def test_a_request_that_was_lost_before_the_effect_is_found_not_done(
    arm: Arm, account: StorageAccount, block: Action, target: Target
) -> None:
    arm.order(Fault(method="PATCH", cut=True))
    with pytest.raises(Unavailable, match=r"azure\.answer_lost"):
        block.apply(target, inputs(account), "key")
    assert account.allow_blob_public_access is True
    assert block.find(target, inputs(account), "key").found is Found.NOT_DONE


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_write_is_never_repeated_by_the_sdk(
    arm: Arm, account: StorageAccount, block: Action, target: Target, status: int
) -> None:
    """azure-core's own policy would send a PATCH again after a 500, and after any Retry-After."""
    arm.order(Fault(method="PATCH", status=status, retry_after="1", times=5))
    with pytest.raises(Unavailable):
        block.apply(target, inputs(account), "key")
    assert len(arm.writes) == 1


def test_an_account_that_is_gone_is_for_a_person_to_decide(
    arm: Arm, account: StorageAccount, block: Action, target: Target
) -> None:
    arm.state.accounts.clear()
    assert block.find(target, inputs(account), "key").found is Found.CANNOT_TELL
    with pytest.raises(NotFound, match=r"azure\.not_found"):
        block.apply(target, inputs(account), "key")


def test_a_lock_is_named_as_the_reason(account: StorageAccount, block: Action, target: Target) -> None:
    account.lock = "ReadOnly"
    with pytest.raises(Refused, match=r"azure\.locked"):
        block.apply(target, inputs(account), "key")


def test_a_missing_permission_is_named(
    arm: Arm, account: StorageAccount, block: Action, target: Target
) -> None:
    arm.order(access_denied("Microsoft.Storage/storageAccounts/write", times=1))
    arm.faults[0].method = "PATCH"
    with pytest.raises(Refused) as refused:
        block.apply(target, inputs(account), "key")
    assert refused.value.message.code == "azure.access_denied"
    assert refused.value.message.params["permission"] == "Microsoft.Storage/storageAccounts/write"


def test_azure_policy_is_named_as_the_reason(
    arm: Arm, account: StorageAccount, block: Action, target: Target
) -> None:
    arm.order(Fault(method="PATCH", status=403, code="RequestDisallowedByPolicy"))
    with pytest.raises(Refused, match=r"azure\.denied_by_policy"):
        block.apply(target, inputs(account), "key")


def test_reads_are_tried_again_when_azure_throttles_briefly(
    arm: Arm, account: StorageAccount, block: Action, target: Target
) -> None:
    arm.order(throttled("1", method="GET"))
    assert block.preview(target, inputs(account)).refusal is None


def test_a_long_retry_after_does_not_hold_the_worker(
    arm: Arm, account: StorageAccount, block: Action, target: Target
) -> None:
    arm.order(throttled("600", times=9))
    with pytest.raises(Unavailable) as fault:
        block.preview(target, inputs(account))
    assert fault.value.message.code == "azure.throttled"
    assert fault.value.message.params["seconds"] == "600"
    assert len(arm.calls) == 1


def test_an_account_that_an_earlier_step_names_is_known_only_when_it_runs(
    arm: Arm, block: Action, target: Target
) -> None:
    preview = block.preview(
        target, {"storage_account_id": "${{ steps.look.outputs.storage_account_id }}", "allow": False}
    )
    assert [note.code for note in preview.notes] == ["azure.known_when_it_runs"]
    assert arm.calls == []


def test_the_account_snapshot_is_evidence_with_a_digest(
    account: StorageAccount, azure: Cloud, target: Target
) -> None:
    action = azure.actions["azure.storage.get_account"]
    seen = action.apply(target, {"storage_account_id": account.id}, "")
    again = action.apply(target, {"storage_account_id": account.id}, "")
    assert set(seen) == set(action.outputs)
    assert seen["tags"] == {"owner": "web"}
    assert seen["sha256"] == again["sha256"]
    account.tags["owner"] = "nobody"
    assert action.apply(target, {"storage_account_id": account.id}, "")["sha256"] != seen["sha256"]


def test_open_containers_are_listed_over_all_pages(
    arm: Arm, account: StorageAccount, azure: Cloud, target: Target
) -> None:
    account.containers += [Container(f"c{number}") for number in range(120)] + [Container("last", "Blob")]
    action = azure.actions["azure.storage.list_public_containers"]
    found = action.apply(target, {"storage_account_id": account.id}, "")
    assert found == {
        "containers": ["images", "dump", "last"],
        "count": 3,
        "looked_at": 124,
        "is_complete": True,
    }
    assert len(arm.calls) == 3


def test_closing_the_network_and_its_undo(
    arm: Arm, account: StorageAccount, azure: Cloud, target: Target
) -> None:
    action = azure.actions[NETWORK]
    given: dict[str, Json] = {"storage_account_id": account.id, "access": "Disabled"}
    assert [note.code for note in action.preview(target, given).warnings] == ["azure.note.network_cut"]
    prior = action.capture(target, given)
    action.apply(target, given, "key")
    assert account.public_network_access == "Disabled"
    assert action.find(target, given, "key").found is Found.DONE
    action.apply(target, {**given, "access": prior["public_network_access"]}, "undo")
    assert account.public_network_access == "Enabled"
    assert account.allow_blob_public_access is True
    with pytest.raises(Invalid, match=r"azure\.not_a_network_access"):
        action.apply(target, {**given, "access": "Open"}, "key")


def test_every_action_keeps_the_ports_shape(azure: Cloud) -> None:
    for name, action in azure.actions.items():
        assert action.name == name
        assert name.startswith("azure.")
        assert action.permissions
        assert action.effect in (Effect.READ, Effect.MODIFY)
        assert all(
            kind in ("bool", "text?") or kind in azure.parameter_types for kind in action.inputs.values()
        )
    for name, check in azure.checks.items():
        assert check.name == name
        assert all(
            kind in ("bool", "text?") or kind in azure.parameter_types for kind in check.inputs.values()
        )


def test_reads_keep_nothing_and_may_be_repeated(
    account: StorageAccount, azure: Cloud, target: Target
) -> None:
    given: dict[str, Json] = {"storage_account_id": account.id}
    for action in azure.actions.values():
        if action.effect is Effect.READ:
            assert action.capture(target, given) == {}
            assert action.find(target, given, "").found is Found.NOT_DONE
            assert action.preview(target, given).touches == ()
