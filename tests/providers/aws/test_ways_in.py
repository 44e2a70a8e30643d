"""SNS by every way, as moto plays it: wrapped and raw into a queue, signed over HTTPS; and as Lambda would be given it."""

from __future__ import annotations

import json
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.lab.aws import FakeSns
from tests.lab.endpoints import application
from tests.lab.intake_harness import IntakeHarness
from tests.lab.web import served
from twokey.app import SystemClock
from twokey.cli import app as commands
from twokey.core.errors import Invalid, Refused
from twokey.core.signals import RawNotification
from twokey.providers.aws.endpoints import AwsEndpoints, EventBridgeEndpoint, SnsEndpoint
from twokey.providers.aws.module import AwsModule
from twokey.providers.aws.options import QueueOptions
from twokey.providers.aws.sns import SnsHosts, SnsListener, topic_of
from twokey.providers.aws.sources import SqsSource
from twokey.providers.aws.wiring import endpoints_of
from twokey.providers.azure.endpoints import AzureEndpoints
from twokey.settings import load

FIXTURES = Path(__file__).parents[2] / "fixtures" / "aws"
FINDING = (FIXTURES / "guardduty-s3-deletion.json").read_text()
SECRET = "Qm3xT8vB1nZ6kL9wR4yU7iO2pA5sD0fG"
KEY = "b7Hq2Wn9Xc4Vt6Jm1Lp8Zs3Kd5Fg0Ra-"


@dataclass
class Ways:
    """A topic, a queue, and what came through."""

    aws: Any
    topic: str = ""
    queue: str = ""
    source: Any = None

    def subscribe(self, **attributes: str) -> None:
        self.aws.admin("sns").subscribe(
            TopicArn=self.topic, Protocol="sqs", Endpoint=self.queue, Attributes=attributes
        )

    def publish(self, message: str, **more: Any) -> None:
        self.aws.admin("sns").publish(TopicArn=self.topic, Message=message, **more)

    def received(self) -> list[RawNotification]:
        return list(self.source.receive())


@pytest.fixture
def ways(aws: Any) -> Ways:
    made = Ways(aws)
    made.topic = aws.admin("sns").create_topic(Name="twokey-findings")["TopicArn"]
    url = aws.admin("sqs").create_queue(QueueName="findings")["QueueUrl"]
    made.queue = "arn:aws:sqs:us-east-1:123456789012:findings"
    made.source = SqsSource(aws.session, QueueOptions("findings", url=url), wait_s=1)
    return made


@pytest.mark.parametrize("raw", ["false", "true"])
def test_sns_to_sqs_is_read_wrapped_and_raw(ways: Ways, raw: str) -> None:
    ways.subscribe(RawMessageDelivery=raw)
    ways.publish(FINDING)
    (came,) = ways.received()
    assert ("Signature" in json.loads(came.body)) is (raw == "false")
    world = IntakeHarness()
    world.arrives(came.source, came.body)
    world.works()
    (incident,) = world.incidents()
    assert (incident.family, incident.account) == ("guardduty", json.loads(FINDING)["detail"]["accountId"])


def test_the_same_event_by_eventbridge_and_by_sns_in_both_forms_is_one_message(ways: Ways) -> None:
    for raw in ("false", "true"):
        queue = ways.aws.admin("sqs").create_queue(QueueName=f"q-{raw}")["QueueUrl"]
        ways.queue = f"arn:aws:sqs:us-east-1:123456789012:q-{raw}"
        ways.subscribe(RawMessageDelivery=raw)
        ways.source = SqsSource(ways.aws.session, QueueOptions(f"q-{raw}", url=queue), wait_s=1)
    ways.publish(FINDING)
    world = IntakeHarness()
    world.arrives("aws.sqs:direct", FINDING.encode())
    for raw in ("false", "true"):
        source = SqsSource(ways.aws.session, QueueOptions(f"q-{raw}"), wait_s=1)
        for came in source.receive():
            world.arrives(came.source, came.body)
    world.works()
    assert len(world.raws()) == 3
    assert len(world.sightings()) == 1
    assert [incident.signals for incident in world.incidents()] == [1]


def as_lambda(*messages: str) -> str:
    """Return what a Lambda function is given: other names than over HTTPS, and always a list."""
    records = [
        {
            "EventVersion": "1.0",
            "EventSource": "aws:sns",
            "EventSubscriptionArn": "arn:aws:sns:us-east-1:123456789012:twokey-findings:1",
            "Sns": {
                "Type": "Notification",
                "MessageId": f"95df01b4-ee98-5cb9-9903-4c221d41eb5{number}",
                "TopicArn": "arn:aws:sns:us-east-1:123456789012:twokey-findings",
                "Subject": None,
                "Message": message,
                "Timestamp": "2026-03-02T09:00:00.000Z",
                "SignatureVersion": "1",
                "Signature": "x",
                "SigningCertUrl": "x",
                "UnsubscribeUrl": "x",
                "MessageAttributes": {},
            },
        }
        for number, message in enumerate(messages)
    ]
    return json.dumps({"Records": records})


