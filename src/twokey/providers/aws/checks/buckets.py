"""Checks about buckets: of one (`bucket`), or of each of several (`buckets`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from twokey.core.errors import Json, Message, Refused, message
from twokey.core.runbooks import CheckResult, Target
from twokey.providers.aws import marks, policies
from twokey.providers.aws.buckets import bucket_policy, bucket_region, bucket_tags, owner_refusal
from twokey.providers.aws.checks.asking import Question, answer
from twokey.providers.aws.kept_out import Named
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
    tag, since = str(inputs.get("tag") or NEVER_TAG), str(inputs.get("since") or "")
    warnings: list[Message] = []
    not_yet: list[str] = []

    def tagged(bucket: str) -> Message | None:
        if tag not in bucket_tags(calls, target.account, bucket):
            return None
        there = replace(target, region=bucket_region(calls, target.account, bucket) or target.region)
        found = marks.verdict(calls, there, Named("bucket", target.account, bucket), tag, since)
        warnings.extend((found.note,) if found.note else ())
        not_yet.extend([bucket] if found.not_yet else [])
        return found.reason

    return replace(_each(inputs, tagged), warnings=tuple(warnings), not_yet=bool(not_yet))


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
    Question(
        "aws.s3.bucket_has_no_tag",
        _no_tag,
        ("cloudtrail:LookupEvents", "s3:GetBucketTagging", "s3:ListBucket"),
        {**_BUCKETS, "tag": "text?", "since": "text?"},
    ),
)
