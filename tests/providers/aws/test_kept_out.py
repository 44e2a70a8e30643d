"""Accounts that are kept out of containments where nobody in them can write."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from twokey.core.runbooks import CheckResult, Target
from twokey.providers.aws import AwsOptions, provider
from twokey.providers.aws.settings import AwsSettings
from twokey.testing.clocks import SettableClock
from twokey.testing.clouds.organizations_api import MemoryOrganizations, MemoryUnit

OWN, MANAGEMENT, ACCOUNT = "999900001111", "999900002222", "111122223333"


@pytest.fixture
def org() -> MemoryOrganizations:
    unit = {"ou-ab12-workload": MemoryUnit("Workloads", "r-ab12")}
    return MemoryOrganizations(
        AwsOptions(), SettableClock(), OWN, MANAGEMENT, units=unit, accounts={ACCOUNT: "ou-ab12-workload"}
    )


def ask(org: MemoryOrganizations, account: str = ACCOUNT) -> CheckResult:
    check = provider(org.options, org.clock, session=org).checks["aws.org.account_is_not_kept_out"]  # type: ignore[arg-type]
    return check.holds(Target(account), {"account_id": account})


def test_an_account_holds_until_its_tag_in_the_organisation_or_the_settings_keep_it_out(
    org: MemoryOrganizations,
) -> None:
    assert ask(org) == CheckResult(True, {"tags": False})
    org.tagged[ACCOUNT] = {"twokey:never-contain": ""}
    tagged = ask(org)
    assert not tagged.holds
    assert tagged.reason is not None
    assert tagged.reason.code == "aws.org.has_never_tag"
    org.options = replace(org.options, never_contain=(ACCOUNT,))
    listed = ask(org)
    assert listed.reason is not None
    assert listed.reason.code == "aws.never_contain"


def test_an_account_of_no_organisation_has_no_tags_there(org: MemoryOrganizations) -> None:
    assert ask(org, "444455556666") == CheckResult(True, {"tags": "no organization"})


def test_tags_that_may_not_be_read_are_a_no_where_the_settings_name_an_organisation(
    org: MemoryOrganizations, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(**_: Any) -> None:
        raise org._fault("AccessDeniedException")

    monkeypatch.setattr(org, "_list_tags_for_resource", denied)
    plain = ask(org)
    assert plain.holds
    assert [note.code for note in plain.warnings] == ["aws.org.tags_not_readable"]
    org.options = replace(org.options, organizations_account=MANAGEMENT)
    assert not ask(org).holds


@pytest.mark.parametrize(
    ("entry", "is_fine"),
    [
        ("111122223333", True),
        ("break-glass", True),
        ("arn:aws:iam::111122223333:user/ops/break-glass", True),
        ("arn:aws:s3:::acme-backups", True),
        ("acme-*", False),
        ("arn:aws:iam::*:user/x", False),
        ("arn:aws:ec2:::instance/i-1", False),
    ],
)
def test_the_settings_take_ids_names_and_arns_and_no_wildcards(entry: str, is_fine: bool) -> None:
    assert (AwsSettings(never_contain=(entry,)).faults() == []) is is_fine
    assert (AwsSettings(contain_despite_tag=(entry,)).faults() == []) is is_fine
