"""aws.s3.merge_bucket_policy: add one Deny to a bucket's policy, and leave everything that is there alone."""

from __future__ import annotations

from collections.abc import Mapping

from twokey.core.errors import Json, Message, Refused, TwokeyError, message
from twokey.core.executions import Found, Lookup
from twokey.core.runbooks import Effect, Preview, Reversibility, Risk, Target, Touch
from twokey.providers.aws import policies
from twokey.providers.aws.buckets import bucket_policy, expiring_rules, lock_out, owner_refusal
from twokey.providers.aws.exemptions import foreign_exemption
from twokey.providers.aws.kept_out import Named, never_contain_refusal
from twokey.providers.aws.session import Calls, text


class MergeBucketPolicy:
    """Protect a bucket from deletion by everyone but the responder role.

    Replacing the policy would drop denies that others rely on, so the statement is merged. Refused when
    the result is over S3's limit, another statement has our Sid, the bucket is another account's, and
    when the policy would lock ourselves out.
    """

    name = "aws.s3.merge_bucket_policy"
    effect = Effect.MODIFY
    reversibility = Reversibility.ONLY_IF_UNCHANGED
    permissions: tuple[str, ...] = (
        "s3:GetBucketPolicy",
        "s3:GetLifecycleConfiguration",
        "s3:ListAllMyBuckets",
        "s3:ListBucket",
        "s3:PutBucketPolicy",
    )
    inputs: Mapping[str, str] = {"bucket": "aws.bucket_name", "document": "text"}
    outputs: tuple[str, ...] = ("bucket", "policy_sha256")

    def __init__(self, calls: Calls) -> None:
        self.calls = calls

    def least_risk(self, inputs: Mapping[str, Json]) -> Risk:
        """Count as medium: statements are added, and can be taken out while nobody changed the policy."""
        return Risk.MEDIUM

    def preview(self, target: Target, inputs: Mapping[str, Json]) -> Preview:
        """Say what is refused from then on, by whom, and what the policy does not stop."""
        bucket, document = text(inputs, "bucket"), text(inputs, "document")
        if refusal := self._refusal(target, bucket, document):
            return Preview(refusal=refusal)
        there = bucket_policy(self.calls, target.account, bucket)
        if refusal := _merge_refusal(there, document, bucket):
            return Preview(refusal=refusal)
        return Preview(
            touches=(Touch("bucket", bucket, bucket),),
            # The effect is our statement beside whatever is there: that others rewrite theirs must void nothing.
            observed={"bucket": bucket},
            shown={"policy_sha256": policies.digest(there), "statements": policies.sids(there)},
            counts={"buckets": 1},
            warnings=(
                message(
                    "aws.s3.protects",
                    bucket=bucket,
                    actions=", ".join(policies.PROTECTED_ACTIONS),
                    spared=", ".join(policies.exempted_principals(document)),
                    kept=len(policies.statements(there)) if there else 0,
                ),
                *self._lifecycle_warnings(target, bucket),
            ),
        )

    def capture(self, target: Target, inputs: Mapping[str, Json]) -> Mapping[str, Json]:
        """Keep the policy as it is before, "" when there is none."""
        return {"policy": bucket_policy(self.calls, target.account, text(inputs, "bucket"))}

    def apply(self, target: Target, inputs: Mapping[str, Json], key: str) -> Mapping[str, Json]:
        """Merge the statement in, unless it is there already."""
        bucket, document = text(inputs, "bucket"), text(inputs, "document")
        if refusal := self._refusal(target, bucket, document):
            raise Refused(refusal.code, **refusal.params)
        there = bucket_policy(self.calls, target.account, bucket)
        if refusal := _merge_refusal(there, document, bucket):
            raise Refused(refusal.code, **refusal.params)
        if not policies.has_protection(there, document):
            self.calls.call(
                "s3",
                "put_bucket_policy",
                target.account,
                Bucket=bucket,
                Policy=policies.merged(there, document),
                ExpectedBucketOwner=target.account,
            )
        # Read back rather than computed: S3 may store a policy in another spelling than it was given.
        stored = bucket_policy(self.calls, target.account, bucket)
        return {"bucket": bucket, "policy_sha256": policies.digest(stored)}

    def find(self, target: Target, inputs: Mapping[str, Json], key: str) -> Lookup:
        """Read the policy back."""
        bucket = text(inputs, "bucket")
        there = bucket_policy(self.calls, target.account, bucket)
        if not policies.has_protection(there, text(inputs, "document")):
            return Lookup(Found.NOT_DONE)
        return Lookup(Found.DONE, {"bucket": bucket, "policy_sha256": policies.digest(there)})

    def _refusal(self, target: Target, bucket: str, document: str) -> Message | None:
        return (
            policies.protection_problem(document, bucket)
            or never_contain_refusal(self.calls, Named("bucket", target.account, bucket))
            or owner_refusal(self.calls, target.account, bucket)
            or lock_out(self.calls, target.account, document)
            or foreign_exemption(self.calls, target.account, policies.exempted_principals(document))
        )

    def _lifecycle_warnings(self, target: Target, bucket: str) -> tuple[Message, ...]:
        try:
            count = expiring_rules(self.calls, target.account, bucket)
        except TwokeyError as error:
            return (message("aws.s3.lifecycle_unknown", bucket=bucket, why=error.message),)
        return (message("aws.s3.lifecycle_goes_on", bucket=bucket, count=count),) if count else ()


def _merge_refusal(there: str, document: str, bucket: str) -> Message | None:
    if policies.has_protection(there, document):
        return None
    if policies.existing_protection(there) is not None:
        return message("aws.s3.sid_taken", bucket=bucket, sid=policies.PROTECT_SID)
    size = len(policies.merged(there, document).encode())
    if size > policies.MAX_BUCKET_POLICY_BYTES:
        return message(
            "aws.s3.policy_too_large", bucket=bucket, size=size, limit=policies.MAX_BUCKET_POLICY_BYTES
        )
    return None
