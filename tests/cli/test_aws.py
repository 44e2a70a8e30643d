"""`twokey aws setup` against ministack's CloudFormation: shown first, made once, and nothing left behind by a no."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from typer.testing import CliRunner, Result

from twokey.cli import app
from twokey.core.errors import Refused
from twokey.demo.emulators import Ministack
from twokey.providers.aws.options import AwsOptions
from twokey.providers.aws.session import AwsSession
from twokey.providers.aws.setup import Stack, template
from twokey.settings import data_folder
from twokey.testing.clocks import SettableClock

ROOT = Path(__file__).resolve().parents[2]
REGION = "eu-west-1"


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ministack]:
    with Ministack(tmp_path_factory.mktemp("aws")) as emulator:
        yield emulator


@pytest.fixture
def url(aws: Ministack, monkeypatch: pytest.MonkeyPatch) -> str:
    """An AWS without any stack, and what somebody's shell says of it."""
    reset = urllib.request.Request(f"{aws.url}/_ministack/reset", method="POST")
    urllib.request.urlopen(reset).close()
    monkeypatch.setenv("TWOKEY_AWS_ENDPOINT_URL", aws.url)
    monkeypatch.setenv("TWOKEY_REHEARSAL", "1")
    monkeypatch.setenv("TWOKEY_AWS_REGION", REGION)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return aws.url


def run(*arguments: str, typed: str | None = None) -> Result:
    return CliRunner().invoke(app, ["aws", "setup", *arguments], input=typed)


