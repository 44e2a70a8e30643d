"""What AWS actions refuse, inside `apply` too: no preview and no plan is trusted to have looked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from twokey.core.documents import render_document
from twokey.core.errors import NotFound, Refused
from twokey.core.executions import Found

SCP = "SERVICE_CONTROL_POLICY"
DENY_ALL = '{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}'


def refused(action: Any, target: Any, inputs: dict[str, Any], key: str = "plan-1/step") -> str:
    """Return the code of the refusal, which preview and apply must give alike."""
    with pytest.raises(Refused) as caught:
        action.apply(target, inputs, key)
    preview = action.preview(target, inputs)
    if preview.refusal:
        assert preview.refusal.code == caught.value.message.code
    return caught.value.message.code


# keys


def test_a_temporary_key_is_refused_because_it_has_no_user(aws: Any, leak: Any) -> None:
    inputs = {"user_name": leak.user, "access_key_id": "ASIA" + leak.key[4:], "status": "Inactive"}
    assert (
        refused(aws.cloud.actions["aws.iam.update_access_key"], aws.target(), inputs) == "aws.key.temporary"
    )


def test_our_own_key_is_refused(aws: Any, leak: Any) -> None:
    own = aws.options.access_key_id
    inputs = {"user_name": leak.user, "access_key_id": own, "status": "Inactive"}
    assert refused(aws.cloud.actions["aws.iam.update_access_key"], aws.target(), inputs) == "aws.key.is_own"


def test_a_key_of_another_account_is_refused(aws: Any, leak: Any) -> None:
    inputs = {"user_name": leak.user, "access_key_id": leak.key, "status": "Inactive"}
    other = aws.target("333333333333")
    assert refused(aws.cloud.actions["aws.iam.update_access_key"], other, inputs) == "aws.key.other_account"


def test_a_key_is_never_changed_under_another_users_name(aws: Any, leak: Any) -> None:
    aws.admin("iam", aws.victim).create_user(UserName="somebody")
    inputs = {"user_name": "somebody", "access_key_id": leak.key, "status": "Inactive"}
    assert (
        refused(aws.cloud.actions["aws.iam.update_access_key"], aws.target(), inputs) == "aws.key.not_of_user"
    )


def test_the_user_is_always_named_to_aws(aws: Any, leak: Any) -> None:
    """Without UserName the API acts on the caller's own user."""
    inputs = {"user_name": leak.user, "access_key_id": leak.key, "status": "Inactive"}
    aws.cloud.actions["aws.iam.update_access_key"].apply(aws.target(), inputs, "plan-1/step")
    sent = [params["body"] for name, params in aws.session.bodies if name == "iam:UpdateAccessKey"]
    assert [body["UserName"] for body in sent] == [leak.user]


def test_only_the_leaked_key_is_switched_off(aws: Any, leak: Any) -> None:
    inputs = {"user_name": leak.user, "access_key_id": leak.key, "status": "Inactive"}
    aws.cloud.actions["aws.iam.update_access_key"].apply(aws.target(), inputs, "plan-1/step")
    keys = aws.admin("iam", aws.victim).list_access_keys(UserName=leak.user)["AccessKeyMetadata"]
    assert {k["AccessKeyId"]: k["Status"] for k in keys} == {leak.key: "Inactive", leak.other_key: "Active"}


def test_a_status_that_is_none_is_refused(aws: Any, leak: Any) -> None:
    inputs = {"user_name": leak.user, "access_key_id": leak.key, "status": "Deleted"}
    assert (
        refused(aws.cloud.actions["aws.iam.update_access_key"], aws.target(), inputs)
        == "aws.key.unknown_status"
    )


def test_the_user_that_we_are_is_never_contained(aws: Any) -> None:
    """moto's caller is a user of the bot's own account: denying it everything would lock the bot out."""
    me = aws.admin("sts").get_caller_identity()["Arn"].rpartition("/")[2]
    aws.admin("iam").create_user(UserName=me)
    inputs = {"user_name": me, "policy_name": "q", "document": DENY_ALL}
    assert (
        refused(aws.cloud.actions["aws.iam.put_user_policy"], aws.target(aws.own), inputs)
        == "aws.iam.user_is_own"
    )


