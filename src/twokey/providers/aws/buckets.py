"""Reads and refusals about buckets. Every call names the account that must own the bucket."""

from __future__ import annotations

import re

from twokey.core.errors import Message, NotFound, Refused, message
from twokey.providers.aws.parameters import PARAMETER_TYPES
from twokey.providers.aws.policies import is_exempted
from twokey.providers.aws.session import Calls


def owner_refusal(calls: Calls, account: str, bucket: str) -> Message | None:
    """Say why a bucket must not be touched for this account, or None when the account owns it.

    Bucket names are global: the account's own list says what is its own, and S3 refuses the rest of the calls
    itself when `ExpectedBucketOwner` is somebody else:
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-owner-condition.html
    """
    if not re.fullmatch(PARAMETER_TYPES["aws.bucket_name"], bucket):
        return message("aws.s3.not_a_bucket_name", bucket=bucket)
    mine = calls.listed("s3", "list_buckets", "Buckets", account, Prefix=bucket)
    if not any(found["Name"] == bucket for found in mine):
        return message("aws.s3.other_owner", bucket=bucket, account=account)
    try:
        calls.call("s3", "head_bucket", account, Bucket=bucket, ExpectedBucketOwner=account)
    except (Refused, NotFound):
        return message("aws.s3.other_owner", bucket=bucket, account=account)
    return None


def bucket_policy(calls: Calls, account: str, bucket: str) -> str:
    """Return a bucket's policy, "" when it has none."""
    try:
        found = calls.call("s3", "get_bucket_policy", account, Bucket=bucket, ExpectedBucketOwner=account)
    except NotFound as missing:
        if "NoSuchBucketPolicy" in missing.message.params.get("error", ""):
            return ""
        raise
    return str(found["Policy"])


def bucket_tags(calls: Calls, account: str, bucket: str) -> dict[str, str]:
    """Return a bucket's tags."""
    try:
        found = calls.call("s3", "get_bucket_tagging", account, Bucket=bucket, ExpectedBucketOwner=account)
    except NotFound as missing:
        if "NoSuchTagSet" in missing.message.params.get("error", ""):
            return {}
        raise
    return {str(tag["Key"]): str(tag.get("Value", "")) for tag in found.get("TagSet", [])}


def bucket_region(calls: Calls, account: str, bucket: str) -> str:
    """Return the Region that a bucket lies in, "" where S3 does not say."""
    found = calls.call("s3", "head_bucket", account, Bucket=bucket, ExpectedBucketOwner=account)
    return str(found.get("BucketRegion", ""))


def expiring_rules(calls: Calls, account: str, bucket: str) -> int:
    """Count the lifecycle rules that delete objects: they go on, whatever the bucket's policy says."""
    try:
        found = calls.call(
            "s3",
            "get_bucket_lifecycle_configuration",
            account,
            Bucket=bucket,
            ExpectedBucketOwner=account,
        )
    except NotFound:
        return 0
    deleting = ("Expiration", "NoncurrentVersionExpiration")
    return sum(
        1
        for rule in found.get("Rules", [])
        if rule.get("Status") == "Enabled" and any(d in rule for d in deleting)
    )


def lock_out(calls: Calls, account: str, document: str) -> Message | None:
    """Say that a protection would lock ourselves out, so that it could not be taken back; or None."""
    caller = str(calls.call("sts", "get_caller_identity", account).get("Arn", ""))
    return None if is_exempted(caller, document) else message("aws.s3.would_lock_out", caller=caller)
