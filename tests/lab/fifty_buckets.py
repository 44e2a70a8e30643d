"""The shipped bucket runbook through the real planner, over an S3 that answers out of nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from twokey.app import declarations
from twokey.catalog.library import FileLibrary
from twokey.core.errors import NotFound
from twokey.core.runbooks import Plan
from twokey.flow.planning.planner import Planner
from twokey.providers.aws import Aws
from twokey.providers.aws.actions import every_action
from twokey.providers.aws.checks import every_check
from twokey.providers.aws.options import AwsOptions
from twokey.providers.aws.parameters import PARAMETER_TYPES
from twokey.settings import data_folder
from twokey.testing import builders
from twokey.testing.clocks import SystemClock

OWN_ROLE = "arn:aws:sts::111122223333:assumed-role/TwokeyResponder/twokey"
RUNBOOK = "aws.protect-buckets"


class StandIn:
    """Every bucket is ours and has no policy; those that are named have a rule that deletes."""

    options = AwsOptions(role_name="TwokeyResponder")
    clock = SystemClock()

    def __init__(self, expiring: tuple[str, ...] = ()) -> None:
        self.expiring = expiring

    def own_account(self) -> str:
        return "999900001111"

    def own_access_key_id(self) -> str:
        return "AKIAOWN"

    def call(self, service: str, operation: str, account: str, *, region: str = "", **given: Any) -> Any:
        if operation in ("get_bucket_policy", "get_bucket_tagging"):
            error = "NoSuchBucketPolicy" if operation == "get_bucket_policy" else "NoSuchTagSet"
            raise NotFound("aws.not_found", error=error, action=operation, account=account)
        if operation == "get_bucket_lifecycle_configuration":
            rule = {"Status": "Enabled", "Expiration": {"Days": 1}}
            return {"Rules": [rule] if given["Bucket"] in self.expiring else []}
        return {"Arn": OWN_ROLE} if operation == "get_caller_identity" else {}

    def listed(
        self, service: str, operation: str, found: str, account: str, *, region: str = "", **given: Any
    ) -> list[Any]:
        return [{"Name": given["Prefix"]}] if operation == "list_buckets" else []


def bucket(number: int) -> str:
    return f"acme-data-{number:02d}"


def plan_for(count: int, *expiring: int, requester: str = "d-ana") -> Plan:
    """Return the preview of protecting so many buckets, some of which have a rule that deletes."""
    calls: Any = StandIn(tuple(map(bucket, expiring)))
    cloud = Aws(every_action(calls), every_check(calls), PARAMETER_TYPES)
    library = FileLibrary(data_folder("runbooks"), declarations())
    incident = builders.an_incident("INC-1", commander="")
    planner = Planner({"aws": cloud}, {"aws": {"role_name": "TwokeyResponder"}})
    plan = planner.plan(
        library.runbook(RUNBOOK), incident, {"buckets": [bucket(number) for number in range(1, count + 1)]}
    )
    return replace(plan, requester=requester)