def test_a_policy_of_the_same_name_with_another_content_is_never_overwritten(aws: Any, leak: Any) -> None:
    inputs = {"user_name": leak.user, "policy_name": "its-own", "document": DENY_ALL}
    action = aws.cloud.actions["aws.iam.put_user_policy"]
    assert refused(action, aws.target(), inputs) == "aws.iam.policy_differs"
    assert action.find(aws.target(), inputs, "plan-1/step").found is Found.CANNOT_TELL


def test_only_the_policy_that_we_wrote_is_deleted(aws: Any, leak: Any) -> None:
    inputs = {"user_name": leak.user, "policy_name": "its-own", "sha256": "0" * 64}
    assert (
        refused(aws.cloud.actions["aws.iam.delete_user_policy"], aws.target(), inputs)
        == "aws.iam.policy_differs"
    )


def test_the_user_of_a_key_is_known_while_the_plan_is_made(aws: Any, leak: Any) -> None:
    """The step's user comes from an earlier step, but people must see whom it is about."""
    later = "${{ steps.resolve.outputs.user_name }}"
    key = aws.cloud.actions["aws.iam.update_access_key"].preview(
        aws.target(), {"user_name": later, "access_key_id": leak.key, "status": "Inactive"}
    )
    policy = aws.cloud.actions["aws.iam.put_user_policy"].preview(
        aws.target(),
        {"user_name": later, "access_key_id": leak.key, "policy_name": "q", "document": DENY_ALL},
    )
    for preview in (key, policy):
        assert preview.observed["user_name"] == leak.user
        assert ("principal", leak.user) in {(t.kind, t.id) for t in preview.touches}
        assert preview.counts == {"principals": 1}


def test_a_key_that_does_not_exist_is_told_as_not_found(aws: Any, leak: Any) -> None:
    missing = "AKIA" + "X" * 16
    with pytest.raises(NotFound):
        aws.cloud.actions["aws.iam.get_access_key_last_used"].apply(
            aws.target(aws.own), {"access_key_id": missing}, ""
        )


def test_a_snapshot_keeps_all_that_a_user_can_act_with(aws: Any, leak: Any) -> None:
    seen = aws.cloud.actions["aws.iam.snapshot_user"].apply(
        aws.target(), {"user_name": leak.user, "access_key_id": leak.key}, ""
    )
    assert seen["keys"] == {leak.key: "Active", leak.other_key: "Active"}
    assert seen["key_status"] == "Active"
    assert seen["tags"] == {"team": "storage"}
    assert "s3:*" in seen["inline_policies"]["its-own"]
    # moto does not know service-specific credentials: what could not be read is said, and does not stop the rest.
    assert [part.split(":")[0] for part in seen["not_readable"]] == ["list_service_specific_credentials"]


# buckets


def protection(bucket: str, account: str, role: str = "TwokeyResponder") -> str:
    template = Path(__file__).parents[3] / "runbooks" / "documents" / "s3" / "protect-bucket.json"
    values = {"bucket": bucket, "account_id": account, "responder_role_name": role}
    return render_document(template.read_text(), values)


@pytest.fixture
def bucket(aws: Any) -> str:
    aws.admin("s3", aws.victim).create_bucket(Bucket="backups-one")
    return "backups-one"


def test_a_bucket_of_another_account_is_refused(aws: Any, bucket: str) -> None:
    inputs = {"bucket": bucket, "document": protection(bucket, "333333333333")}
    merge = aws.cloud.actions["aws.s3.merge_bucket_policy"]
    assert refused(merge, aws.target("333333333333"), inputs) == "aws.s3.other_owner"


def test_every_call_about_a_bucket_names_its_owner(aws: Any, bucket: str) -> None:
    inputs = {"bucket": bucket, "document": protection(bucket, aws.victim)}
    aws.cloud.actions["aws.s3.merge_bucket_policy"].apply(aws.target(), inputs, "plan-1/step")
    sent = [
        p["headers"] for name, p in aws.session.bodies if name.startswith("s3:") and name != "s3:ListBuckets"
    ]
    assert sent
    assert all(headers["x-amz-expected-bucket-owner"] == aws.victim for headers in sent)