def client(url: str, service: str, region: str = REGION) -> Any:
    return boto3.client(
        service,
        endpoint_url=url,
        region_name=region,
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


def stacks(url: str, region: str = REGION) -> dict[str, str]:
    found = client(url, "cloudformation", region).describe_stacks()["Stacks"]
    return {stack["StackName"]: stack["StackStatus"] for stack in found}


def test_without_apply_the_template_is_printed_and_nothing_is_asked_of_aws() -> None:
    result = run()
    assert result.exit_code == 0
    assert result.stdout.strip() == (ROOT / "deploy" / "aws" / "notifications.yaml").read_text().strip()
    told = json.loads(run("--json").stdout)
    assert told["stack"] == "twokey-notifications"
    assert "AWS::SQS::Queue" in told["template"]


def test_what_would_be_made_is_shown_and_a_no_leaves_nothing_behind(url: str) -> None:
    for typed in ("n\n", "\n", ""):
        result = run("--apply", typed=typed)
        assert "new stack twokey-notifications in account 111111111111, Region eu-west-1" in result.stdout
        assert "Add     Notifications AWS::SQS::Queue" in result.stdout
        assert "Add     GuardDutyFindings AWS::Events::Rule" in result.stdout
        assert stacks(url) == {}
        assert client(url, "events").list_rules()["Rules"] == []


def test_a_yes_makes_it_and_says_what_to_put_into_the_settings(url: str) -> None:
    result = run("--apply", typed="y\n")
    assert result.exit_code == 0, result.output
    queue = f"{url}/111111111111/twokey-findings"
    assert f"TWOKEY_AWS_QUEUES={queue}" in result.stdout.splitlines()
    assert stacks(url) == {"twokey-notifications": "CREATE_COMPLETE"}
    rules = client(url, "events").list_rules()["Rules"]
    assert len(rules) >= 3
    targets = client(url, "events").list_targets_by_rule(Rule=rules[0]["Name"])["Targets"]
    assert targets[0]["DeadLetterConfig"]["Arn"].endswith("twokey-findings-dead")


def test_a_second_time_there_is_nothing_to_change(url: str) -> None:
    assert run("--apply", "--yes").exit_code == 0
    again = run("--apply", "--yes")
    assert again.exit_code == 0
    assert "nothing to change" in again.stdout
    assert "TWOKEY_AWS_QUEUES=" in again.stdout
    told = json.loads(run("--apply", "--yes", "--json").stdout)
    assert (told["changes"], told["applied"]) == ([], False)
    assert stacks(url) == {"twokey-notifications": "CREATE_COMPLETE"}


def test_a_script_sees_the_difference_and_makes_it_only_with_yes(url: str) -> None:
    told = json.loads(run("--apply", "--json").stdout)
    assert (told["applied"], told["is_new"], told["outputs"]) == (False, True, {})
    assert {"Notifications", "DeadLetters", "QueuePolicy"} <= {change["name"] for change in told["changes"]}
    assert stacks(url) == {}
    made = json.loads(run("--apply", "--json", "--yes").stdout)
    assert made["applied"] is True
    assert made["outputs"]["QueueUrl"].endswith("/twokey-findings")


def test_a_changed_template_shows_what_it_changes_and_changes_that(url: str) -> None:
    run("--apply", "--yes")
    options = AwsOptions(endpoint_url=url, access_key_id="test", secret_access_key="test", region=REGION)
    newer = template(data_folder("deploy")).replace("Threshold: 900", "Threshold: 1800")
    stack = Stack(AwsSession(options, SettableClock()), newer, parameters={"QueueName": "twokey-findings"})
    difference = stack.difference()
    assert [(one.action, one.name, one.parts) for one in difference.changes] == [
        ("Modify", "NotificationsAreStuck", ("Threshold",))
    ]

    def threshold() -> float:
        return float(client(url, "cloudwatch").describe_alarms()["MetricAlarms"][0]["Threshold"])

    assert threshold() == 900
    stack.apply(difference)
    assert threshold() == 1800


def test_another_region_and_other_names_are_taken(url: str) -> None:
    result = run("--apply", "--yes", "--region", "us-west-2", "--stack", "second", "--queue", "twokey-second")
    assert result.exit_code == 0, result.output
    assert stacks(url, "us-west-2") == {"second": "CREATE_COMPLETE"}
    assert stacks(url) == {}
    assert f"TWOKEY_AWS_QUEUES={url}/111111111111/twokey-second" in result.stdout


def test_what_the_template_makes_receives_what_eventbridge_sends(url: str) -> None:
    """The rule's pattern, the target and the queue, as the emulator's EventBridge plays them."""
    run("--apply", "--yes")
    sqs = client(url, "sqs")
    queue = f"{url}/111111111111/twokey-findings"
    with pytest.raises(
        ClientError, match="denied"
    ):  # the queue refuses whatever does not come by TLS, as here
        sqs.receive_message(QueueUrl=queue)
    text = template(data_folder("deploy")).replace(
        'aws:SecureTransport: "false"', 'aws:SecureTransport: "no"'
    )
    without = text.replace("[aws.health]", "[example.health]")  # nobody but AWS may put events of aws.*
    options = AwsOptions(endpoint_url=url, access_key_id="test", secret_access_key="test", region=REGION)
    stack = Stack(AwsSession(options, SettableClock()), without, parameters={"QueueName": "twokey-findings"})
    stack.apply(stack.difference())
    event = {
        "Source": "example.health",
        "DetailType": "AWS Health Event",
        "Detail": json.dumps({"eventTypeCode": "AWS_EC2_OPERATIONAL_ISSUE"}),
    }
    client(url, "events").put_events(Entries=[event, {**event, "DetailType": "Another"}])
    came = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=5).get("Messages", [])
    assert [json.loads(message["Body"])["detail-type"] for message in came] == ["AWS Health Event"]


@pytest.mark.parametrize(
    "name",
    [
        "guardduty-s3-deletion",
        "securityhub-imported-public-bucket",
        "securityhub-custom-action-two-findings",
        "health-issue",
        "health-abuse",
    ],
)
def test_the_templates_rules_match_what_aws_sends(url: str, name: str) -> None:
    run("--apply", "--yes")
    events = client(url, "events")
    event = (ROOT / "tests" / "fixtures" / "aws" / f"{name}.json").read_text()
    matching = [
        rule["Name"]
        for rule in events.list_rules()["Rules"]
        if events.test_event_pattern(EventPattern=rule["EventPattern"], Event=event)["Result"]
    ]
    assert len(matching) == 1


class Scripted:
    """A session whose CloudFormation says what a test wants, where the emulator's knows only success."""

    def __init__(self, status: str = "", **answers: Any) -> None:
        self.status, self.answers = status, answers
        self.made: list[str] = []
        self.options = AwsOptions(own_account="111111111111")
        self.clock = SettableClock()
        self.slept = 0

    def own_account(self) -> str:
        return "111111111111"

    def sleep(self, seconds: float) -> None:
        self.slept += 1
        self.status = self.answers.get("then", self.status)

    def call(self, service: str, operation: str, account: str, **given: Any) -> Any:
        self.made.append(operation)
        if operation == "describe_stacks" and not self.status:
            raise Refused("aws.refused_by_service", error="ValidationError")
        if operation == "describe_stacks":
            return {"Stacks": [{"StackStatus": self.status}]}
        if operation == "create_change_set":
            return {"Id": "cs-1"}
        if operation == "execute_change_set":
            self.status = "UPDATE_IN_PROGRESS"
        return self.answers.get(operation, {})

    def listed(self, service: str, operation: str, field: str, account: str, **given: Any) -> list[Any]:
        return list(self.answers.get(field, []))


