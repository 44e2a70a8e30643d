"""aws.s3.restore_bucket_policy: put a bucket's policy back to what was saved before we merged ours in."""

from __future__ import annotations

from collections.abc import Mapping

from twokey.core.errors import Json, Message, Refused, message
from twokey.core.executions import Found, Lookup
from twokey.core.runbooks import Effect, Preview, Reversibility, Risk, Target, Touch
from twokey.providers.aws import policies
from twokey.providers.aws.buckets import bucket_policy, owner_refusal
from twokey.providers.aws.session import Calls, text


class RestoreBucketPolicy:
    """Put the saved policy, or delete ours when there was none.

    Refused when the policy is no longer the one that we wrote (`policy_sha256`): somebody changed it since,
    and putting the old one back would throw that away.
    """

    name = "aws.s3.restore_bucket_policy"
    effect = Effect.MODIFY
    reversibility = Reversibility.ONLY_IF_UNCHANGED
    permissions: tuple[str, ...] = (
        "s3:DeleteBucketPolicy",
        "s3:GetBucketPolicy",
        "s3:ListAllMyBuckets",
        "s3:ListBucket",
        "s3:PutBucketPolicy",
    )
    inputs: Mapping[str, str] = {"bucket": "aws.bucket_name", "policy": "text", "policy_sha256": "text"}
    outputs: tuple[str, ...] = ("bucket", "policy_sha256")

    def __init__(self, calls: Calls) -> None:
        self.calls = calls

    def least_risk(self, inputs: Mapping[str, Json]) -> Risk:
        """Count as high: what was denied is open again."""
        return Risk.HIGH

    def preview(self, target: Target, inputs: Mapping[str, Json]) -> Preview:
        """Say which bucket loses its protection."""
        bucket = text(inputs, "bucket")
        if refusal := owner_refusal(self.calls, target.account, bucket):
            return Preview(refusal=refusal)
        there = bucket_policy(self.calls, target.account, bucket)
        return Preview(
            touches=(Touch("bucket", bucket, bucket),),
            observed={"policy_sha256": policies.digest(there)},
            counts={"buckets": 1},
            refusal=_refusal(there, inputs, bucket),
            warnings=(message("aws.s3.unprotects", bucket=bucket),),
        )

    def capture(self, target: Target, inputs: Mapping[str, Json]) -> Mapping[str, Json]:
        """Keep the policy as it is before, "" when there is none."""
        return {"policy": bucket_policy(self.calls, target.account, text(inputs, "bucket"))}

    def apply(self, target: Target, inputs: Mapping[str, Json], key: str) -> Mapping[str, Json]:
        """Put the saved policy, unless it is there already."""
        bucket, saved = text(inputs, "bucket"), _saved(inputs)
        if refusal := owner_refusal(self.calls, target.account, bucket):
            raise Refused(refusal.code, **refusal.params)
        there = bucket_policy(self.calls, target.account, bucket)
        if refusal := _refusal(there, inputs, bucket):
            raise Refused(refusal.code, **refusal.params)
        owned = {"Bucket": bucket, "ExpectedBucketOwner": target.account}
        if saved and not policies.has_same_meaning(there, saved):
            self.calls.call("s3", "put_bucket_policy", target.account, Policy=saved, **owned)
        if not saved and there:
            self.calls.call("s3", "delete_bucket_policy", target.account, **owned)
        return {"bucket": bucket, "policy_sha256": policies.digest(saved)}

    def find(self, target: Target, inputs: Mapping[str, Json], key: str) -> Lookup:
        """Read whether the saved policy is back."""
        bucket, saved = text(inputs, "bucket"), _saved(inputs)
        there = bucket_policy(self.calls, target.account, bucket)
        if not policies.has_same_meaning(there, saved):
            return Lookup(Found.NOT_DONE)
        return Lookup(Found.DONE, {"bucket": bucket, "policy_sha256": policies.digest(saved)})


def _saved(inputs: Mapping[str, Json]) -> str:
    saved = inputs.get("policy")
    if not isinstance(saved, str):  # "" means that there was none; missing means that nobody knows
        raise Refused("aws.input_missing", input="policy")
    return saved


def _refusal(there: str, inputs: Mapping[str, Json], bucket: str) -> Message | None:
    if policies.has_same_meaning(there, _saved(inputs)):
        return None
    if policies.digest(there) != text(inputs, "policy_sha256"):
        return message("aws.s3.policy_changed_since", bucket=bucket)
    return None
