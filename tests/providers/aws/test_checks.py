"""Every check: yes, no, and no when the fact cannot be read."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.stub import Stubber

from twokey.core.errors import Unavailable
from twokey.core.executions import Found
from twokey.core.runbooks import CheckResult

SCP = "SERVICE_CONTROL_POLICY"
DENY_ALL = '{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}'


def ask(aws: Any, check: str, account: str = "", **inputs: Any) -> CheckResult:
    result: CheckResult = aws.cloud.checks[check].holds(aws.target(account or aws.victim), inputs)
    assert result.holds == (result.reason is None)
    return result


def why(result: CheckResult) -> str:
    return result.reason.code if result.reason else ""


def test_every_check_that_cannot_read_its_fact_does_not_hold(aws: Any) -> None:
    """Fail closed: an address where nobody answers makes every guard say no, with the reason."""
    from twokey.providers.aws import AwsOptions, provider

    options = AwsOptions(
        endpoint_url="http://127.0.0.1:9",
        access_key_id="AKIATESTTESTTESTTEST",
        secret_access_key="t",
        max_attempts=1,
    )
    cloud = provider(options, aws.clock)
    inputs = {
        "account_id": aws.victim, "target_id": "ou-ab12-abcdefgh", "ou_id": "ou-ab12-abcdefgh", "step": "create_ou",
        "policy_id": "p-abcdefgh", "targets": [], "parent_id": "r-ab12", "accounts": [], "user_name": "x",
        "access_key_id": "AKIA" + "X" * 16, "status": "Active", "policy_name": "q", "bucket": "backups-one",
    }  # fmt: skip
    for name, check in cloud.checks.items():
        given = {key: value for key, value in inputs.items() if key in check.inputs}
        if name == "aws.sts.key_is_not_own":
            continue  # the one question that asks nobody: our own key is known without AWS
        try:
            result = check.holds(aws.target(), given)
        except Unavailable:
            continue  # no answer is no answer: it is asked again later, and nothing goes on meanwhile
        assert not result.holds, name
        assert result.reason is not None, name


def test_a_missing_input_does_not_hold(aws: Any) -> None:
    for name, check in aws.cloud.checks.items():
        result = check.holds(aws.target(), {})
        assert not result.holds, name


def test_the_management_account_and_our_own_are_known(aws: Any, organization: Any) -> None:
    assert ask(aws, "aws.org.account_is_not_management", account_id=organization.account).holds
    assert (
        why(ask(aws, "aws.org.account_is_not_management", account_id=aws.own))
        == "aws.org.is_management_account"
    )
    assert ask(aws, "aws.sts.account_is_not_own", account_id=organization.account).holds
    assert why(ask(aws, "aws.sts.account_is_not_own", account_id=aws.own)) == "aws.org.is_own_account"
    assert ask(aws, "aws.org.account_may_be_contained", account_id=organization.account).holds
    assert why(ask(aws, "aws.org.account_may_be_contained", account_id=aws.own)) == "aws.org.is_own_account"


def test_a_delegated_administrator_is_known(aws: Any, organization: Any) -> None:
    check = "aws.org.account_is_not_delegated_admin"
    assert ask(aws, check, account_id=organization.account).holds
    aws.admin("organizations").register_delegated_administrator(
        AccountId=organization.account, ServicePrincipal="guardduty.amazonaws.com"
    )
    assert why(ask(aws, check, account_id=organization.account)) == "aws.org.is_delegated_administrator"


def test_the_root_is_told_by_its_form_alone(aws: Any, organization: Any) -> None:
    check = "aws.org.target_is_not_root"
    assert ask(aws, check, target_id=organization.quarantine).seen["path"] == "Root / Security / Quarantine"
    for target, code in (
        (organization.root, "aws.org.is_root"),
        (organization.account, "aws.org.not_a_unit"),
        ("ou-ab12-abcdefgh", "aws.org.unit_not_found"),
        ("*", "aws.org.not_a_unit"),
    ):
        assert why(ask(aws, check, target_id=target)) == code


def test_a_tag_that_forbids_is_found(aws: Any, organization: Any) -> None:
    check, account = "aws.org.account_has_no_tag", organization.account
    assert ask(aws, check, account_id=account).holds
    aws.admin("organizations").tag_resource(
        ResourceId=account, Tags=[{"Key": "twokey:never-contain", "Value": ""}]
    )
    assert not ask(aws, check, account_id=account).holds
    assert ask(aws, check, account_id=account, tag="another").holds


def test_a_unit_is_new_and_empty_or_not(aws: Any, organization: Any) -> None:
    org = aws.admin("organizations")
    target = aws.target(organization.account)
    unit = aws.cloud.actions["aws.organizations.create_organizational_unit"].apply(
        target, {"parent_id": organization.quarantine, "name": "q"}, "plan-1/create_ou"
    )["ou_id"]
    assert ask(aws, "aws.org.ou_is_empty_and_new", ou_id=unit).holds
    assert ask(aws, "aws.org.ou_has_no_accounts", ou_id=unit).holds
    assert ask(aws, "aws.org.target_is_ou_created_by", target_id=unit, step="create_ou").holds
    assert not ask(aws, "aws.org.target_is_ou_created_by", target_id=unit, step="another").holds
    assert not ask(
        aws, "aws.org.target_is_ou_created_by", target_id=organization.quarantine, step="create_ou"
    ).holds
    assert (
        why(ask(aws, "aws.org.target_is_ou_created_by", target_id=organization.root, step="x"))
        == "aws.org.is_root"
    )
    assert (
        why(ask(aws, "aws.org.ou_is_empty_and_new", ou_id=organization.quarantine)) == "aws.org.unit_not_ours"
    )
    org.move_account(
        AccountId=organization.account, SourceParentId=organization.workloads, DestinationParentId=unit
    )
    assert not ask(aws, "aws.org.ou_is_empty_and_new", ou_id=unit).holds
    assert not ask(aws, "aws.org.ou_has_no_accounts", ou_id=unit).holds
    assert ask(aws, "aws.org.accounts_in_ou_equal", ou_id=unit, accounts=[organization.account]).holds
    assert not ask(aws, "aws.org.accounts_in_ou_equal", ou_id=unit, accounts=[]).holds
    assert ask(aws, "aws.org.parent_equals", account_id=organization.account, parent_id=unit).holds
    assert not ask(aws, "aws.org.parent_equals", account_id=organization.account, parent_id="r-ab12").holds


def test_a_unit_that_another_policy_sits_on_is_not_new(aws: Any, organization: Any) -> None:
    org = aws.admin("organizations")
    unit = aws.cloud.actions["aws.organizations.create_organizational_unit"].apply(
        aws.target(organization.account),
        {"parent_id": organization.quarantine, "name": "q"},
        "plan-1/create_ou",
    )["ou_id"]
    theirs = next(p["Id"] for p in org.list_policies(Filter=SCP)["Policies"] if p["Name"] == "no-leave")
    org.attach_policy(PolicyId=theirs, TargetId=unit)
    assert why(ask(aws, "aws.org.ou_is_empty_and_new", ou_id=unit)) == "aws.org.unit_not_empty"


def test_a_policys_targets_are_compared_exactly(aws: Any, organization: Any) -> None:
    org = aws.admin("organizations")
    theirs = next(p["Id"] for p in org.list_policies(Filter=SCP)["Policies"] if p["Name"] == "no-leave")
    check = "aws.org.policy_targets_equal"
    assert ask(aws, check, policy_id=theirs, targets=[organization.workloads]).holds
    assert not ask(aws, check, policy_id=theirs, targets=[]).holds
    org.attach_policy(PolicyId=theirs, TargetId=organization.root)
    assert not ask(aws, check, policy_id=theirs, targets=[organization.workloads]).holds


def test_a_policy_is_checked_by_our_parser_where_the_analyzer_does_not_answer(
    aws: Any, organization: Any
) -> None:
    """moto has no Access Analyzer: what is seen says who was heard."""
    org = aws.admin("organizations")
    good = next(p["Id"] for p in org.list_policies(Filter=SCP)["Policies"] if p["Name"] == "no-leave")
    result = ask(aws, "aws.accessanalyzer.scp_is_valid", policy_id=good)
    assert (result.holds, result.seen["used"]) == (True, "twokey.scp")
    bad = org.create_policy(
        Name="bad", Description="-", Type=SCP, Content='{"Version":"2012-10-17","Statement":[]}'
    )
    result = ask(aws, "aws.accessanalyzer.scp_is_valid", policy_id=bad["Policy"]["PolicySummary"]["Id"])
    assert why(result) == "aws.scp.no_statement"


def test_the_analyzers_errors_are_heard_where_it_answers(aws: Any, organization: Any) -> None:
    org = aws.admin("organizations")
    policy = next(p["Id"] for p in org.list_policies(Filter=SCP)["Policies"] if p["Name"] == "no-leave")
    finding = {
        "findingDetails": "-", "findingType": "ERROR", "issueCode": "INVALID_ACTION", "learnMoreLink": "-", "locations": [],
    }  # fmt: skip
    with Stubber(aws.session.client("accessanalyzer", aws.own)) as stub:
        stub.add_response("validate_policy", {"findings": [finding]})
        result = ask(aws, "aws.accessanalyzer.scp_is_valid", policy_id=policy)
        assert why(result) == "aws.scp.not_valid"
        stub.add_response("validate_policy", {"findings": [{**finding, "findingType": "SUGGESTION"}]})
        result = ask(aws, "aws.accessanalyzer.scp_is_valid", policy_id=policy)
        assert (result.holds, result.seen["used"]) == (True, "accessanalyzer")


def test_keys_and_users(aws: Any, leak: Any) -> None:
    account = "aws.sts.access_key_account_equals"
    assert ask(aws, account, access_key_id=leak.key, account_id=aws.victim).holds
    assert not ask(aws, account, aws.own, access_key_id=leak.key, account_id=aws.own).holds
    assert not ask(aws, account, aws.own, access_key_id=leak.key, account_id=aws.victim).holds
    assert ask(aws, "aws.sts.key_is_not_own", access_key_id=leak.key).holds
    assert not ask(aws, "aws.sts.key_is_not_own", access_key_id=aws.options.access_key_id).holds
    assert ask(aws, "aws.iam.key_status_equals", access_key_id=leak.key, status="Active").holds
    assert not ask(aws, "aws.iam.key_status_equals", access_key_id=leak.key, status="Inactive").holds
    assert ask(aws, "aws.iam.user_has_no_tag", access_key_id=leak.key).holds
    assert not ask(aws, "aws.iam.user_has_no_tag", access_key_id=leak.key, tag="team").holds
    assert not ask(aws, "aws.iam.user_has_no_tag", user_name=leak.user, tag="team").holds
    assert ask(aws, "aws.iam.user_policy_present", user_name=leak.user, policy_name="its-own").holds
    assert not ask(aws, "aws.iam.user_policy_present", user_name=leak.user, policy_name="other").holds


def test_buckets(aws: Any) -> None:
    s3 = aws.admin("s3", aws.victim)
    for name in ("backups-one", "backups-two"):
        s3.create_bucket(Bucket=name)
    aws.admin("s3").create_bucket(Bucket="not-theirs")
    owned = "aws.s3.bucket_owned_by_account"
    assert ask(aws, owned, bucket="backups-one").holds
    assert ask(aws, owned, buckets=["backups-two", "backups-one"]).seen == {
        "buckets": ["backups-one", "backups-two"]
    }
    for name in ("not-theirs", "no-such-bucket", "backups-on", "Not A Name"):
        assert not ask(aws, owned, buckets=["backups-one", name]).holds, name
    assert why(ask(aws, "aws.s3.bucket_policy_protects", bucket="backups-one")) == "aws.s3.not_protected"
    assert ask(aws, "aws.s3.bucket_has_no_tag", buckets=["backups-one", "backups-two"]).holds
    s3.put_bucket_tagging(
        Bucket="backups-two", Tagging={"TagSet": [{"Key": "twokey:never-contain", "Value": ""}]}
    )
    assert (
        why(ask(aws, "aws.s3.bucket_has_no_tag", buckets=["backups-one", "backups-two"]))
        == "aws.s3.has_never_tag"
    )


def test_a_protection_that_was_weakened_does_not_protect(aws: Any) -> None:
    import json

    s3 = aws.admin("s3", aws.victim)
    s3.create_bucket(Bucket="backups-one")
    weak = {"Sid": "TwokeyProtect", "Effect": "Deny", "Principal": "*", "Action": "s3:DeleteBucket",
            "Resource": "arn:aws:s3:::backups-one"}  # fmt: skip
    s3.put_bucket_policy(
        Bucket="backups-one", Policy=json.dumps({"Version": "2012-10-17", "Statement": [weak]})
    )
    result = ask(aws, "aws.s3.bucket_policy_protects", bucket="backups-one")
    assert why(result) == "aws.s3.document_not_protection"


def test_denied_in_the_account_is_proven_by_our_evaluator(aws: Any, organization: Any) -> None:
    simulate = aws.cloud.actions["aws.iam.simulate_denied"]
    target = aws.target(organization.account)
    inputs = {"account_id": organization.account, "actions": ["s3:DeleteBucket"]}
    from twokey.core.errors import Refused

    with pytest.raises(Refused) as caught:
        simulate.apply(target, inputs, "")
    assert caught.value.message.code == "aws.scp.not_denied"
    org = aws.admin("organizations")
    policy = org.create_policy(Name="all", Description="-", Type=SCP, Content=DENY_ALL)["Policy"][
        "PolicySummary"
    ]
    org.attach_policy(PolicyId=policy["Id"], TargetId=organization.workloads)
    assert simulate.apply(target, inputs, "") == {"denied": ["s3:DeleteBucket"], "used": "twokey.scp"}


def test_awss_simulator_is_heard_where_it_tells_what_the_organisation_decides(
    aws: Any, organization: Any
) -> None:
    simulate = aws.cloud.actions["aws.iam.simulate_denied"]
    target = aws.target(organization.account)
    inputs = {
        "account_id": organization.account,
        "actions": ["s3:DeleteBucket"],
        "principal_arn": f"arn:aws:iam::{organization.account}:user/backup",
    }
    result = {"EvalActionName": "s3:DeleteBucket", "EvalDecision": "explicitDeny",
              "OrganizationsDecisionDetail": {"AllowedByOrganizations": False}}  # fmt: skip
    with Stubber(aws.session.client("iam", organization.account)) as stub:
        stub.add_response("simulate_principal_policy", {"EvaluationResults": [result], "IsTruncated": False})
        found = simulate.apply(target, inputs, "")
    assert found["used"] == "iam.simulate_principal_policy"


def test_reading_actions_are_simply_done_again(aws: Any) -> None:
    for action in aws.cloud.actions.values():
        if not action.effect.is_write:
            assert action.find(aws.target(), {}, "").found is Found.NOT_DONE
            assert action.capture(aws.target(), {}) == {}
