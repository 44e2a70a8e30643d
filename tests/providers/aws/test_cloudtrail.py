"""CloudTrail, which moto does not have: botocore's Stubber holds the published shapes."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from botocore.stub import ANY, Stubber

from twokey.core.errors import Refused

KEY = "AKIAIOSFODNN7EXAMPLE"


def event(aws: Any, name: str, error: str = "", minutes: int = 5, **detail: Any) -> dict[str, Any]:
    told = {"eventName": name, "awsRegion": "us-east-1", "sourceIPAddress": "203.0.113.7",
            "requestParameters": {"secret": "never-on-record"}, **detail}  # fmt: skip
    if error:
        told["errorCode"] = error
    return {
        "EventId": name,
        "EventName": name,
        "EventTime": aws.clock.now() - timedelta(minutes=minutes),
        "EventSource": "iam.amazonaws.com",
        "CloudTrailEvent": json.dumps(told),
        "Resources": [{"ResourceType": "AWS::IAM::Role", "ResourceName": "lambda-ex"}],
    }


@pytest.fixture
def trail(aws: Any) -> Any:
    with Stubber(aws.session.client("cloudtrail", aws.victim, "us-east-1")) as stub:
        yield stub


def test_events_are_exported_with_their_counts_and_without_what_callers_sent(aws: Any, trail: Any) -> None:
    asked = {"LookupAttributes": [{"AttributeKey": "AccessKeyId", "AttributeValue": KEY}], "MaxResults": 50,
             "StartTime": aws.clock.now() - timedelta(days=90), "EndTime": aws.clock.now() + timedelta(seconds=1)}  # fmt: skip
    page = {
        "Events": [event(aws, "DeleteBucket"), event(aws, "DeleteBucket", "AccessDenied")],
        "NextToken": "more",
    }
    trail.add_response("lookup_events", page, asked)
    trail.add_response(
        "lookup_events", {"Events": [event(aws, "CreateRole")]}, {**asked, "NextToken": "more"}
    )
    found = aws.cloud.actions["aws.cloudtrail.export_events"].apply(
        aws.target(), {"account_id": aws.victim, "access_key_id": KEY, "lookback": "90d"}, ""
    )
    assert found["by_name"] == {"DeleteBucket": 2, "CreateRole": 1}
    assert (found["events"], found["errors"], found["is_complete"]) == (3, 1, True)
    assert "never-on-record" not in json.dumps(found)
    assert found["newest"][0]["ip"] == "203.0.113.7"


def test_an_export_is_bounded_and_says_so(aws: Any, trail: Any) -> None:
    page = {"Events": [event(aws, f"E{n}") for n in range(50)], "NextToken": "more"}
    for _ in range(10):
        trail.add_response("lookup_events", page, {"MaxResults": 50, "StartTime": ANY, "EndTime": ANY} if _ == 0 else
                           {"MaxResults": 50, "StartTime": ANY, "EndTime": ANY, "NextToken": "more"})  # fmt: skip
    found = aws.cloud.actions["aws.cloudtrail.export_events"].apply(
        aws.target(), {"account_id": aws.victim, "lookback": "24h"}, ""
    )
    assert (found["events"], found["is_complete"], len(found["newest"])) == (500, False, 100)


def test_where_cloudtrail_does_not_answer_the_evidence_is_said_to_be_missing(aws: Any) -> None:
    """moto answers a page of HTML."""
    with pytest.raises(Refused) as caught:
        aws.cloud.actions["aws.cloudtrail.export_events"].apply(
            aws.target(), {"account_id": aws.victim, "lookback": "24h"}, ""
        )
    assert caught.value.message.code == "aws.cloudtrail.unavailable"
    assert caught.value.message.params["region"] == "us-east-1"


def test_an_export_of_another_account_is_refused(aws: Any) -> None:
    with pytest.raises(Refused):
        aws.cloud.actions["aws.cloudtrail.export_events"].apply(
            aws.target(), {"account_id": "333333333333", "lookback": "24h"}, ""
        )


def test_what_outlives_the_key_is_found_and_what_failed_is_not_counted(aws: Any, trail: Any) -> None:
    found = [event(aws, "CreateRole"), event(aws, "CreateUser", "AccessDenied"), event(aws, "GetCallerIdentity"),
             event(aws, "CreateFunction20150331")]  # fmt: skip
    trail.add_response("lookup_events", {"Events": found})
    result = aws.cloud.actions["aws.cloudtrail.find_persistence"].apply(
        aws.target(), {"access_key_id": KEY}, ""
    )
    assert sorted(row["event"] for row in result["found"]) == ["CreateFunction20150331", "CreateRole"]
    assert result["found"][0]["resources"] == ["lambda-ex"]


def test_a_key_that_is_still_used_is_told(aws: Any, trail: Any) -> None:
    trail.add_response("lookup_events", {"Events": []})
    trail.add_response(
        "lookup_events", {"Events": [event(aws, "DeleteBucket"), event(aws, "ListBuckets", "Denied")]}
    )
    with pytest.raises(Refused) as caught:
        aws.cloud.actions["aws.cloudtrail.assert_no_success"].apply(
            aws.target(), {"access_key_id": KEY, "for": "30s"}, ""
        )
    assert caught.value.message.params == {"key": KEY, "count": "1", "names": "DeleteBucket"}


def test_a_watch_ends_by_itself_and_within_two_minutes(aws: Any, trail: Any) -> None:
    for _ in range(25):
        trail.add_response("lookup_events", {"Events": [event(aws, "ListBuckets", "AccessDenied")]})
    found = aws.cloud.actions["aws.cloudtrail.assert_no_success"].apply(
        aws.target(), {"access_key_id": KEY, "for": "30d"}, ""
    )
    assert found == {"successes": 0, "watched_s": 120}
    assert sum(aws.slept) == 120


def test_events_that_cannot_be_read_are_counted_still(aws: Any, trail: Any) -> None:
    broken = {"EventName": "X", "EventTime": aws.clock.now(), "CloudTrailEvent": "{not json"}
    trail.add_response(
        "lookup_events", {"Events": [broken, {**broken, "CloudTrailEvent": "[]"}, {"EventName": "Y"}]}
    )
    found = aws.cloud.actions["aws.cloudtrail.export_events"].apply(
        aws.target(), {"account_id": aws.victim, "lookback": "1h"}, ""
    )
    assert found["events"] == 3