def test_a_statement_with_our_sid_and_another_content_is_left_alone(aws: Any, bucket: str) -> None:
    theirs = {"Version": "2012-10-17", "Statement": [{"Sid": "TwokeyProtect", "Effect": "Allow", "Principal": "*",
              "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/*"}]}  # fmt: skip
    aws.admin("s3", aws.victim).put_bucket_policy(Bucket=bucket, Policy=json.dumps(theirs))
    inputs = {"bucket": bucket, "document": protection(bucket, aws.victim)}
    assert (
        refused(aws.cloud.actions["aws.s3.merge_bucket_policy"], aws.target(), inputs) == "aws.s3.sid_taken"
    )


def test_a_policy_that_would_be_too_large_is_refused(aws: Any, bucket: str) -> None:
    many = [{"Sid": f"Read{n}", "Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{n:012d}:root"},
             "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/*"} for n in range(150)]  # fmt: skip
    policy = json.dumps({"Version": "2012-10-17", "Statement": many}, separators=(",", ":"))
    aws.admin("s3", aws.victim).put_bucket_policy(Bucket=bucket, Policy=policy)
    inputs = {"bucket": bucket, "document": protection(bucket, aws.victim)}
    assert (
        refused(aws.cloud.actions["aws.s3.merge_bucket_policy"], aws.target(), inputs)
        == "aws.s3.policy_too_large"
    )


def test_a_policy_that_would_lock_ourselves_out_is_refused(aws: Any, bucket: str) -> None:
    inputs = {"bucket": bucket, "document": protection(bucket, aws.victim, role="SomebodyElse")}
    assert (
        refused(aws.cloud.actions["aws.s3.merge_bucket_policy"], aws.target(), inputs)
        == "aws.s3.would_lock_out"
    )


@pytest.mark.parametrize(
    ("part", "change"),
    [
        ("Resource", {"Resource": ["arn:aws:s3:::backups-one", "arn:aws:s3:::another/*"]}),
        ("Action", {"Action": ["s3:DeleteObject*"]}),
        ("Effect", {"Effect": "Allow"}),
        ("Sid", {"Sid": "Other"}),
        ("Principal", {"Principal": {"AWS": "arn:aws:iam::222222222222:user/x"}}),
        ("Condition", {"Condition": {"ArnNotLike": {"aws:PrincipalArn": ["*"]}}}),
        (
            "Condition",
            {"Condition": {"ArnNotLike": {"aws:PrincipalArn": ["arn:aws:iam::*:role/TwokeyResponder"]}}},
        ),
        (
            "Condition",
            {"Condition": {"ArnNotLike": {"aws:PrincipalArn": ["arn:aws:iam::222222222222:role/*"]}}},
        ),
        ("Condition", {"Condition": {}}),
        ("Condition", {"NotAction": "s3:*"}),
    ],
)
def test_a_document_that_is_not_the_protection_of_this_bucket_is_refused(
    aws: Any, bucket: str, part: str, change: dict[str, Any]
) -> None:
    document = json.loads(protection(bucket, aws.victim))
    document["Statement"][0].update(change)
    inputs = {"bucket": bucket, "document": json.dumps(document)}
    merge = aws.cloud.actions["aws.s3.merge_bucket_policy"]
    assert merge.preview(aws.target(), inputs).refusal.params["part"] == part
    assert refused(merge, aws.target(), inputs) == "aws.s3.document_not_protection"


def test_statements_that_are_there_keep_their_meaning(aws: Any, bucket: str) -> None:
    theirs = {"Version": "2008-10-17", "Id": "x", "Statement": {"Effect": "Deny", "Principal": {"AWS": "*"},
              "NotAction": ["s3:GetObject"], "Resource": [f"arn:aws:s3:::{bucket}/*"],
              "Condition": {"Bool": {"aws:SecureTransport": False}}}}  # fmt: skip
    s3 = aws.admin("s3", aws.victim)
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(theirs))
    inputs = {"bucket": bucket, "document": protection(bucket, aws.victim)}
    aws.cloud.actions["aws.s3.merge_bucket_policy"].apply(aws.target(), inputs, "plan-1/step")
    after = json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])
    assert after["Statement"][0] == theirs["Statement"]
    assert (after["Version"], after["Id"], len(after["Statement"])) == ("2008-10-17", "x", 2)


