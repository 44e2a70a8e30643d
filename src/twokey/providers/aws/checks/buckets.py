"""Checks about buckets: of one (`bucket`), or of each of several (`buckets`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from twokey.core.errors import Json, Message, Refused, message
from twokey.core.runbooks import CheckResult, Target
from twokey.providers.aws import policies
from twokey.providers.aws.buckets import bucket_policy, bucket_tags, owner_refusal
from twokey.providers.aws.checks.asking import Question, answer
from twokey.providers.aws.organizations import NEVER_TAG
from twokey.providers.aws.session import Calls, text

_BUCKETS = {"bucket": "aws.bucket_name?", "buckets": "aws.bucket_names?"}


def _protects(calls: Calls, target: Target, inputs: Mapping[str, Json]) -> CheckResult:
    bucket = text(inputs, "bucket")
    there = bucket_policy(calls, target.account, bucket)
    found = policies.existing_protection(there)
    problem = (
        message("aws.s3.not_protected", bucket=bucket)
        if found is None
        else policies.protection_problem(policies.as_text({"Statement": [found]}), bucket)
    )
    return answer(problem, {"bucket": bucket, "policy_sha256": policies.digest(there)})


def _no_tag(calls: Calls, target: Target, inputs: Mapping[str, Json]) -> CheckResult:
    tag = str(inputs.get("tag") or NEVER_TAG)

    def tagged(bucket: str) -> Message | None:
        there = tag in bucket_tags(calls, target.account, bucket)
        return message("aws.s3.has_never_tag", bucket=bucket, tag=tag) if there else None

    return _each(inputs, tagged)


def _each(inputs: Mapping[str, Json], reason: Callable[[str], Message | None]) -> CheckResult:
    given = inputs.get("buckets") or [inputs.get("bucket")]
    names = sorted({str(name) for name in given if name}) if isinstance(given, list) else []
    if not names:
        raise Refused("aws.input_missing", input="bucket")
    first = next((found for found in map(reason, names) if found), None)
    return answer(first, {"buckets": list(names)})


QUESTIONS: tuple[Question, ...] = (
    Question(
        "aws.s3.bucket_owned_by_account",
        lambda calls, target, inputs: _each(
            inputs, lambda bucket: owner_refusal(calls, target.account, bucket)
        ),
        ("s3:ListAllMyBuckets", "s3:ListBucket"),
        _BUCKETS,
    ),
    Question(
        "aws.s3.bucket_policy_protects", _protects, ("s3:GetBucketPolicy",), {"bucket": "aws.bucket_name"}
    ),
    Question("aws.s3.bucket_has_no_tag", _no_tag, ("s3:GetBucketTagging",), {**_BUCKETS, "tag": "text?"}),
)
