"""Against an emulator that enforces: what was contained really cannot act any more, and comes back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from twokey.core.documents import render_document
from twokey.core.errors import Refused
from twokey.core.runbooks import Target
from twokey.demo.emulators import Ministack
from twokey.providers.aws import AwsOptions, provider
from twokey.testing.clocks import SystemClock

VICTIM = "222222222222"
TARGET = Target(VICTIM, "us-east-1")
RUNBOOKS = Path(__file__).parents[3] / "runbooks" / "documents"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start ministack with AUTH=true on the loopback address, with the responder's role in the victim's account."""
    with Ministack(tmp_path_factory.mktemp("aws")) as emulator:
        iam = client(emulator.url, "iam", VICTIM)
        trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole",
                 "Principal": {"AWS": f"arn:aws:iam::{emulator.account}:root"},
                 "Condition": {"StringEquals": {"sts:ExternalId": "ext-1"}}}]}  # fmt: skip
        iam.create_role(RoleName="TwokeyResponder", AssumeRolePolicyDocument=json.dumps(trust))
        # The very policy that deploy/ hands out: if it lacked anything, this file would fail.
        policy = (RUNBOOKS.parents[1] / "deploy" / "aws" / "iam" / "executor-member.json").read_text()
        iam.put_role_policy(RoleName="TwokeyResponder", PolicyName="twokey", PolicyDocument=policy)
        yield emulator.url


def client(url: str, service: str, key: str, secret: str = "test") -> Any:
    """Return a client; a twelve-digit key is the root of that account."""
    return boto3.client(
        service,
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        config=Config(retries={"total_max_attempts": 1}),
    )


def cloud(url: str, external_id: str = "ext-1") -> Any:
    options = AwsOptions(
        endpoint_url=url, access_key_id="test", secret_access_key="test", external_id=external_id
    )
    return provider(options, SystemClock())


class Attacker:
    """Somebody with a user's leaked key."""

    def __init__(self, url: str, user: str) -> None:
        iam = client(url, "iam", VICTIM)
        iam.create_user(UserName=user)
        made = iam.create_access_key(UserName=user)["AccessKey"]
        allow = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}'
        iam.put_user_policy(UserName=user, PolicyName="its-own", PolicyDocument=allow)
        self.user, self.key, self.url, self.secret = user, made["AccessKeyId"], url, made["SecretAccessKey"]

    def tries(self, service: str, operation: str, **given: Any) -> str:
        """Return "" when it worked, else AWS's error code."""
        try:
            getattr(client(self.url, service, self.key, self.secret), operation)(**given)
        except ClientError as error:
            return str(error.response["Error"]["Code"])
        return ""


def test_a_leaked_key_that_was_switched_off_can_do_nothing_and_works_again_after_the_undo(url: str) -> None:
    attacker, aws = Attacker(url, "backup"), cloud(url)
    assert attacker.tries("s3", "list_buckets") == ""
    off = aws.actions["aws.iam.update_access_key"]
    inputs = {"user_name": attacker.user, "access_key_id": attacker.key, "status": "Inactive"}
    assert off.preview(TARGET, inputs).refusal is None
    prior = off.capture(TARGET, inputs)
    off.apply(TARGET, inputs, "plan-1/off")
    assert attacker.tries("s3", "list_buckets") == "InvalidAccessKeyId"
    assert attacker.tries("iam", "list_users") == "InvalidClientTokenId"
    off.apply(TARGET, {**inputs, "status": prior["status"]}, "plan-2/undo")
    assert attacker.tries("s3", "list_buckets") == ""


def test_a_denied_user_can_do_nothing_with_any_key(url: str) -> None:
    attacker, aws = Attacker(url, "deploy"), cloud(url)
    put, delete = (aws.actions[f"aws.iam.{verb}_user_policy"] for verb in ("put", "delete"))
    document = render_document((RUNBOOKS / "iam" / "deny-all.json").read_text(), {})
    outputs = put.apply(
        TARGET, {"user_name": attacker.user, "policy_name": "q", "document": document}, "plan-1/deny"
    )
    assert attacker.tries("s3", "list_buckets") == "AccessDenied"
    assert attacker.tries("iam", "create_access_key", UserName=attacker.user) == "AccessDenied"
    delete.apply(TARGET, dict(outputs), "plan-2/undo")
    assert attacker.tries("s3", "list_buckets") == ""