def test_what_lambda_would_be_given_is_classified(tmp_path: Path) -> None:
    health = (FIXTURES / "health-issue.json").read_text()
    file = tmp_path / "lambda.json"
    file.write_text(as_lambda(FINDING, health, "a text"))
    result = CliRunner().invoke(commands, ["classify", "--json", str(file)])
    assert result.exit_code == 0, result.output
    labels = [json.loads(line)["label"] for line in result.stdout.splitlines()]
    assert labels[:2] == ["customer-security", "provider-outage"]
    assert len(labels) == 3


@dataclass
class Shelf:
    rows: list[RawNotification] = field(default_factory=list)

    def receive(self, notifications: Any) -> list[str]:
        self.rows += [raw for raw in notifications if raw.id not in {kept.id for kept in self.rows}]
        return [raw.id for raw in notifications]


def test_what_an_independent_sns_signs_and_posts_is_heard_at_the_door(ways: Ways, tmp_path: Path) -> None:
    """moto signs with its own key, offers the certificate under its address, and posts as SNS does.

    (It forgets the subject in the text that it signs: with one, its signature is wrong, and is refused.)
    """
    clock, shelf = SystemClock(), Shelf()
    with FakeSns(tmp_path, topic=ways.topic) as front:
        hosts = SnsHosts(
            frozenset({topic_of(ways.topic).host}), timeout_s=60, reach=front.reach, context=front.context
        )
        usual = front.answer

        def from_moto(path: str) -> bytes:
            scope = "AWS4-HMAC-SHA256 Credential=x/20260302/us-east-1/sns/aws4_request"  # moto's way to know a service
            request = urllib.request.Request(ways.aws.url + path, headers={"Authorization": scope})
            with urllib.request.urlopen(request) as answer:
                front.answers[path] = b"HTTP/1.1 200 OK\r\n\r\n" + answer.read()
            return usual(path)

        front.answer = from_moto  # type: ignore[method-assign]
        listener = SnsListener([ways.topic], clock, hosts=hosts)
        door = SnsEndpoint(SECRET, listener.hear, judge_s=100)
        app = application(
            shelf.receive, azure=AzureEndpoints(), clock=clock, readiness=dict, aws=AwsEndpoints(sns=door)
        )
        with served(app) as web:
            endpoint = f"http://127.0.0.1:{web.port}/aws/sns/{SECRET}"
            ways.aws.admin("sns").subscribe(TopicArn=ways.topic, Protocol="http", Endpoint=endpoint)
            ways.publish(FINDING)
            ways.publish(FINDING, Subject="left out of the signed text")
    (raw,) = shelf.rows
    assert raw.source == f"aws.sns:{ways.topic}"
    assert json.loads(json.loads(raw.body)["Message"]) == json.loads(FINDING)


def test_raw_delivery_over_https_has_no_signature_and_is_refused(ways: Ways) -> None:
    listener = SnsListener([ways.topic], SystemClock())
    with pytest.raises(Exception) as refused:
        listener.hear(FINDING.encode())
    assert refused.value.message.code == "aws.sns.not_a_message"  # type: ignore[attr-defined]


def test_a_topic_that_is_not_ours_is_refused_before_anything_is_fetched(ways: Ways, tmp_path: Path) -> None:
    with FakeSns(tmp_path) as other, pytest.raises(Refused) as refused:
        SnsListener([ways.topic], SystemClock()).hear(other.notification("x"))
    assert refused.value.message.code == "aws.sns.topic"


def test_the_end_of_a_subscription_is_shown_to_people(tmp_path: Path) -> None:
    """Nobody hears that nothing comes any more, unless it is said."""
    with FakeSns(tmp_path) as sns:
        world = IntakeHarness()
        world.arrives(f"aws.sns:{sns.topic}", sns.confirmation("UnsubscribeConfirmation"))
        world.arrives(f"aws.sns:{sns.topic}", sns.confirmation("SubscriptionConfirmation", 2))
        world.works()
    (incident,) = world.incidents()
    assert "UnsubscribeConfirmation" in incident.title
    assert incident.verdict.rule == "aws.sns-unsubscribed"


# EventBridge API destinations


