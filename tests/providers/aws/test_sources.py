"""SQS against a moto server: nothing is deleted before it is stored, and nothing is dropped."""

from __future__ import annotations

from typing import Any

import pytest

from twokey.core.errors import NotFound, Unavailable
from twokey.core.signals import raw_id
from twokey.providers.aws.options import AwsOptions, QueueOptions
from twokey.providers.aws.session import AwsSession
from twokey.providers.aws.sources import SqsSource, queue_of, sources
from twokey.testing.clocks import SettableClock


@pytest.fixture
def queue(aws: Any) -> Any:
    """Make the queue and return a source of it, with the test's own client and address."""
    sqs = aws.admin("sqs")
    url = sqs.create_queue(QueueName="findings", Attributes={"VisibilityTimeout": "1"})["QueueUrl"]

    class Queue:
        source = SqsSource(aws.session, QueueOptions("findings", account="222222222222"), wait_s=1)

        def send(self, *bodies: str) -> None:
            for body in bodies:
                sqs.send_message(QueueUrl=url, MessageBody=body)

        def left(self) -> int:
            names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
            found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
            return sum(int(found[name]) for name in names)

    return Queue()


def test_notifications_are_deleted_only_when_they_are_done(queue: Any) -> None:
    queue.send('{"a":1}', '{"a":2}')
    raws = queue.source.receive()
    assert sorted(raw.body for raw in raws) == [b'{"a":1}', b'{"a":2}']
    assert queue.left() == 2
    queue.source.done(raws)
    assert queue.left() == 0


def test_a_notification_is_named_by_what_it_says(queue: Any, aws: Any) -> None:
    queue.send('{"a":1}')
    (raw,) = queue.source.receive()
    assert raw.id == raw_id("aws.sqs:findings", b'{"a":1}')
    assert (raw.source, raw.provider, raw.account) == ("aws.sqs:findings", "aws", "222222222222")
    assert raw.received_at == aws.clock.now()


def test_what_was_not_stored_comes_again_under_the_same_name(queue: Any) -> None:
    queue.send('{"a":1}')
    (first,) = queue.source.receive()
    again: list[Any] = []
    for _ in range(4):
        again += queue.source.receive()
    assert {raw.id for raw in again} == {first.id}
    queue.source.done(again)
    assert queue.left() == 0


@pytest.mark.parametrize(
    "body", ["not json", "[]", "null", "\u202e\u0001 \U0001f600", "{" * 5000, '"' + "x" * 200_000 + '"']
)
def test_a_body_that_nobody_can_read_is_kept(queue: Any, body: str) -> None:
    body = body.replace("\u0001", "")  # SQS itself refuses control characters
    queue.send(body)
    (raw,) = queue.source.receive()
    assert raw.body == body.encode()
    queue.source.done([raw])
    assert queue.left() == 0


def test_two_messages_that_say_the_same_are_one_notification_and_both_are_deleted(queue: Any) -> None:
    queue.send('{"a":1}', '{"a":1}')
    raws: dict[str, Any] = {}
    for _ in range(3):
        raws |= {raw.id: raw for raw in queue.source.receive()}
    assert len(raws) == 1
    queue.source.done(raws.values())
    assert queue.left() == 0


def test_more_than_ten_are_deleted_in_batches(queue: Any, aws: Any) -> None:
    queue.send(*(f'{{"a":{n}}}' for n in range(23)))
    raws: list[Any] = []
    for _ in range(6):
        raws += queue.source.receive()
    aws.session.made.clear()
    queue.source.done({raw.id: raw for raw in raws}.values())
    assert queue.left() == 0
    assert aws.session.made.count("sqs:DeleteMessageBatch") >= 3


def test_done_twice_deletes_once(queue: Any, aws: Any) -> None:
    queue.send('{"a":1}')
    raws = queue.source.receive()
    queue.source.done(raws)
    aws.session.made.clear()
    queue.source.done(raws)
    assert "sqs:DeleteMessageBatch" not in aws.session.made


