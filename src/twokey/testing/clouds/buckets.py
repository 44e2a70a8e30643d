"""Actions on bucket policies."""

from __future__ import annotations

import json
from collections.abc import Mapping

from twokey.core.errors import Json, Message, message
from twokey.core.runbooks import Preview, Target, Touch
from twokey.testing.clouds.action import MemoryAction
from twokey.testing.clouds.scripted import Inputs, Outputs


class MergeBucketPolicy(MemoryAction):
    """Add statements to a bucket's policy, keeping what is there."""

    name = "aws.s3.merge_bucket_policy"
    inputs: Mapping[str, str] = {"bucket": "text", "document": "document"}

    def refusal(self, target: Target, inputs: Inputs) -> Message | None:
        bucket = str(inputs["bucket"])
        if self.state.buckets.get(bucket) != target.account:
            return message("aws.s3.not_in_account", bucket=bucket, account=target.account)
        return None

    def would(self, target: Target, inputs: Inputs) -> Preview:
        bucket = str(inputs["bucket"])
        shown = {"policy": list(self.state.bucket_policies[bucket])}
        return Preview((Touch("bucket", bucket),), {"bucket": bucket}, {"buckets": 1}, shown=shown)

    def prior(self, target: Target, inputs: Inputs) -> Outputs:
        return {"policy": list(self.state.bucket_policies[str(inputs["bucket"])])}

    def do(self, target: Target, inputs: Inputs) -> Outputs:
        self.state.bucket_policies[str(inputs["bucket"])] += _statements(inputs)
        return {}

    def there(self, target: Target, inputs: Inputs) -> Outputs | None:
        now = self.state.bucket_policies[str(inputs["bucket"])]
        return {} if all(statement in now for statement in _statements(inputs)) else None


class RestoreBucketPolicy(MemoryAction):
    """Put back the bucket policy that was there."""

    name = "aws.s3.restore_bucket_policy"
    inputs: Mapping[str, str] = {"bucket": "text", "policy": "json"}

    def would(self, target: Target, inputs: Inputs) -> Preview:
        bucket = str(inputs["bucket"])
        return Preview(
            (Touch("bucket", bucket),), {"policy": self.state.bucket_policies[bucket]}, {"buckets": 1}
        )

    def do(self, target: Target, inputs: Inputs) -> Outputs:
        policy = inputs["policy"]
        assert isinstance(policy, list)
        self.state.bucket_policies[str(inputs["bucket"])] = list(policy)
        return {}

    def there(self, target: Target, inputs: Inputs) -> Outputs | None:
        return {} if self.state.bucket_policies[str(inputs["bucket"])] == inputs["policy"] else None


def _statements(inputs: Inputs) -> list[Json]:
    document = json.loads(str(inputs["document"]))
    return list(document["Statement"])