def basic(name: str, key: str) -> dict[str, str]:
    import base64

    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{key}".encode()).decode()}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"x-api-key": KEY}, 200),
        ({"X-API-Key": KEY}, 200),
        (basic("bus", KEY), 200),
        ({}, 401),
        ({"x-api-key": ""}, 401),
        ({"x-api-key": KEY[:-1]}, 401),
        ({"x-api-key": KEY + "x"}, 401),
        ({"x-api-key": KEY.lower()}, 401),
        ({"x-api-key": "bus"}, 401),
        ({"Authorization": f"Bearer {KEY}"}, 401),
        ({"Authorization": KEY}, 401),
        ({"Authorization": "Basic"}, 401),
        ({"Authorization": "Basic !!!"}, 401),
        ({"Authorization": "Basic " + "A" * 5000}, 401),
        (basic("bus", KEY[:-1]), 401),
        (basic("other", KEY), 401),
        (basic("", KEY), 401),
        (basic("bus", ""), 401),
        (basic("second", KEY), 401),
    ],
    ids=lambda value: str(value)[:40],
)
def test_an_event_comes_in_by_key_or_name_and_key_and_by_nothing_else(
    headers: dict[str, str], status: int
) -> None:
    shelf = Shelf()
    keys = (EventBridgeEndpoint("bus", KEY), EventBridgeEndpoint("second", KEY[::-1]))
    app = application(
        shelf.receive,
        azure=AzureEndpoints(),
        clock=SystemClock(),
        readiness=dict,
        aws=AwsEndpoints(keys=keys),
    )
    with served(app) as web:
        assert web.post("/aws/events", FINDING.encode(), headers) == status
        assert web.post("/aws/events", FINDING.encode(), headers) == status
    assert [raw.source for raw in shelf.rows] == (["aws.events:bus"] if status == 200 else [])


def test_each_key_is_a_source_of_its_own_and_without_keys_there_is_no_door() -> None:
    shelf = Shelf()
    keys = (EventBridgeEndpoint("bus", KEY), EventBridgeEndpoint("second", KEY[::-1]))
    common: dict[str, Any] = {"azure": AzureEndpoints(), "clock": SystemClock(), "readiness": dict}
    with served(application(shelf.receive, aws=AwsEndpoints(keys=keys), **common)) as web:
        web.post("/aws/events", b"{}", {"x-api-key": KEY})
        web.post("/aws/events", b"{}", basic("second", KEY[::-1]))
        assert web.post("/aws/sns/" + SECRET, b"{}") == 404
    assert [raw.source for raw in shelf.rows] == ["aws.events:bus", "aws.events:second"]
    with served(application(shelf.receive, **common)) as web:
        assert web.post("/aws/events", b"{}", {"x-api-key": KEY}) == 404


@pytest.mark.parametrize(
    "keys",
    [
        (("bus", "short"),),
        (("bus", "a" * 40),),
        (("Bus!", KEY),),
        (("bus", KEY), ("bus", KEY[::-1])),
        (("bus", KEY), ("two", KEY)),
    ],
)
def test_keys_that_could_be_guessed_or_confused_stop_the_start(keys: tuple[tuple[str, str], ...]) -> None:
    with pytest.raises(Exception, match=r"web\."):
        AwsEndpoints(keys=tuple(EventBridgeEndpoint(name, key) for name, key in keys))
    assert "short" not in repr(EventBridgeEndpoint("x", "short"))


TOPIC = "arn:aws:sns:eu-central-1:111111111111:findings"


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"TWOKEY_AWS_SNS_TOPICS": TOPIC}, "TWOKEY_AWS_SNS_SECRET"),
        ({"TWOKEY_AWS_SNS_SECRET": SECRET}, "TWOKEY_AWS_SNS_TOPICS"),
        ({"TWOKEY_AWS_EVENT_KEYS": "bus=short"}, "TWOKEY_AWS_EVENT_KEYS"),
        ({"TWOKEY_AWS_EVENT_KEYS": "=" + KEY}, "TWOKEY_AWS_EVENT_KEYS"),
        ({"TWOKEY_AWS_POLL": "everything"}, "TWOKEY_AWS_POLL"),
        ({"TWOKEY_AWS_POLL_S": "5"}, "TWOKEY_AWS_POLL_S"),
        ({"TWOKEY_AWS_SESSION_TAGS": "tool"}, "TWOKEY_AWS_SESSION_TAGS"),
        (
            {"TWOKEY_AWS_SNS_TOPICS": "arn:aws:sqs:x:1:q", "TWOKEY_AWS_SNS_SECRET": SECRET},
            "aws.sns.not_a_topic",
        ),
        ({"TWOKEY_AWS_SNS_TOPICS": TOPIC, "TWOKEY_AWS_SNS_SECRET": "a" * 40}, "web.secret_weak"),
        ({"TWOKEY_AWS_EVENT_KEYS": f"x={KEY},y={KEY}"}, "web.door_twice"),
        ({"TWOKEY_AWS_SOURCE_SCOPES": "twokey-findings=*"}, "aws.scope.entry"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_a_way_that_is_half_made_stops_the_start_with_its_name(given: dict[str, str], named: str) -> None:
    def start() -> None:
        loaded = load(given)
        loaded.module(AwsModule).source_authorization()
        endpoints_of(loaded.module(AwsModule).settings, SystemClock())

    with pytest.raises(Invalid) as refused:
        start()
    assert named in str(refused.value)
    assert SECRET not in str(refused.value)
    assert KEY not in str(refused.value)
