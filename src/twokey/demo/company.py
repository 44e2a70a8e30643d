"""The demo's company: an AWS account with buckets, a user whose key was stolen, and the attacker who has it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

TOOLS = "111111111111"  # where twokey runs
SHOP = "222222222222"  # what is attacked
REGION = "eu-central-1"
USER = "deploy-bot"
ROLE = "TwokeyResponder"
EXTERNAL_ID = "demo-external-id"
BUCKETS = tuple(f"shop-{name}" for name in ("orders", "invoices", "images", "exports", "backups", "logs"))
_ALLOW_ALL = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
)
_OWN_RULE = {  # what somebody wrote before us: it must still be there afterwards
    "Sid": "TlsOnly",
    "Effect": "Deny",
    "Principal": "*",
    "Action": "s3:GetObject",
    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
}


@dataclass
class Company:
    """Made in the emulator at `url`; `key_id` and `secret` are the stolen pair."""

    url: str
    key_id: str = ""
    secret: str = ""
    queue_url: str = ""
    refused: list[str] = field(default_factory=list)  # error codes that the attacker got

    def client(self, service: str, key: str, secret: str = "test") -> Any:
        """Return a client for some credentials; a twelve-digit key is that account's root."""
        config = Config(retries={"max_attempts": 1}, s3={"addressing_style": "path"})
        session = boto3.Session(key, secret, region_name=REGION)
        return session.client(service, endpoint_url=self.url, config=config)

    def build(self) -> Company:
        """Make the queue, the responder role, the user with a key, and the buckets."""
        sqs = self.client("sqs", "test")
        self.queue_url = str(sqs.create_queue(QueueName="twokey-findings")["QueueUrl"])
        iam = self.client("iam", SHOP)
        trust = {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"AWS": f"arn:aws:iam::{TOOLS}:root"},
                    "Action": ["sts:AssumeRole", "sts:SetSourceIdentity", "sts:TagSession"],
                    "Condition": {"StringEquals": {"sts:ExternalId": EXTERNAL_ID}},
                }
            ],
        }
        iam.create_role(RoleName=ROLE, AssumeRolePolicyDocument=json.dumps(trust))
        iam.put_role_policy(RoleName=ROLE, PolicyName="respond", PolicyDocument=_ALLOW_ALL)
        iam.create_user(UserName=USER)
        iam.put_user_policy(UserName=USER, PolicyName="deploy", PolicyDocument=_ALLOW_ALL)
        made = iam.create_access_key(UserName=USER)["AccessKey"]
        self.key_id, self.secret = str(made["AccessKeyId"]), str(made["SecretAccessKey"])
        for bucket in BUCKETS:
            self.make_bucket(bucket)
        return self

    def make_bucket(self, bucket: str) -> None:
        """Make a bucket with something in it and a policy of its own."""
        s3 = self.client("s3", SHOP)
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
        s3.put_object(Bucket=bucket, Key="data.csv", Body=b"id,amount\n1,10\n")
        self.let_go(bucket)

    def let_go(self, bucket: str) -> None:
        """Give a bucket its own policy and nothing else, as if it had never been protected."""
        rule = {**_OWN_RULE, "Resource": f"arn:aws:s3:::{bucket}/*"}
        policy = {"Version": "2012-10-17", "Statement": [rule]}
        self.client("s3", SHOP).put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))

    def notify(self, bodies: Sequence[str]) -> None:
        """Put notifications into the queue, as EventBridge does."""
        sqs = self.client("sqs", "test")
        for start in range(0, len(bodies), 10):
            batch = bodies[start : start + 10]
            entries = [{"Id": str(number), "MessageBody": body} for number, body in enumerate(batch)]
            sqs.send_message_batch(QueueUrl=self.queue_url, Entries=entries)

    def attacker_deletes(self, bucket: str) -> bool:
        """Empty and delete a bucket with the stolen key; False when AWS refuses."""
        s3 = self.client("s3", self.key_id, self.secret)
        try:
            s3.delete_object(Bucket=bucket, Key="data.csv")
            s3.delete_bucket(Bucket=bucket)
        except ClientError as error:
            self.refused.append(str(error.response["Error"]["Code"]))
            return False
        return True

    def key_status(self) -> str:
        """Return Active or Inactive, as IAM says."""
        keys = self.client("iam", SHOP).list_access_keys(UserName=USER)["AccessKeyMetadata"]
        return next(str(key["Status"]) for key in keys if key["AccessKeyId"] == self.key_id)

    def buckets(self) -> list[str]:
        """Return the buckets that still exist."""
        return [str(bucket["Name"]) for bucket in self.client("s3", SHOP).list_buckets()["Buckets"]]

    def statements(self, bucket: str) -> list[dict[str, Any]]:
        """Return the statements of a bucket's policy."""
        policy = self.client("s3", SHOP).get_bucket_policy(Bucket=bucket)["Policy"]
        return list(json.loads(policy)["Statement"])

    def root_id(self) -> str:
        """Return the id of the organisation's Root."""
        return str(self.client("organizations", "test").list_roots()["Roots"][0]["Id"])
