"""The inbox: one writer stores what is waiting in one go; each sender waits until its own is durable."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from twokey.core.errors import Unavailable
from twokey.core.signals import RawNotification
from twokey.web.limits import DEFAULT, Limits

Receive = Callable[[Sequence[RawNotification]], list[str]]
log = logging.getLogger("twokey.web")


@dataclass(slots=True)
class _Waiting:
    raw: RawNotification
    stored: asyncio.Future[None]


class Inbox:
    """Group commit: while one batch is being stored the next one gathers. Order of arrival is kept."""

    def __init__(self, receive: Receive, limits: Limits = DEFAULT) -> None:
        """Take what makes a batch durable: it is called in a thread of its own."""
        self._receive = receive
        self._limits = limits
        self._patience_s = limits.store_s
        self._waiting: deque[_Waiting] = deque()
        self._in_hand: list[_Waiting] = []
        self._bytes = 0
        self._some = asyncio.Event()
        self._busy_since: float | None = None
        self._failing = False
        # Its own thread: a full default pool must not hold up what has to be acknowledged in seconds.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="inbox")
        self._writer: asyncio.Task[None] | None = None  # held: a task nobody holds may be collected

    def start(self) -> None:
        """Start the writer in the running event loop."""
        self._writer = asyncio.get_running_loop().create_task(self._write_all(), name="inbox-writer")
        self._writer.add_done_callback(self._writer_ended)

    async def stop(self) -> None:
        """Store what is waiting, for as long as one sender would wait, and end."""
        if self._writer and not self._writer.done():
            deadline = asyncio.get_running_loop().time() + self._patience_s
            while (self._waiting or self._in_hand) and asyncio.get_running_loop().time() < deadline:
                await asyncio.sleep(0.01)
            self._writer.cancel()
            await asyncio.gather(self._writer, return_exceptions=True)
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def put(self, raw: RawNotification) -> None:
        """Return when the notification is durable; raise Unavailable when it is not, or takes too long.

        If its sender stopped waiting it is still stored when its turn comes: a repeat is the same row.
        """
        if not self.is_alive:
            raise not_stored("the writer has stopped")
        limits, size = self._limits, self._bytes + len(raw.body)
        if len(self._waiting) >= limits.max_waiting or size > limits.max_waiting_bytes:
            raise not_stored("too much is waiting")
        waiting = _Waiting(raw, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        self._bytes += len(raw.body)
        self._some.set()
        try:
            async with asyncio.timeout(self._patience_s):
                await waiting.stored
        except TimeoutError:
            raise not_stored("storing took too long") from None

    @property
    def is_alive(self) -> bool:
        """Say whether the writer is there."""
        return self._writer is not None and not self._writer.done()

    def problem(self) -> str:
        """Say what keeps notifications from being stored, "" when nothing does."""
        if not self.is_alive:
            return "the writer has stopped"
        busy = self._busy_since
        if busy is not None and asyncio.get_running_loop().time() - busy > self._patience_s:
            return "storing takes too long"
        return "the last notifications could not be stored" if self._failing else ""

    async def _write_all(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._some.wait()
            self._in_hand = [
                self._waiting.popleft() for _ in range(min(self._limits.max_batch, len(self._waiting)))
            ]
            self._bytes -= sum(len(waiting.raw.body) for waiting in self._in_hand)
            if not self._waiting:
                self._some.clear()
            # The same notification twice in one batch is one row, and both senders are told.
            batch = list({waiting.raw.id: waiting.raw for waiting in self._in_hand}.values())
            self._busy_since = loop.time()
            try:
                await loop.run_in_executor(self._thread, self._receive, batch)
            except Exception as fault:
                # Whatever went wrong, nothing was acknowledged: every sender is told to come again.
                self._failing = True
                log.error("%d notifications could not be stored: %s", len(batch), type(fault).__name__)
                self._tell(self._in_hand, not_stored("storing failed"))
            else:
                self._failing = False
                self._tell(self._in_hand, None)
            self._busy_since = None
            self._in_hand = []

    def _writer_ended(self, writer: asyncio.Task[None]) -> None:
        if not writer.cancelled() and writer.exception():
            log.critical("the inbox's writer has stopped: %s", type(writer.exception()).__name__)
        self._tell([*self._in_hand, *self._waiting], not_stored("the writer has stopped"))
        self._waiting.clear()
        self._in_hand = []
        self._bytes = 0

    @staticmethod
    def _tell(those: Sequence[_Waiting], fault: Unavailable | None) -> None:
        for waiting in those:
            if waiting.stored.done():
                continue
            if fault:
                waiting.stored.set_exception(fault)
            else:
                waiting.stored.set_result(None)


def not_stored(why: str) -> Unavailable:
    """Say that a notification is not on record: its sender must be told to come again."""
    return Unavailable("web.not_stored", why=why)
