"""AWS's other ways in, to a bot that runs: the emulator's EventBridge and SNS call its door as AWS does."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.lab.aws import FakeLists
from tests.lab.aws.lists import health_event, pushed
from tests.lab.installation import Installation
from twokey.core.incidents import Incident
from twokey.core.signals import Cursor, RawNotification
from twokey.demo import notifications
from twokey.demo.company import BUCKETS, SHOP, TOOLS

KEY = "b7Hq2Wn9Xc4Vt6Jm1Lp8Zs3Kd5Fg0Ra-"
SECRET = "Qm3xT8vB1nZ6kL9wR4yU7iO2pA5sD0fG"
TOPIC = f"arn:aws:sns:eu-central-1:{TOOLS}:findings"
WAYS = {
    "TWOKEY_AWS_EVENT_KEYS": f"bus={KEY}",
    "TWOKEY_AWS_SNS_TOPICS": TOPIC,
    "TWOKEY_AWS_SNS_SECRET": SECRET,
    "TWOKEY_AWS_SOURCE_SCOPES": f"sqs:twokey-findings={SHOP},events:bus={SHOP}",
}


@pytest.fixture
def world(worlds: Callable[..., Installation]) -> Installation:
    made = worlds("sqlite", **WAYS)
    made.bot()
    return made


def a_finding(world: Installation) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        notifications.findings(world.company.key_id, list(BUCKETS), datetime.now(UTC))[1]
    )
    return found


def destination(world: Installation, kind: str, **parameters: Any) -> Any:
    """Make a rule whose events go to the bot's door; return what puts an event onto the bus."""
    events = world.company.client("events", "test")
    connection = events.create_connection(Name=f"c-{kind}", AuthorizationType=kind, AuthParameters=parameters)
    address = f"{world.bots[-1].url}/aws/events"
    made = events.create_api_destination(
        Name=f"d-{kind}",
        ConnectionArn=connection["ConnectionArn"],
        InvocationEndpoint=address,
        HttpMethod="POST",
    )
    events.put_rule(Name=f"r-{kind}", EventPattern=json.dumps({"source": [f"test.{kind}"]}))
    target = {
        "Id": "twokey",
        "Arn": made["ApiDestinationArn"],
        "RoleArn": f"arn:aws:iam::{TOOLS}:role/events",
    }
    events.put_targets(Rule=f"r-{kind}", Targets=[target])

    def put(detail_type: str, detail: dict[str, Any]) -> None:
        entry = {"Source": f"test.{kind}", "DetailType": detail_type, "Detail": json.dumps(detail)}
        assert events.put_events(Entries=[entry])["FailedEntryCount"] == 0

    return put


def test_an_api_destination_delivers_by_key_and_by_name_and_key(world: Installation) -> None:
    """The same finding by both ways and by the queue is one incident with one signal."""
    finding = a_finding(world)
    by_key = destination(
        world, "API_KEY", ApiKeyAuthParameters={"ApiKeyName": "x-api-key", "ApiKeyValue": KEY}
    )
    by_key("GuardDuty Finding", finding["detail"])
    world.until(lambda: world.find(RawNotification, source="aws.events:bus"))
    by_name = destination(world, "BASIC", BasicAuthParameters={"Username": "bus", "Password": KEY})
    by_name("GuardDuty Finding", finding["detail"])
    world.until(lambda: len(world.find(RawNotification, source="aws.events:bus")) == 2)
    world.company.notify([json.dumps(finding)])
    world.until(lambda: world.find(RawNotification, source="aws.sqs:twokey-findings"))
    world.quiet()
    (incident,) = world.find(Incident)
    assert (incident.signals, incident.account, incident.disputed) == (1, SHOP, None)
    world.until(lambda: world.card("INC-1"))


def test_a_wrong_key_is_turned_away_and_the_emulators_unsigned_sns_is_not_heard(world: Installation) -> None:
    put = destination(
        world, "API_KEY", ApiKeyAuthParameters={"ApiKeyName": "x-api-key", "ApiKeyValue": KEY[::-1]}
    )
    put("GuardDuty Finding", a_finding(world)["detail"])
    sns = world.company.client("sns", "test")
    topic = sns.create_topic(Name="findings")["TopicArn"]
    assert topic == TOPIC
    endpoint = f"{world.bots[-1].url}/aws/sns/{SECRET}"
    sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=endpoint)  # it confirms with a made-up signature
    world.until(lambda: "sns: a message was not taken" in world.log())
    assert "aws.sns.certificate_address" in world.log()
    assert SECRET not in world.log()
    assert KEY not in world.log()
    assert world.find(RawNotification) == []
    world.company.notify([json.dumps(a_finding(world))])  # and everything else goes on
    world.until(lambda: world.card("INC-1"))
    assert world.readiness()["ready"] is True


def test_a_running_bot_asks_health_and_one_event_polled_and_pushed_is_one_incident(
    worlds: Callable[..., Installation],
) -> None:
    """Health answers, as its API does; Security Hub is not on in this account, which is told once."""
    world = worlds("sqlite", TWOKEY_AWS_POLL_S="60")
    event = health_event(1, datetime.now(UTC), region="eu-central-1")
    with FakeLists() as health:
        health.happens(event)
        now = datetime.now(UTC).timestamp()
        asked = {"filter": {"lastUpdatedTimes": [{"from": 0, "to": now}]}}
        arns = {"eventArns": [event["arn"]]}
        for operation, given in (
            ("DescribeEvents", asked),
            ("DescribeEventDetails", arns),
            ("DescribeAffectedEntities", {"filter": arns}),
        ):
            status, body = health.answer(operation, given)
            world.proxy.answers[operation] = (status, json.dumps(body).encode())
    refusal = json.dumps({"__type": "InvalidAccessException", "Code": "InvalidAccessException"}).encode()
    world.proxy.answers["PostObject"] = (401, refusal)  # what the proxy takes POST /findings for
    world.company.notify([pushed(event, SHOP).decode()])
    world.bot()
    world.until(lambda: world.find(RawNotification, source="aws.poll:health"), 300)
    world.until(lambda: world.find(RawNotification, source="aws.sqs:twokey-findings"), 300)
    world.quiet()
    (incident,) = world.find(Incident)
    assert (incident.signals, incident.verdict.label.value) == (2, "provider-outage")
    (cursor,) = world.find(Cursor)
    assert cursor.position == event["lastUpdatedTime"].isoformat(timespec="microseconds")
    world.until(lambda: "left out" in world.log(), 300)
    assert world.readiness()["ready"] is True
    world.proven()


def test_the_doctor_says_by_what_ways_aws_comes_and_for_whom(worlds: Callable[..., Installation]) -> None:
    world = worlds("sqlite", **WAYS)
    told = {
        line["part"]: line for line in map(json.loads, world.twokey("doctor", "--json").stdout.splitlines())
    }
    says = told["ways of AWS"]["says"]
    assert "1 queues, 1 SNS topics over HTTPS, 1 keys for EventBridge, nothing is asked" in says
    assert "each source speaks for its own accounts" in says
    del world.variables["TWOKEY_AWS_SOURCE_SCOPES"]
    told = {
        line["part"]: line for line in map(json.loads, world.twokey("doctor", "--json").stdout.splitlines())
    }
    assert "TWOKEY_AWS_SOURCE_SCOPES limits that" in told["ways of AWS"]["says"]
