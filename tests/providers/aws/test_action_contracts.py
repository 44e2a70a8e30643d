"""Every action that writes, against a moto server: once is once, undo undoes, previews only read."""

from __future__ import annotations

import json
from typing import Any

import pytest

from twokey.core.documents import render_document
from twokey.testing.contracts.actions import ActionContract, Scene

SCP = "SERVICE_CONTROL_POLICY"
DENY_ALL = '{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*","Sid":"TwokeyQuarantine"}]}'


def a_scene(aws: Any, name: str, inputs: dict[str, Any], world: Any, **more: Any) -> Scene:
    undo = more.pop("undo", None)
    return Scene(
        action=aws.cloud.actions[name],
        target=more.pop("target", aws.target()),
        inputs=inputs,
        world=world,
        calls=aws.calls,
        undo=aws.cloud.actions[undo] if undo else None,
        free=aws.free,
        **more,
    )


def user_world(aws: Any) -> Any:
    """Look at every user's keys and inline policies."""
    iam = aws.admin("iam", aws.victim)

    def look() -> object:
        seen = {}
        for user in iam.list_users()["Users"]:
            name = user["UserName"]
            keys = {
                k["AccessKeyId"]: k["Status"]
                for k in iam.list_access_keys(UserName=name)["AccessKeyMetadata"]
            }
            names = iam.list_user_policies(UserName=name)["PolicyNames"]
            texts = {n: iam.get_user_policy(UserName=name, PolicyName=n)["PolicyDocument"] for n in names}
            seen[name] = (keys, texts)
        return seen

    return look


class TestUpdateAccessKey(ActionContract):
    @pytest.fixture
    def scene(self, aws: Any, leak: Any) -> Scene:
        inputs = {"user_name": leak.user, "access_key_id": leak.key, "status": "Inactive"}
        return a_scene(
            aws,
            "aws.iam.update_access_key",
            inputs,
            user_world(aws),
            undo="aws.iam.update_access_key",
            undo_inputs=lambda outputs, prior: {**inputs, "status": prior["status"]},
        )


class TestPutUserPolicy(ActionContract):
    @pytest.fixture
    def scene(self, aws: Any, leak: Any) -> Scene:
        inputs = {
            "user_name": leak.user,
            "access_key_id": leak.key,
            "policy_name": "twokey-quarantine-INC-1",
            "document": DENY_ALL,
        }
        return a_scene(
            aws,
            "aws.iam.put_user_policy",
            inputs,
            user_world(aws),
            undo="aws.iam.delete_user_policy",
            undo_inputs=lambda outputs, prior: dict(outputs),
        )


class TestDeleteUserPolicy(ActionContract):
    @pytest.fixture
    def scene(self, aws: Any, leak: Any) -> Scene:
        put = {"user_name": leak.user, "policy_name": "twokey-quarantine-INC-1", "document": DENY_ALL}
        outputs = aws.cloud.actions["aws.iam.put_user_policy"].apply(aws.target(), put, "plan-1/deny")
        aws.session.made.clear()
        return a_scene(aws, "aws.iam.delete_user_policy", dict(outputs), user_world(aws))


def protection(bucket: str, account: str) -> str:
    """Render the document as the planner does."""
    from pathlib import Path

    template = Path(__file__).parents[3] / "runbooks" / "documents" / "s3" / "protect-bucket.json"
    values = {"bucket": bucket, "account_id": account, "responder_role_name": "TwokeyResponder"}
    return render_document(template.read_text(), values)


def bucket_world(aws: Any, bucket: str) -> Any:
    """Look at a bucket's policy."""
    s3 = aws.admin("s3", aws.victim)

    def look() -> object:
        try:
            return json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])
        except s3.exceptions.ClientError:
            return None

    return look