def test_45_buckets_cannot_be_deleted_and_can_again_after_the_undo(url: str) -> None:
    """One leaked key once deleted 45 buckets; here three stand for them."""
    attacker, aws = Attacker(url, "ci"), cloud(url)
    buckets = ["backups-one", "backups-two", "backups-three"]
    root = client(url, "s3", VICTIM)
    merge, restore = (aws.actions[f"aws.s3.{verb}_bucket_policy"] for verb in ("merge", "restore"))
    saved = {}
    for bucket in buckets:
        root.create_bucket(Bucket=bucket)
        root.put_object(Bucket=bucket, Key="x", Body=b"1")
        template = (RUNBOOKS / "s3" / "protect-bucket.json").read_text()
        values = {"bucket": bucket, "account_id": VICTIM, "responder_role_name": "TwokeyResponder"}
        inputs = {"bucket": bucket, "document": render_document(template, values)}
        assert merge.preview(TARGET, inputs).refusal is None
        prior = merge.capture(TARGET, inputs)
        saved[bucket] = {**merge.apply(TARGET, inputs, f"plan-1/protect[{bucket}]"), **prior}
    for bucket in buckets:
        assert attacker.tries("s3", "delete_object", Bucket=bucket, Key="x") == "AccessDenied"
        assert attacker.tries("s3", "delete_bucket", Bucket=bucket) == "AccessDenied"
        assert attacker.tries("s3", "delete_bucket_policy", Bucket=bucket) == "AccessDenied"
        assert attacker.tries("s3", "put_bucket_policy", Bucket=bucket, Policy="{}") == "AccessDenied"
        assert attacker.tries("s3", "get_object", Bucket=bucket, Key="x") == ""
        assert attacker.tries("s3", "put_object", Bucket=bucket, Key="y", Body=b"2") == ""
    for bucket in buckets:
        restore.apply(TARGET, saved[bucket], f"plan-2/undo[{bucket}]")
        assert attacker.tries("s3", "delete_object", Bucket=bucket, Key="y") == ""


def test_what_a_key_did_is_found_in_cloudtrail(url: str) -> None:
    """The emulator tells S3's calls by their names, and nothing about calls that were refused."""
    attacker, aws = Attacker(url, "env-file"), cloud(url)
    assert attacker.tries("s3", "list_buckets") == ""
    exported = aws.actions["aws.cloudtrail.export_events"].apply(
        TARGET, {"account_id": VICTIM, "access_key_id": attacker.key, "lookback": "1h"}, ""
    )
    assert exported["by_name"] == {"ListBuckets": 1}
    found = aws.actions["aws.cloudtrail.find_persistence"].apply(TARGET, {"access_key_id": attacker.key}, "")
    assert found["count"] == 0


def test_without_the_external_id_nobody_gets_in(url: str) -> None:
    """S13: a role that others might be tricked into assuming is not enough."""
    aws = cloud(url, external_id="")
    with pytest.raises(Refused) as caught:
        aws.actions["aws.iam.get_access_key_last_used"].apply(
            TARGET, {"access_key_id": "AKIA" + "X" * 16}, ""
        )
    assert caught.value.message.code == "aws.access_denied"
    assert caught.value.message.params["action"] == "sts:AssumeRole"


def test_where_delegated_administrators_cannot_be_read_nothing_is_quarantined(url: str) -> None:
    """ministack does not answer that question: the guard fails closed."""
    made = client(url, "organizations", "test").create_account(Email="prod@example.com", AccountName="prod")
    account = made["CreateAccountStatus"]["AccountId"]
    result = (
        cloud(url)
        .checks["aws.org.account_is_not_delegated_admin"]
        .holds(Target(account), {"account_id": account})
    )
    assert not result.holds
    assert result.reason is not None
    assert result.reason.code == "aws.org.delegated_unknown"
