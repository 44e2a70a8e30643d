"""SQS: notifications are fetched by a long poll, and deleted only when they are stored.

https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from twokey.core.errors import NotFound, Unavailable
from twokey.core.signals import RawNotification, raw_id
from twokey.providers.aws.options import QueueOptions
from twokey.providers.aws.session import AwsSession

BATCH = 10  # the most that SQS gives or deletes at once
_DELETE_ATTEMPTS = 3
_KEPT_HANDLES = 10_000  # far above what can be in flight between a receive and its done


@dataclass
class SqsSource:
    """One queue. What is not deleted comes back after its visibility timeout, and is then known by its id.

    A body is kept whatever it is: what cannot be read is shown as unreadable later, not lost here.
    """

    session: AwsSession
    queue: QueueOptions
    wait_s: int = 20
    name: str = field(init=False)
    _url: str = field(init=False, default="")
    _handles: dict[str, list[str]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.name = f"aws.sqs:{self.queue.name}"
        self._url = self.queue.url

    def receive(self) -> list[RawNotification]:
        """Wait up to 20 s for up to ten notifications; Unavailable when the queue does not answer."""
        found = self._call(
            "receive_message",
            QueueUrl=self._address(),
            MaxNumberOfMessages=BATCH,
            WaitTimeSeconds=min(self.wait_s, 20),
        )
        now = self.session.clock.now()
        raws: dict[str, RawNotification] = {}
        for message in found.get("Messages", []):
            # A lone surrogate can come out of JSON's escapes: such a body is kept too.
            body = str(message.get("Body", "")).encode("utf-8", "surrogatepass")
            identity = raw_id(self.name, body)
            raws[identity] = RawNotification(identity, self.name, body, now, account=self.queue.account)
            self._handles.setdefault(identity, []).append(str(message["ReceiptHandle"]))
        while len(self._handles) > _KEPT_HANDLES:
            self._handles.pop(next(iter(self._handles)))
        return list(raws.values())

    def done(self, notifications: Iterable[RawNotification]) -> None:
        """Delete what is stored. What SQS could not delete is tried again, then raised as Unavailable.

        A handle that has expired is no fault: the message comes once more, and is recognised.
        """
        handles = [handle for raw in notifications for handle in self._handles.pop(raw.id, [])]
        for start in range(0, len(handles), BATCH):
            left = handles[start : start + BATCH]
            for _attempt in range(_DELETE_ATTEMPTS):
                entries = [{"Id": str(number), "ReceiptHandle": one} for number, one in enumerate(left)]
                answer = self._call("delete_message_batch", QueueUrl=self._address(), Entries=entries)
                failed = [fault for fault in answer.get("Failed", []) if not fault.get("SenderFault")]
                left = [left[int(fault["Id"])] for fault in failed]
                if not left:
                    break
            if left:
                raise Unavailable("aws.sqs.not_deleted", queue=self.queue.name, count=len(left))

    def _address(self) -> str:
        if not self._url:
            try:
                self._url = str(self._call("get_queue_url", QueueName=self.queue.name)["QueueUrl"])
            except NotFound as missing:
                raise NotFound("aws.sqs.no_queue", queue=self.queue.name) from missing
        return self._url

    def _call(self, operation: str, **given: Any) -> dict[str, Any]:
        # Our own account in any case: a queue is read where twokey lives.
        return self.session.call("sqs", operation, "", region=self.queue.region, **given)


def sources(session: AwsSession) -> tuple[SqsSource, ...]:
    """Return a source for each queue of the settings."""
    return tuple(SqsSource(session, queue) for queue in session.options.queues)


def queue_of(address: str, account: str = "") -> QueueOptions:
    """Return the options of a queue from its address, e.g. https://sqs.eu-west-1.amazonaws.com/123456789012/name."""
    address = address.rstrip("/")
    host, _, path = address.partition("//")[2].partition("/")
    parts = host.split(".")
    region = parts[1] if len(parts) > 3 and parts[0] == "sqs" else ""
    return QueueOptions(name=path.rpartition("/")[2] or address, url=address, region=region, account=account)