def test_a_bucket_policy_that_was_changed_since_is_not_thrown_away(aws: Any, bucket: str) -> None:
    merge, restore = (aws.cloud.actions[f"aws.s3.{n}_bucket_policy"] for n in ("merge", "restore"))
    inputs = {"bucket": bucket, "document": protection(bucket, aws.victim)}
    prior = merge.capture(aws.target(), inputs)
    outputs = merge.apply(aws.target(), inputs, "plan-1/step")
    s3 = aws.admin("s3", aws.victim)
    policy = json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])
    policy["Statement"].append({"Sid": "New", "Effect": "Deny", "Principal": "*", "Action": "s3:PutObject",
                                "Resource": f"arn:aws:s3:::{bucket}/*"})  # fmt: skip
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))
    assert refused(restore, aws.target(), {**outputs, **prior}) == "aws.s3.policy_changed_since"


def test_a_restore_without_a_saved_policy_is_refused_rather_than_guessed(aws: Any, bucket: str) -> None:
    restore = aws.cloud.actions["aws.s3.restore_bucket_policy"]
    with pytest.raises(Refused) as caught:
        restore.apply(aws.target(), {"bucket": bucket, "policy": None, "policy_sha256": "x"}, "plan-1/step")
    assert caught.value.message.code == "aws.input_missing"


def test_lifecycle_rules_that_delete_are_shown(aws: Any, bucket: str) -> None:
    aws.admin("s3", aws.victim).put_bucket_lifecycle_configuration(
        Bucket=bucket,
        LifecycleConfiguration={
            "Rules": [{"ID": "evil", "Status": "Enabled", "Prefix": "", "Expiration": {"Days": 1}}]
        },
    )
    inputs = {"bucket": bucket, "document": protection(bucket, aws.victim)}
    preview = aws.cloud.actions["aws.s3.merge_bucket_policy"].preview(aws.target(), inputs)
    assert [n.params["count"] for n in preview.warnings if n.code == "aws.s3.lifecycle_goes_on"] == ["1"]


# the organisation


@pytest.fixture
def made(aws: Any, organization: Any) -> tuple[str, str]:
    """Return the unit and the policy that earlier steps of plan-1 made."""
    target = aws.target(organization.account)
    unit = aws.cloud.actions["aws.organizations.create_organizational_unit"].apply(
        target, {"parent_id": organization.quarantine, "name": "quarantine-INC-1"}, "plan-1/create_ou"
    )
    policy = aws.cloud.actions["aws.organizations.create_policy"].apply(
        target, {"name": "twokey-quarantine-INC-1", "type": SCP, "document": DENY_ALL}, "plan-1/create_scp"
    )
    return str(unit["ou_id"]), str(policy["policy_id"])


def test_a_deny_policy_is_never_attached_to_the_root(aws: Any, organization: Any, made: Any) -> None:
    """The accident that this program learns from. moto accepts it, so the refusal is ours alone."""
    before = organization.world()
    inputs = {"policy_id": made[1], "target_id": organization.root}
    attach = aws.cloud.actions["aws.organizations.attach_policy"]
    for written in (organization.root, organization.root.upper(), f" {organization.root}"):
        with pytest.raises(Refused) as caught:
            attach.apply(aws.target(organization.account), {**inputs, "target_id": written}, "plan-1/attach")
        assert caught.value.message.code == "aws.org.is_root"
    assert attach.preview(aws.target(organization.account), inputs).refusal.code == "aws.org.is_root"
    assert "organizations:AttachPolicy" not in aws.session.made
    assert organization.world() == before