THEIRS = {
    "Version": "2012-10-17",
    "Id": "theirs",
    "Statement": {
        "Sid": "OnlyTls",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": "arn:aws:s3:::backups-one/*",
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    },
}


class TestMergeBucketPolicy(ActionContract):
    @pytest.fixture(params=["no policy before", "a policy before"])
    def scene(self, aws: Any, request: pytest.FixtureRequest) -> Scene:
        s3 = aws.admin("s3", aws.victim)
        s3.create_bucket(Bucket="backups-one")
        if request.param == "a policy before":
            s3.put_bucket_policy(Bucket="backups-one", Policy=json.dumps(THEIRS))
        return a_scene(
            aws,
            "aws.s3.merge_bucket_policy",
            {"bucket": "backups-one", "document": protection("backups-one", aws.victim)},
            bucket_world(aws, "backups-one"),
            undo="aws.s3.restore_bucket_policy",
            undo_inputs=lambda outputs, prior: {**outputs, **prior},
        )


class TestRestoreBucketPolicy(ActionContract):
    @pytest.fixture(params=["no policy before", "a policy before"])
    def scene(self, aws: Any, request: pytest.FixtureRequest) -> Scene:
        s3 = aws.admin("s3", aws.victim)
        s3.create_bucket(Bucket="backups-one")
        if request.param == "a policy before":
            s3.put_bucket_policy(Bucket="backups-one", Policy=json.dumps(THEIRS))
        merge = aws.cloud.actions["aws.s3.merge_bucket_policy"]
        inputs = {"bucket": "backups-one", "document": protection("backups-one", aws.victim)}
        prior = merge.capture(aws.target(), inputs)
        outputs = merge.apply(aws.target(), inputs, "plan-1/protect")
        aws.session.made.clear()
        return a_scene(
            aws, "aws.s3.restore_bucket_policy", {**outputs, **prior}, bucket_world(aws, "backups-one")
        )


def quarantine(account: str) -> str:
    """Return the policy that spares nobody but twokey's own role in an account."""
    return _QUARANTINE.replace("222222222222", account)


_QUARANTINE = (
    '{"Version":"2012-10-17","Statement":[{"Sid":"TwokeyQuarantine","Effect":"Deny","Action":"*","Resource":"*",'
    '"Condition":{"ArnNotLike":{"aws:PrincipalArn":["arn:aws:iam::222222222222:role/TwokeyResponder"]}}}]}'
)


def made(aws: Any, organization: Any) -> tuple[str, str]:
    """Create the quarantine unit and policy as the earlier steps of the same plan do."""
    target = aws.target(organization.account)
    unit = aws.cloud.actions["aws.organizations.create_organizational_unit"].apply(
        target, {"parent_id": organization.quarantine, "name": "quarantine-INC-1"}, "plan-1/create_ou"
    )
    policy = aws.cloud.actions["aws.organizations.create_policy"].apply(
        target,
        {"name": "twokey-quarantine-INC-1", "type": SCP, "document": quarantine(organization.account)},
        "plan-1/create_scp",
    )
    aws.session.made.clear()
    return str(unit["ou_id"]), str(policy["policy_id"])


class TestCreateOrganizationalUnit(ActionContract):
    @pytest.fixture
    def scene(self, aws: Any, organization: Any) -> Scene:
        return a_scene(
            aws,
            "aws.organizations.create_organizational_unit",
            {"parent_id": organization.quarantine, "name": "quarantine-INC-1"},
            organization.world,
            target=aws.target(organization.account),
            undo="aws.organizations.delete_organizational_unit",
            undo_inputs=lambda outputs, prior: {"ou_id": outputs["ou_id"]},
        )


class TestDeleteOrganizationalUnit(ActionContract):
    @pytest.fixture
    def scene(self, aws: Any, organization: Any) -> Scene:
        unit, _ = made(aws, organization)
        target = aws.target(organization.account)
        name = "aws.organizations.delete_organizational_unit"
        return a_scene(aws, name, {"ou_id": unit}, organization.world, target=target)


class TestCreatePolicy(ActionContract):
    @pytest.fixture
    def scene(self, aws: Any, organization: Any) -> Scene:
        return a_scene(
            aws,
            "aws.organizations.create_policy",
            {"name": "twokey-quarantine-INC-1", "type": SCP, "document": quarantine(organization.account)},
            organization.world,
            target=aws.target(organization.account),
            undo="aws.organizations.delete_policy",
            undo_inputs=lambda outputs, prior: {"policy_id": outputs["policy_id"]},
        )


class TestDeletePolicy(ActionContract):
    @pytest.fixture
    def scene(self, aws: Any, organization: Any) -> Scene:
        _, policy = made(aws, organization)
        target = aws.target(organization.account)
        name = "aws.organizations.delete_policy"
        return a_scene(aws, name, {"policy_id": policy}, organization.world, target=target)


class TestAttachPolicy(ActionContract):
    @pytest.fixture
    def scene(self, aws: Any, organization: Any) -> Scene:
        unit, policy = made(aws, organization)
        return a_scene(
            aws,
            "aws.organizations.attach_policy",
            {"policy_id": policy, "target_id": unit},
            organization.world,
            target=aws.target(organization.account),
            undo="aws.organizations.detach_policy",
            undo_inputs=lambda outputs, prior: dict(outputs),
            key="plan-1/attach_scp",
        )

    def test_the_preview_changes_nothing_and_does_not_refuse_what_is_fine(self, scene: Scene) -> None:
        """While a plan is made the unit does not exist: a target that does is never one of ours to come."""
        before = scene.world()
        inputs = {
            "policy_id": "${{ steps.create_scp.outputs.policy_id }}",
            "target_id": "${{ steps.create_ou.outputs.ou_id }}",
        }
        assert scene.action.preview(scene.target, inputs).refusal is None
        refusal = scene.action.preview(scene.target, scene.inputs).refusal
        assert refusal is not None
        assert refusal.code == "aws.org.target_already_known"
        assert scene.world() == before


class TestDetachPolicy(ActionContract):
    @pytest.fixture
    def scene(self, aws: Any, organization: Any) -> Scene:
        unit, policy = made(aws, organization)
        target = aws.target(organization.account)
        inputs = {"policy_id": policy, "target_id": unit}
        aws.cloud.actions["aws.organizations.attach_policy"].apply(target, inputs, "plan-1/attach_scp")
        aws.session.made.clear()
        return a_scene(aws, "aws.organizations.detach_policy", inputs, organization.world, target=target)


class TestMoveAccount(ActionContract):
    @pytest.fixture
    def scene(self, aws: Any, organization: Any) -> Scene:
        unit, policy = made(aws, organization)
        aws.admin("organizations").attach_policy(PolicyId=policy, TargetId=unit)
        inputs = {
            "account_id": organization.account,
            "source_parent_id": organization.workloads,
            "destination_parent_id": unit,
            "destination_under": organization.quarantine,
        }
        return a_scene(
            aws,
            "aws.organizations.move_account",
            inputs,
            organization.world,
            target=aws.target(organization.account),
            undo="aws.organizations.move_account",
            undo_inputs=lambda outputs, prior: {
                "account_id": organization.account,
                "source_parent_id": outputs["parent_id"],
                "destination_parent_id": prior["parent_id"],
            },
        )