class Partly:
    """A session whose deletes fail in part: the first time for one, or always."""

    def __init__(self, aws: Any, faults: list[list[dict[str, Any]]]) -> None:
        self.real = aws.session
        self.clock = aws.clock
        self.options = aws.options
        self.faults = faults
        self.deleted: list[list[str]] = []

    def call(self, service: str, operation: str, account: str, **given: Any) -> dict[str, Any]:
        if operation == "receive_message":
            messages = [{"MessageId": n, "Body": n, "ReceiptHandle": f"handle-{n}"} for n in "abc"]
            return {"Messages": messages}
        if operation == "delete_message_batch":
            self.deleted.append([entry["ReceiptHandle"] for entry in given["Entries"]])
            return {"Failed": self.faults.pop(0) if self.faults else []}
        return {"QueueUrl": "http://127.0.0.1/1/q"}


def test_deletes_that_failed_in_part_are_tried_again_for_those_alone(aws: Any) -> None:
    session: Any = Partly(aws, [[{"Id": "1", "SenderFault": False, "Code": "InternalError"}]])
    source = SqsSource(session, QueueOptions("q"))
    source.done(source.receive())
    assert session.deleted == [["handle-a", "handle-b", "handle-c"], ["handle-b"]]


def test_deletes_that_go_on_failing_are_told(aws: Any) -> None:
    fault = [{"Id": "0", "SenderFault": False, "Code": "InternalError"}]
    session: Any = Partly(aws, [fault, fault, fault])
    source = SqsSource(session, QueueOptions("q"))
    with pytest.raises(Unavailable) as caught:
        source.done(source.receive())
    assert caught.value.message.params == {"queue": "q", "count": "1"}


def test_a_handle_that_has_expired_is_no_fault(aws: Any) -> None:
    """The message comes once more, and is recognised by its id."""
    session: Any = Partly(aws, [[{"Id": "2", "SenderFault": True, "Code": "ReceiptHandleIsInvalid"}]])
    source = SqsSource(session, QueueOptions("q"))
    source.done(source.receive())
    assert len(session.deleted) == 1


def test_a_body_with_a_lone_surrogate_is_kept(aws: Any) -> None:
    session: Any = Partly(aws, [])
    real = session.call
    session.call = lambda service, operation, account, **given: (
        {"Messages": [{"MessageId": "1", "Body": '"\ud800"', "ReceiptHandle": "h"}]}
        if operation == "receive_message"
        else real(service, operation, account, **given)
    )
    (raw,) = SqsSource(session, QueueOptions("q")).receive()
    assert raw.body == '"\ud800"'.encode("utf-8", "surrogatepass")


def test_a_queue_that_does_not_exist_is_named(aws: Any) -> None:
    with pytest.raises(NotFound) as caught:
        SqsSource(aws.session, QueueOptions("nobody-made-it")).receive()
    assert caught.value.message.code == "aws.sqs.no_queue"


def test_a_lost_connection_is_unavailable_and_the_next_try_works(aws: Any, queue: Any) -> None:
    options = AwsOptions(
        endpoint_url="http://127.0.0.1:9",
        access_key_id="AKIATESTTESTTESTTEST",
        secret_access_key="t",
        max_attempts=1,
    )
    source = SqsSource(AwsSession(options, SettableClock()), QueueOptions("findings"), wait_s=1)
    with pytest.raises(Unavailable):
        source.receive()
    queue.send("{}")
    source.session = aws.session
    assert len(source.receive()) == 1


def test_queues_are_made_from_their_addresses() -> None:
    queue = queue_of("https://sqs.eu-west-1.amazonaws.com/123456789012/twokey-findings")
    assert (queue.name, queue.region) == ("twokey-findings", "eu-west-1")
    local = queue_of("http://127.0.0.1:4566/111111111111/findings")
    assert (local.name, local.region) == ("findings", "")
    assert queue_of("http://127.0.0.1:4566/111111111111/findings/") == local, (
        "its name is not its whole address"
    )
    session = AwsSession(AwsOptions(queues=(queue, local)), SettableClock())
    assert [source.name for source in sources(session)] == ["aws.sqs:twokey-findings", "aws.sqs:findings"]