@pytest.mark.parametrize("where", ["account", "workloads", "quarantine"])
def test_a_policy_goes_only_to_a_unit_that_the_same_plan_made(
    aws: Any, organization: Any, made: Any, where: str
) -> None:
    inputs = {"policy_id": made[1], "target_id": getattr(organization, where)}
    attach = aws.cloud.actions["aws.organizations.attach_policy"]
    with pytest.raises(Refused) as caught:
        attach.apply(aws.target(organization.account), inputs, "plan-1/attach")
    assert caught.value.message.code == (
        "aws.org.not_a_unit" if where == "account" else "aws.org.unit_not_ours"
    )
    assert "organizations:AttachPolicy" not in aws.session.made


def test_a_policy_does_not_go_to_a_unit_of_another_plan(aws: Any, organization: Any, made: Any) -> None:
    inputs = {"policy_id": made[1], "target_id": made[0]}
    with pytest.raises(Refused) as caught:
        aws.cloud.actions["aws.organizations.attach_policy"].apply(
            aws.target(organization.account), inputs, "plan-2/attach"
        )
    assert caught.value.message.code == "aws.org.unit_not_ours"


def test_a_policy_does_not_go_to_a_unit_that_has_an_account_in_it(
    aws: Any, organization: Any, made: Any
) -> None:
    """A wrong target shows itself by not being empty."""
    aws.admin("organizations").move_account(
        AccountId=organization.other, SourceParentId=organization.workloads, DestinationParentId=made[0]
    )
    inputs = {"policy_id": made[1], "target_id": made[0]}
    with pytest.raises(Refused) as caught:
        aws.cloud.actions["aws.organizations.attach_policy"].apply(
            aws.target(organization.account), inputs, "plan-1/attach"
        )
    assert caught.value.message.code == "aws.org.unit_not_empty"


def test_a_policy_that_somebody_else_made_is_not_attached(aws: Any, organization: Any, made: Any) -> None:
    org = aws.admin("organizations")
    theirs = next(p["Id"] for p in org.list_policies(Filter=SCP)["Policies"] if p["Name"] == "no-leave")
    with pytest.raises(Refused) as caught:
        aws.cloud.actions["aws.organizations.attach_policy"].apply(
            aws.target(organization.account), {"policy_id": theirs, "target_id": made[0]}, "plan-1/attach"
        )
    assert caught.value.message.code == "aws.org.policy_not_ours"


def test_no_guardrail_of_others_can_be_taken_off(aws: Any, organization: Any) -> None:
    org = aws.admin("organizations")
    theirs = next(p["Id"] for p in org.list_policies(Filter=SCP)["Policies"] if p["Name"] == "no-leave")
    inputs = {"policy_id": theirs, "target_id": organization.workloads}
    detach = aws.cloud.actions["aws.organizations.detach_policy"]
    assert refused(detach, aws.target(organization.account), inputs) == "aws.org.unit_not_ours"
    delete = aws.cloud.actions["aws.organizations.delete_policy"]
    assert (
        refused(delete, aws.target(organization.account), {"policy_id": theirs}) == "aws.org.policy_not_ours"
    )


@pytest.mark.parametrize("parent", ["root", "account"])
def test_a_quarantine_unit_is_not_made_under_the_root(aws: Any, organization: Any, parent: str) -> None:
    inputs = {"parent_id": getattr(organization, parent), "name": "quarantine-INC-1"}
    create = aws.cloud.actions["aws.organizations.create_organizational_unit"]
    code = "aws.org.is_root" if parent == "root" else "aws.org.not_a_unit"
    assert refused(create, aws.target(organization.account), inputs) == code


def test_a_unit_or_policy_of_that_name_that_others_made_is_not_adopted(aws: Any, organization: Any) -> None:
    """One reused an isolation group by its name without reading its rules."""
    org = aws.admin("organizations")
    org.create_organizational_unit(ParentId=organization.quarantine, Name="quarantine-INC-1")
    org.create_policy(Name="twokey-quarantine-INC-1", Description="-", Type=SCP, Content=DENY_ALL)
    target = aws.target(organization.account)
    unit = aws.cloud.actions["aws.organizations.create_organizational_unit"]
    inputs = {"parent_id": organization.quarantine, "name": "quarantine-INC-1"}
    assert refused(unit, target, inputs) == "aws.org.unit_name_taken"
    policy = aws.cloud.actions["aws.organizations.create_policy"]
    inputs = {"name": "twokey-quarantine-INC-1", "type": SCP, "document": DENY_ALL}
    assert refused(policy, target, inputs) == "aws.org.policy_name_taken"


