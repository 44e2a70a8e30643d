"""Storage queues: Event Grid writes its events there, and they are deleted only when they are stored."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from threading import Event
from typing import TYPE_CHECKING, Any

from twokey.core.errors import Invalid
from twokey.core.signals import RawNotification, raw_id
from twokey.ports import Clock
from twokey.providers.azure.faults import translating_errors
from twokey.providers.azure.session import AzureSession

if TYPE_CHECKING:
    from azure.storage.queue import QueueClient

# The most that a queue gives at once: https://learn.microsoft.com/en-us/rest/api/storageservices/get-messages
BATCH = 32
DATA_PERMISSIONS = (
    "Microsoft.Storage/storageAccounts/queueServices/queues/messages/process/action",
    "Microsoft.Storage/storageAccounts/queueServices/queues/messages/read",
)
_ADDRESS = re.compile(r"https://([a-z0-9-]+)[a-z0-9.:-]*/([a-z0-9](?:-?[a-z0-9]){2,62})", re.IGNORECASE)
_OFTEN = 5
log = logging.getLogger(__name__)


@dataclass
class StorageQueue:
    """One queue. What is not deleted comes back after `invisible_s`, and is then known by what it says.

    A message is kept whatever it is, in base64 or not: what cannot be read is shown as unreadable, not lost
    here, and leaves the queue like any other, so that it holds nothing up.
    """

    session: AzureSession
    address: str
    tenant: str
    clock: Clock
    invisible_s: int = 120
    idle_s: float = 5.0
    wait: Callable[[float], object] = field(default_factory=lambda: Event().wait, repr=False)
    name: str = field(init=False)
    _client: QueueClient | None = field(init=False, default=None, repr=False)
    _receipts: dict[str, list[tuple[str, str]]] = field(init=False, default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        found = _ADDRESS.fullmatch(self.address)
        if found is None:
            raise Invalid("azure.queue_address", address=self.address.partition("?")[0])
        self.name = f"azure.queue:{found[1]}/{found[2]}".lower()

    def receive(self) -> list[RawNotification]:
        """Return up to 32 messages; a queue has no long poll, so an empty one is left alone for a while."""
        with translating_errors(self.name):
            answer = self._queue().receive_messages(
                messages_per_page=BATCH, visibility_timeout=self.invisible_s
            )
            pages = answer.by_page()
            # Receipts of what came before are of no use any more: those messages come with new ones.
            self._receipts.clear()
            messages: list[Any] = list(next(pages, ()))
        now = self.clock.now()
        raws: dict[str, RawNotification] = {}
        for message in messages:
            body = str(message.content or "").encode("utf-8", "surrogatepass")
            identity = raw_id(self.name, body)
            raws[identity] = RawNotification(identity, self.name, body, now, tenant=self.tenant)
            self._receipts.setdefault(identity, []).append((str(message.id), str(message.pop_receipt)))
            if (message.dequeue_count or 0) > _OFTEN:
                # Each time it was received and not deleted: it could not be stored, or not be deleted.
                log.warning(
                    "%s: message %s comes for the %dth time", self.name, message.id, message.dequeue_count
                )
        if not raws:
            self.wait(self.idle_s)
        return list(raws.values())

    def done(self, notifications: Iterable[RawNotification]) -> None:
        """Delete what is stored; one that has come back meanwhile is somebody else's now, and is recognised."""
        from azure.core import exceptions as az

        for raw in notifications:
            for message, receipt in self._receipts.pop(raw.id, []):
                with translating_errors(self.name):
                    try:
                        self._queue().delete_message(message, receipt)
                    except az.ResourceNotFoundError:
                        continue
                    except az.HttpResponseError as error:
                        if getattr(error, "error_code", "") != "PopReceiptMismatch":
                            raise

    def _queue(self) -> QueueClient:
        if self._client is None:
            self._client = self.session.queue(self.address)
        return self._client
