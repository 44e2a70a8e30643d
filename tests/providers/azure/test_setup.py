"""`twokey azure setup`: the difference first, the same twice is once, and nothing of others is touched."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.lab.arm import TOKEN, Arm, Identity
from tests.lab.arm.faults import access_denied, throttled
from twokey.core.errors import Invalid, NotFound, Refused, Unavailable
from twokey.providers.azure.permissions import setup_role
from twokey.providers.azure.settings import AzureSettings
from twokey.providers.azure.setup import KINDS, Secure, Setup, Wanted
from twokey.providers.azure.wiring import setups_of
from twokey.settings import Secret

SUBSCRIPTION = "11111111-2222-3333-4444-555555555555"
OTHER = "99999999-2222-3333-4444-555555555555"
SECRET = "kJ3-vQ8xT2mN7pLw9RzY5cBf1HgD4sEa"
ADDRESS = f"https://twokey.example.com/azure/{SECRET}"
GROUP = (
    f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg-web/providers/Microsoft.Insights/actionGroups/twokey"
)
ALERT = GROUP.replace("actionGroups/twokey", "activityLogAlerts/twokey-service-health")
SECURE = Secure(
    "22222222-0000-0000-0000-000000000000", "api://twokey", "33333333-0000-0000-0000-000000000000"
)


def setup_of(arm: Arm, **wanted: Any) -> Setup:
    return Setup(arm.session(SUBSCRIPTION), SUBSCRIPTION, Wanted("rg-web", ADDRESS, **wanted))


def acts(setup: Setup) -> list[str]:
    return [change.act for change in setup.changes()]


def stored(arm: Arm, id: str = GROUP) -> dict[str, Any]:
    found = arm.state.alerting[id.casefold()]["properties"]
    assert isinstance(found, dict)
    return found


def test_looking_changes_nothing_and_shows_no_secret(arm: Arm) -> None:
    setup = setup_of(arm)
    changes = setup.changes()
    assert [(change.act, change.name) for change in changes] == [
        ("create", "twokey"),
        *(("create", f"twokey-{kind}") for kind in KINDS),
    ]
    assert arm.writes == []
    assert SECRET not in repr(changes)
    assert SECRET not in repr(setup)
    assert "https://twokey.example.com/***" in repr(changes)


def test_applied_it_stands_as_the_published_shapes_have_it_and_twice_is_once(arm: Arm) -> None:
    setup = setup_of(arm)
    assert [change.act for change in setup.apply()] == ["create"] * 5
    assert stored(arm) == {
        "groupShortName": "twokey",
        "enabled": True,
        "webhookReceivers": [
            {"name": "twokey", "serviceUri": ADDRESS, "useCommonAlertSchema": True, "useAadAuth": False}
        ],
    }
    assert arm.state.alerting[GROUP.casefold()]["tags"] == {"managed-by": "twokey"}
    rule = stored(arm, ALERT)
    assert rule["scopes"] == [f"/subscriptions/{SUBSCRIPTION}"]
    assert rule["condition"] == {"allOf": [{"field": "category", "equals": "ServiceHealth"}]}
    assert rule["actions"] == {"actionGroups": [{"actionGroupId": GROUP}]}
    assert rule["enabled"] is True
    before, writes = copy.deepcopy(arm.state.alerting), len(arm.writes)
    assert [change.act for change in setup.apply()] == ["keep"] * 5
    assert (arm.state.alerting, len(arm.writes)) == (before, writes)
    assert {call.method for call in arm.writes} == {"PUT"}


def test_what_others_have_added_stays(arm: Arm) -> None:
    setup_of(arm).apply()
    mail = {"name": "oncall", "emailAddress": "oncall@example.com", "useCommonAlertSchema": False}
    stored(arm)["emailReceivers"] = [mail]
    stored(arm)["webhookReceivers"].insert(0, {"name": "their", "serviceUri": "https://their.example/x"})
    group: Any = arm.state.alerting[GROUP.casefold()]
    group["tags"]["cost"] = "7"
    stored(arm, ALERT)["actions"]["actionGroups"].append({"actionGroupId": GROUP + "-their"})
    stored(arm, ALERT)["description"] = "theirs"
    assert acts(setup_of(arm)) == ["keep"] * 5
    stored(arm)["enabled"] = False
    stored(arm, ALERT)["enabled"] = False
    assert [change.act for change in setup_of(arm).apply()] == ["update", "update", "keep", "keep", "keep"]
    assert stored(arm)["emailReceivers"] == [mail]
    assert [one["name"] for one in stored(arm)["webhookReceivers"]] == ["their", "twokey"]
    assert arm.state.alerting[GROUP.casefold()]["tags"] == {"managed-by": "twokey", "cost": "7"}
    told = [one["actionGroupId"] for one in stored(arm, ALERT)["actions"]["actionGroups"]]
    assert told == [GROUP, GROUP + "-their"]
    assert stored(arm, ALERT)["description"] == "theirs"


@pytest.mark.parametrize(
    ("id", "change", "said"),
    [
        (GROUP, {"enabled": False}, "enabled"),
        (GROUP, {"webhookReceivers": []}, "webhook twokey"),
        (GROUP, {"webhookReceivers": [{"name": "twokey", "serviceUri": ADDRESS, "useCommonAlertSchema": False}]}, "webhook twokey"),
        (GROUP, {"webhookReceivers": [{"name": "twokey", "serviceUri": ADDRESS + "x", "useCommonAlertSchema": True}]}, "webhook twokey"),
        (ALERT, {"enabled": False}, "enabled"),
        (ALERT, {"scopes": [f"/subscriptions/{OTHER}"]}, "scopes"),
        (ALERT, {"condition": {"allOf": [{"field": "category", "equals": "Policy"}]}}, "condition"),
        (ALERT, {"actions": {"actionGroups": []}}, "action groups"),
    ],
)  # fmt: skip
def test_every_drift_is_seen_named_and_mended(arm: Arm, id: str, change: dict[str, Any], said: str) -> None:
    setup_of(arm).apply()
    stored(arm, id).update(change)
    drifted = [found for found in setup_of(arm).changes() if found.act == "update"]
    assert [[difference.field for difference in found.differences] for found in drifted] == [[said]]
    (difference,) = drifted[0].differences
    assert difference.before != difference.after
    assert SECRET not in repr(drifted)
    setup_of(arm).apply()
    assert acts(setup_of(arm)) == ["keep"] * 5


def test_a_resource_of_the_same_name_that_is_not_ours_is_refused_before_anything_is_made(arm: Arm) -> None:
    theirs = {
        "name": "twokey",
        "location": "Global",
        "tags": {},
        "properties": {"groupShortName": "x", "enabled": True},
    }
    arm.state.alerting[GROUP.casefold()] = theirs  # type: ignore[assignment]
    for act in (setup_of(arm).changes, setup_of(arm).apply):
        with pytest.raises(Refused, match=r"azure\.setup_not_ours"):
            act()
    assert arm.writes == []
    assert arm.state.alerting == {GROUP.casefold(): theirs}


def test_fewer_kinds_remove_nothing(arm: Arm) -> None:
    setup_of(arm).apply()
    before = copy.deepcopy(arm.state.alerting)
    assert [change.act for change in setup_of(arm, kinds=("security",)).apply()] == ["keep", "keep"]
    assert arm.state.alerting == before
    assert not [call for call in arm.calls if call.method == "DELETE"]


def test_a_secure_webhook_names_our_registration(arm: Arm) -> None:
    setup_of(arm, secure=SECURE).apply()
    (receiver,) = stored(arm)["webhookReceivers"]
    assert receiver == {
        "name": "twokey",
        "serviceUri": ADDRESS,
        "useCommonAlertSchema": True,
        "useAadAuth": True,
        "objectId": SECURE.object_id,
        "identifierUri": SECURE.audience,
        "tenantId": SECURE.tenant,
    }
    assert acts(setup_of(arm, secure=SECURE)) == ["keep"] * 5
    assert acts(setup_of(arm))[0] == "update"


def test_an_apply_that_broke_off_goes_on_where_it_was(arm: Arm) -> None:
    arm.order(access_denied("Microsoft.Insights/ActivityLogAlerts/Write", "twokey-resource-health", times=2))
    with pytest.raises(Refused, match=r"azure\.access_denied"):
        setup_of(arm).apply()
    arm.faults.clear()
    assert [change.act for change in setup_of(arm).apply()] == ["keep", "keep", "create", "create", "create"]


def test_a_missing_resource_group_and_a_busy_azure_are_said(arm: Arm) -> None:
    missing = Setup(arm.session(SUBSCRIPTION), SUBSCRIPTION, Wanted("nowhere", ADDRESS))
    with pytest.raises(NotFound):
        missing.apply()
    arm.order(throttled("600", times=5))
    with pytest.raises(Unavailable, match=r"azure\.throttled"):
        setup_of(arm).changes()


def test_azures_own_test_goes_to_our_webhook_alone_and_its_result_is_told(arm: Arm) -> None:
    setup_of(arm).apply()
    stored(arm)["emailReceivers"] = [{"name": "oncall", "emailAddress": "a@example.com"}]
    said = setup_of(arm).test("servicehealth")
    assert said == {"state": "Completed", "twokey": "Completed Default"}
    (sent,) = arm.state.notified
    assert sent["alertType"] == "servicehealth"
    assert [one["serviceUri"] for one in sent["webhookReceivers"]] == [ADDRESS]  # type: ignore[index, call-overload]
    assert "emailReceivers" not in sent


def test_a_test_before_the_setup_is_refused(arm: Arm) -> None:
    with pytest.raises(Refused, match=r"azure\.setup_first"):
        setup_of(arm).test("servicehealth")
    setup_of(arm).apply()
    with pytest.raises(Invalid, match=r"azure\.setup_test"):
        setup_of(arm).test("metric")
    assert arm.state.notified == []


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"resource_group": "a/b"}, "setup_name"),
        ({"resource_group": ""}, "setup_name"),
        ({"name": "x/../y"}, "setup_name"),
        ({"address": "http://twokey.example.com/azure/x"}, "setup_address"),
        ({"kinds": ("everything",)}, "setup_kind"),
        ({"secure": Secure("", "api://twokey", "t")}, "setup_object_id"),
        ({"secure": Secure(SECURE.object_id, "api://twokey", "")}, "setup_object_id"),
    ],
)
def test_what_cannot_be_wanted_is_refused(given: dict[str, Any], code: str) -> None:
    with pytest.raises(Invalid, match=rf"azure\.{code}") as refused:
        Wanted(**{"resource_group": "rg-web", "address": ADDRESS, **given})
    assert SECRET not in str(refused.value)


def test_only_subscriptions_of_the_settings_are_touched(arm: Arm) -> None:
    given = AzureSettings(webhooks=(f"prod={SECRET}",), subscriptions=(SUBSCRIPTION,))
    (stranger,) = setups_of(
        given, "https://x.example", "rg-web", subscriptions=(OTHER,), session=arm.session(SUBSCRIPTION)
    )
    with pytest.raises(Refused, match=r"azure\.subscription_not_configured"):
        stranger.apply()
    assert arm.calls == []


def test_a_door_that_wants_a_token_cannot_be_set_up_without_one() -> None:
    given = AzureSettings(
        webhooks=(f"prod={SECRET}", f"old={Secret('Zx8_Cv6bN4mQ2wE0rT9yU7iO5pA3sD1f')}"),
        subscriptions=(SUBSCRIPTION,),
        webhook_audience=("22222222-3333-4444-5555-666666666666", "api://twokey"),
        tenant=SECURE.tenant,
        doors_without_token=("old",),
    )
    with pytest.raises(Invalid, match=r"azure\.setup_object_id"):
        setups_of(given, "https://x.example", "rg", webhook="prod")
    with pytest.raises(Invalid, match=r"azure\.setup_webhook"):
        setups_of(given, "https://x.example", "rg")
    (secured,) = setups_of(given, "https://x.example", "rg", webhook="prod", object_id=SECURE.object_id)
    assert secured.wanted.secure == SECURE
    (old,) = setups_of(given, "https://x.example", "rg", webhook="old")
    assert old.wanted.secure is None


def test_the_command_shows_applies_and_tests(arm: Arm, tmp_path: Path) -> None:
    """The program as a process of its own, through the real azure-identity."""

    def twokey(*more: str) -> subprocess.CompletedProcess[str]:
        with Identity(TOKEN, arm.base_url) as identity:
            environment = {
                "PATH": "",
                "HOME": str(tmp_path),
                "TWOKEY_AZURE_WEBHOOKS": f"prod={SECRET}",
                "TWOKEY_AZURE_SUBSCRIPTIONS": SUBSCRIPTION,
                "TWOKEY_AZURE_ENDPOINT_URL": arm.base_url,
                "TWOKEY_REHEARSAL": "1",
                "REQUESTS_CA_BUNDLE": arm.ca_bundle,
                **identity.variables,
            }
            given = ["--address", "https://twokey.example.com", "--resource-group", "rg-web", *more]
            return subprocess.run(
                [sys.executable, "-m", "twokey", "azure", "setup", *given],
                cwd=tmp_path,
                env=environment,
                capture_output=True,
                text=True,
                timeout=300,
                check=False,
            )

    shown = twokey()
    assert (shown.returncode, arm.writes) == (0, []), shown.stderr
    assert shown.stdout.splitlines()[0] == f"create action group twokey in {SUBSCRIPTION}"
    assert shown.stdout.splitlines()[-1] == "Nothing was changed. --apply does what is shown."
    applied = twokey("--apply", "--test", "servicehealth", "--json")
    lines = [json.loads(line) for line in applied.stdout.splitlines()]
    assert [line.get("act") for line in lines] == ["create"] * 5 + [None]
    assert lines[-1]["test"] == {"state": "Completed", "twokey": "Completed Default"}
    assert [json.loads(line)["act"] for line in twokey("--json").stdout.splitlines()] == ["keep"] * 5
    assert SECRET not in shown.stdout + shown.stderr + applied.stdout + applied.stderr
    wrong = twokey("--kind", "everything")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "service-health" in wrong.stderr


def test_the_role_for_the_setup_has_what_it_calls_and_no_delete() -> None:
    actions = setup_role()["Actions"]
    assert "Microsoft.Insights/ActionGroups/Write" in actions  # type: ignore[operator]
    assert not [name for name in actions if "delete" in str(name).lower()]