def test_a_unit_that_is_not_empty_is_not_deleted(aws: Any, organization: Any, made: Any) -> None:
    """moto deletes it with the account inside."""
    aws.admin("organizations").move_account(
        AccountId=organization.account, SourceParentId=organization.workloads, DestinationParentId=made[0]
    )
    with pytest.raises(Refused) as caught:
        aws.cloud.actions["aws.organizations.delete_organizational_unit"].apply(
            aws.target(organization.account), {"ou_id": made[0]}, "plan-2/undo"
        )
    assert caught.value.message.code == "aws.org.unit_not_empty"


def test_a_policy_that_is_attached_is_not_deleted(aws: Any, organization: Any, made: Any) -> None:
    aws.admin("organizations").attach_policy(PolicyId=made[1], TargetId=made[0])
    with pytest.raises(Refused) as caught:
        aws.cloud.actions["aws.organizations.delete_policy"].apply(
            aws.target(organization.account), {"policy_id": made[1]}, "plan-2/undo"
        )
    assert caught.value.message.code == "aws.org.policy_in_use"


def moving(organization: Any, made: Any, account: str, source: str = "") -> dict[str, Any]:
    source = source or organization.workloads
    return {"account_id": account, "source_parent_id": source, "destination_parent_id": made[0]}


def test_the_management_account_which_is_our_own_is_never_moved(
    aws: Any, organization: Any, made: Any
) -> None:
    move = aws.cloud.actions["aws.organizations.move_account"]
    inputs = moving(organization, made, aws.own, organization.root)
    assert refused(move, aws.target(aws.own), inputs) == "aws.org.is_own_account"


def test_a_delegated_administrator_is_never_moved(aws: Any, organization: Any, made: Any) -> None:
    aws.admin("organizations").register_delegated_administrator(
        AccountId=organization.account, ServicePrincipal="guardduty.amazonaws.com"
    )
    move = aws.cloud.actions["aws.organizations.move_account"]
    inputs = moving(organization, made, organization.account)
    assert refused(move, aws.target(organization.account), inputs) == "aws.org.is_delegated_administrator"


def test_an_account_that_people_have_tagged_is_never_moved(aws: Any, organization: Any, made: Any) -> None:
    aws.admin("organizations").tag_resource(
        ResourceId=organization.account, Tags=[{"Key": "twokey:never-contain", "Value": "log archive"}]
    )
    move = aws.cloud.actions["aws.organizations.move_account"]
    inputs = moving(organization, made, organization.account)
    assert refused(move, aws.target(organization.account), inputs) == "aws.org.has_never_tag"


def test_an_account_that_is_not_the_plans_target_is_not_moved(aws: Any, organization: Any, made: Any) -> None:
    move = aws.cloud.actions["aws.organizations.move_account"]
    inputs = moving(organization, made, organization.other)
    assert refused(move, aws.target(organization.account), inputs) == "aws.org.not_the_target"


def test_an_account_is_moved_from_where_people_saw_it_or_not_at_all(
    aws: Any, organization: Any, made: Any
) -> None:
    aws.admin("organizations").move_account(
        AccountId=organization.account,
        SourceParentId=organization.workloads,
        DestinationParentId=organization.quarantine,
    )
    move = aws.cloud.actions["aws.organizations.move_account"]
    with pytest.raises(Refused) as caught:
        move.apply(
            aws.target(organization.account), moving(organization, made, organization.account), "plan-1/move"
        )
    assert caught.value.message.code == "aws.org.parent_differs"


def test_no_second_account_is_moved_into_the_unit(aws: Any, organization: Any, made: Any) -> None:
    """The blast radius is one account: what else is there would share its policy."""
    aws.admin("organizations").move_account(
        AccountId=organization.other, SourceParentId=organization.workloads, DestinationParentId=made[0]
    )
    move = aws.cloud.actions["aws.organizations.move_account"]
    inputs = moving(organization, made, organization.account)
    assert refused(move, aws.target(organization.account), inputs) == "aws.org.unit_not_empty"