CHANGE = {
    "ResourceChange": {
        "Action": "Modify",
        "LogicalResourceId": "Notifications",
        "ResourceType": "AWS::SQS::Queue",
        "Replacement": "True",
        "Details": [{"Target": {"Attribute": "Properties", "Name": "QueueName"}}],
    }
}


def test_a_change_set_without_changes_is_taken_away() -> None:
    failed = {"Status": "FAILED", "StatusReason": "The submitted information didn't contain changes."}
    session: Any = Scripted("CREATE_COMPLETE", describe_change_set=failed)
    difference = Stack(session, "x").difference()
    assert (difference.changes, difference.change_set) == ((), "")
    assert session.made[-1] == "delete_change_set"


def test_what_replaces_a_resource_says_so() -> None:
    session: Any = Scripted(
        "CREATE_COMPLETE", describe_change_set={"Status": "CREATE_COMPLETE"}, Changes=[CHANGE]
    )
    (change,) = Stack(session, "x").difference().changes
    assert (change.action, change.replacement, change.parts) == ("Modify", "True", ("QueueName",))


@pytest.mark.parametrize(
    ("status", "code"),
    [("ROLLBACK_COMPLETE", "aws.setup.unusable"), ("UPDATE_IN_PROGRESS", "aws.setup.busy")],
)
def test_a_stack_that_cannot_be_changed_is_told_before_anything_is_made(status: str, code: str) -> None:
    session: Any = Scripted(status)
    with pytest.raises(Exception) as caught:
        Stack(session, "x").difference()
    assert caught.value.message.code == code  # type: ignore[attr-defined]
    assert session.made == ["describe_stacks"]


def test_a_stack_that_fails_says_what_failed_first() -> None:
    events = [
        {
            "LogicalResourceId": "QueuePolicy",
            "ResourceStatus": "CREATE_FAILED",
            "ResourceStatusReason": "cancelled",
        },
        {
            "LogicalResourceId": "Notifications",
            "ResourceStatus": "CREATE_FAILED",
            "ResourceStatusReason": "no right",
        },
    ]
    complete = {"Status": "CREATE_COMPLETE"}
    session: Any = Scripted(
        "CREATE_COMPLETE",
        describe_change_set=complete,
        Changes=[CHANGE],
        StackEvents=events,
        then="UPDATE_ROLLBACK_COMPLETE",
    )
    stack = Stack(session, "x")
    with pytest.raises(Refused) as caught:
        stack.apply(stack.difference())
    assert caught.value.message.params["why"] == "Notifications: no right"
    assert session.slept == 1


def test_a_right_that_is_missing_is_told_as_such(url: str) -> None:
    class Denied(Scripted):
        def call(self, service: str, operation: str, account: str, **given: Any) -> Any:
            raise Refused("aws.access_denied", action="cloudformation:DescribeStacks", account="own")

    session: Any = Denied()
    with pytest.raises(Refused) as caught:
        Stack(session, "x").difference()
    assert caught.value.message.code == "aws.access_denied"


def test_the_template_is_small_enough_to_be_sent_whole() -> None:
    assert len(template(data_folder("deploy")).encode()) < 51_200


def test_the_templates_are_right_by_cloudformations_own_schemas() -> None:
    files = sorted(str(path) for path in (ROOT / "deploy" / "aws").glob("*.yaml"))
    lint = [
        sys.executable,
        "-c",
        "import cfnlint.runner; cfnlint.runner.main()",
        "--regions",
        "eu-west-1",
        "us-east-1",
        "--",
        *files,
    ]
    done = subprocess.run(lint, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_real_session_reads_that_there_is_no_stack(url: str) -> None:
    options = AwsOptions(endpoint_url=url, access_key_id="test", secret_access_key="test")
    assert Stack(AwsSession(options, SettableClock()), "x").outputs() == {}
