"""One AWS account in memory, call by call: its users, keys, buckets and trail, and the hands of who attacks it.

It stands where `AwsSession` stands (see its `Calls`), refuses what AWS refuses, and writes what changes a tag into
the trail. It has no organisation. Reads that find nothing answer as in an account where nothing else is.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from twokey.providers.aws.faults import of_response
from twokey.providers.aws.options import AwsOptions
from twokey.testing.clocks import SettableClock

OWN = "999900001111"
ATTACKER = "arn:aws:iam::111122223333:user/deploy"


@dataclass
class MemoryAccount:
    """The account `id`, in which twokey acts as the role of its options."""

    id: str
    clock: SettableClock
    options: AwsOptions = field(default_factory=lambda: AwsOptions(own_account=OWN))
    keys: dict[str, tuple[str, str]] = field(default_factory=dict)  # key id -> user, status
    tags: dict[str, dict[str, str]] = field(default_factory=dict)  # user or bucket -> tags
    user_policies: dict[tuple[str, str], str] = field(default_factory=dict)
    policies: dict[str, str] = field(default_factory=dict)  # bucket -> policy, "" for none
    trail: list[dict[str, Any]] = field(default_factory=list)
    lag: timedelta = timedelta(0)  # after which CloudTrail tells
    denied: set[str] = field(default_factory=set)  # operations that may not be called
    done: list[tuple[str, dict[str, Any]]] = field(default_factory=list)  # what we wrote

    def sleep(self, seconds: float) -> None:
        self.clock.advance(seconds)

    # what actions and checks call

    def own_account(self) -> str:
        return OWN

    def own_access_key_id(self) -> str:
        return "AKIAOWNOWNOWNOWNOWN1"

    def call(
        self, service: str, operation: str, account: str, *, region: str = "", **given: Any
    ) -> dict[str, Any]:
        if operation in self.denied:
            raise self._fault("AccessDenied", operation)
        if service == "organizations":
            raise self._fault("AWSOrganizationsNotInUseException", operation)
        known = getattr(self, f"_{operation}", None)
        if known is None:
            raise self._fault("NoSuchEntity", operation)
        answer: dict[str, Any] = known(account=account, **given)
        return answer

    def listed(
        self, service: str, operation: str, field: str, account: str, *, region: str = "", **given: Any
    ) -> list[Any]:
        if service != "organizations" and not hasattr(self, f"_{operation}"):
            return []
        return list(self.call(service, operation, account, region=region, **given)[field])

    # the attacker's hands, and other people's

    def tag(self, name: str, tag: str, *, at: datetime | None = None, by: str = ATTACKER) -> None:
        """Set a tag on a user or a bucket; CloudTrail keeps it for 90 days."""
        self.tags.setdefault(name, {})[tag] = ""
        is_bucket = name in self.policies
        asked: dict[str, Any] = {"userName": name, "tags": [{"key": tag, "value": ""}]}
        if is_bucket:
            sets = [{"Key": key, "Value": value} for key, value in self.tags[name].items()]
            asked = {"bucketName": name, "Tagging": {"TagSet": {"Tag": sets}}, "tagging": ""}
        self.notes("PutBucketTagging" if is_bucket else "TagUser", asked, at=at, by=by)

    def notes(
        self, name: str, asked: Any, *, at: datetime | None = None, by: str = ATTACKER, error: str = ""
    ) -> None:
        """Write a call into the trail."""
        told = {
            "userIdentity": {"arn": by},
            "requestParameters": asked,
            **({"errorCode": error} if error else {}),
        }
        when = at or self.clock.now()
        self.trail.append({"EventName": name, "EventTime": when, "CloudTrailEvent": json.dumps(told)})

    # CloudTrail

    def _lookup_events(
        self,
        *,
        account: str,
        StartTime: datetime,
        EndTime: datetime,
        MaxResults: int,
        LookupAttributes: list[dict[str, str]] | None = None,
        NextToken: str = "0",
    ) -> dict[str, Any]:
        wanted = LookupAttributes or []
        if len(wanted) > 1 or MaxResults > 50 or StartTime > EndTime:
            raise self._fault("InvalidLookupAttributesException", "lookup_events")
        now = self.clock.now()
        found = [
            event
            for event in sorted(self.trail, key=lambda one: one["EventTime"], reverse=True)
            if StartTime <= event["EventTime"] <= EndTime
            and event["EventTime"] >= now - timedelta(days=90)
            and event["EventTime"] + self.lag <= now
            and all(
                one["AttributeKey"] == "EventName" and one["AttributeValue"] == event["EventName"]
                for one in wanted
            )
        ]
        first = int(NextToken)
        page = {"Events": found[first : first + MaxResults]}
        is_more = first + MaxResults < len(found)
        return {**page, **({"NextToken": str(first + MaxResults)} if is_more else {})}

    # STS and IAM

    def _get_caller_identity(self, *, account: str) -> dict[str, Any]:
        return {"Arn": f"arn:aws:sts::{account}:assumed-role/{self.options.role_name}/twokey"}

    def _get_access_key_info(self, *, account: str, AccessKeyId: str) -> dict[str, Any]:
        return {"Account": self.id if AccessKeyId in self.keys else "000000000000"}

    def _get_access_key_last_used(self, *, account: str, AccessKeyId: str) -> dict[str, Any]:
        user = self.keys.get(AccessKeyId, ("", ""))[0]
        return {"UserName": user, "AccessKeyLastUsed": {"ServiceName": "s3", "Region": "eu-central-1"}}

    def _list_access_keys(self, *, account: str, UserName: str) -> dict[str, Any]:
        return {
            "AccessKeyMetadata": [
                {"AccessKeyId": key, "Status": status}
                for key, (user, status) in self.keys.items()
                if user == UserName
            ]
        }

    def _update_access_key(
        self,
        *,
        account: str,
        UserName: str,
        AccessKeyId: str,
        Status: str,
    ) -> dict[str, Any]:
        self.keys[AccessKeyId] = (UserName, Status)
        self.done.append(("update_access_key", {"AccessKeyId": AccessKeyId, "Status": Status}))
        return {}

    def _list_user_tags(self, *, account: str, UserName: str) -> dict[str, Any]:
        return {"Tags": [{"Key": key, "Value": value} for key, value in self.tags.get(UserName, {}).items()]}

    def _get_user_policy(self, *, account: str, UserName: str, PolicyName: str) -> dict[str, Any]:
        if (UserName, PolicyName) not in self.user_policies:
            raise self._fault("NoSuchEntity", "get_user_policy")
        return {"PolicyDocument": self.user_policies[UserName, PolicyName]}

    def _put_user_policy(
        self,
        *,
        account: str,
        UserName: str,
        PolicyName: str,
        PolicyDocument: str,
    ) -> dict[str, Any]:
        self.user_policies[UserName, PolicyName] = PolicyDocument
        self.done.append(("put_user_policy", {"UserName": UserName, "PolicyName": PolicyName}))
        return {}

    # S3

    def _list_buckets(self, *, account: str, Prefix: str) -> dict[str, Any]:
        return {"Buckets": [{"Name": name} for name in self.policies if name.startswith(Prefix)]}

    def _head_bucket(self, *, account: str, Bucket: str, ExpectedBucketOwner: str) -> dict[str, Any]:
        return {"BucketRegion": "eu-central-1"}

    def _get_bucket_policy(self, *, account: str, Bucket: str, ExpectedBucketOwner: str) -> dict[str, Any]:
        if not self.policies[Bucket]:
            raise self._fault("NoSuchBucketPolicy", "get_bucket_policy")
        return {"Policy": self.policies[Bucket]}

    def _put_bucket_policy(
        self,
        *,
        account: str,
        Bucket: str,
        Policy: str,
        ExpectedBucketOwner: str,
    ) -> dict[str, Any]:
        if len(Policy.encode()) > 20 * 1024:
            raise self._fault("MalformedPolicy", "put_bucket_policy")
        self.policies[Bucket] = Policy
        self.done.append(("put_bucket_policy", {"Bucket": Bucket}))
        return {}

    def _get_bucket_tagging(self, *, account: str, Bucket: str, ExpectedBucketOwner: str) -> dict[str, Any]:
        if not self.tags.get(Bucket):
            raise self._fault("NoSuchTagSet", "get_bucket_tagging")
        return {"TagSet": [{"Key": key, "Value": value} for key, value in self.tags[Bucket].items()]}

    def _get_bucket_lifecycle_configuration(
        self,
        *,
        account: str,
        Bucket: str,
        ExpectedBucketOwner: str,
    ) -> dict[str, Any]:
        return {"Rules": []}

    @staticmethod
    def _fault(code: str, operation: str) -> Exception:
        return of_response(code, 400, action=operation, account="memory")