def test_an_account_is_not_moved_into_a_unit_without_our_policy(
    aws: Any, organization: Any, made: Any
) -> None:
    """It would leave its own guardrails behind and stand behind none: a policy of somebody else is not ours."""
    org = aws.admin("organizations")
    (theirs,) = [
        p["Id"]
        for p in org.list_policies(Filter="SERVICE_CONTROL_POLICY")["Policies"]
        if p["Name"] == "no-leave"
    ]
    org.attach_policy(PolicyId=theirs, TargetId=made[0])
    move, target = aws.cloud.actions["aws.organizations.move_account"], aws.target(organization.account)
    inputs = moving(organization, made, organization.account)
    with pytest.raises(Refused) as caught:
        move.apply(target, inputs, "plan-1/move")
    assert caught.value.message.code == "aws.org.unit_has_no_policy"
    assert org.list_parents(ChildId=organization.account)["Parents"][0]["Id"] == organization.workloads
    org.attach_policy(PolicyId=made[1], TargetId=made[0])
    move.apply(target, inputs, "plan-1/move")
    assert org.list_parents(ChildId=organization.account)["Parents"][0]["Id"] == made[0]


@pytest.mark.parametrize("destination", ["root", "quarantine"])
def test_twokey_moves_accounts_only_in_and_out_of_its_own_units(
    aws: Any, organization: Any, destination: str
) -> None:
    inputs = {
        "account_id": organization.account,
        "source_parent_id": organization.workloads,
        "destination_parent_id": getattr(organization, destination),
    }
    move = aws.cloud.actions["aws.organizations.move_account"]
    code = "aws.org.is_root" if destination == "root" else "aws.org.unit_not_ours"
    assert refused(move, aws.target(organization.account), inputs) == code


def test_an_account_that_lived_under_the_root_may_go_back_there(
    aws: Any, organization: Any, made: Any
) -> None:
    org = aws.admin("organizations")
    org.move_account(
        AccountId=organization.account,
        SourceParentId=organization.workloads,
        DestinationParentId=organization.root,
    )
    org.attach_policy(PolicyId=made[1], TargetId=made[0])
    move, target = aws.cloud.actions["aws.organizations.move_account"], aws.target(organization.account)
    there = moving(organization, made, organization.account, organization.root)
    prior = move.capture(target, there)
    move.apply(target, there, "plan-1/move")
    back = {
        "account_id": organization.account,
        "source_parent_id": made[0],
        "destination_parent_id": prior["parent_id"],
    }
    assert move.preview(target, back).counts == {"accounts": 1}
    move.apply(target, back, "plan-2/undo")
    assert org.list_parents(ChildId=organization.account)["Parents"][0]["Id"] == organization.root


def test_the_move_says_what_the_account_loses(aws: Any, organization: Any) -> None:
    inputs = {
        "account_id": organization.account,
        "source_parent_id": "${{ steps.record_parent.outputs.parent_id }}",
        "destination_parent_id": "${{ steps.create_ou.outputs.ou_id }}",
        "destination_under": organization.quarantine,
    }
    preview = aws.cloud.actions["aws.organizations.move_account"].preview(
        aws.target(organization.account), inputs
    )
    assert preview.refusal is None
    assert preview.counts == {"accounts": 1}
    notes = {note.code: note.params for note in preview.warnings}
    assert notes["aws.org.policies_change"]["lost"] == "no-leave"
    assert notes["aws.org.moves"]["path"] == f"Root / Workloads / {organization.account}"
    assert notes["aws.org.moves"]["name"] == "prod"


def test_a_policy_text_that_organizations_would_refuse_is_refused_first(aws: Any, organization: Any) -> None:
    create = aws.cloud.actions["aws.organizations.create_policy"]
    bad = (
        '{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*","Principal":"*"}]}'
    )
    inputs = {"name": "q", "type": SCP, "document": bad}
    assert refused(create, aws.target(organization.account), inputs) == "aws.scp.unknown_element"
    inputs = {"name": "q", "type": "TAG_POLICY", "document": DENY_ALL}
    assert refused(create, aws.target(organization.account), inputs) == "aws.org.policy_type"
