"""The outbox's sender: committed messages go out in order, at the chat's rate, once, or twice with a mark.

Before a call the notice says `sending`, after it `sent`. A notice found `sending` by a new process may stand
in the chat already: it is sent again with words that say so. An update can be repeated without harm."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from twokey.chat.delivery.channel_health import ChannelHealth
from twokey.chat.delivery.outbox_store import OutboxStore
from twokey.chat.delivery.port import Call, CallOutcome, Chat
from twokey.chat.delivery.rate_limit import RateLimiter
from twokey.chat.delivery.retries import RetrySchedule
from twokey.chat.delivery.supervisor import Supervisor
from twokey.chat.delivery.thread_pools import ThreadPools
from twokey.core.errors import TwokeyError
from twokey.core.notices import Notice, NoticeKind
from twokey.flow.crashpoints import At
from twokey.ports import Checkpoint, Clock, no_checkpoint

log = logging.getLogger("twokey.slack")

POLL_S = 1.0


@dataclass(frozen=True, slots=True)
class DeliveryLimits:
    """How often a chat may be called, and how long it is borne that a channel cannot be written."""

    posts_per_s: float  # in one channel
    updates_per_s: float  # in all channels together
    updates_at_once: float
    card_every_s: float  # updates of one card
    unreachable_after_s: float


@dataclass(frozen=True, slots=True)
class Pending:
    """A notice that is the next of its lane, with the card it hangs under."""

    notice: Notice
    card: Notice | None
    channel: str


def always() -> bool:
    """Be the only sender there is."""
    return True


class Sender:
    """Sends the outbox. One at a time may lead in a workspace: `lease` says whether we do."""

    def __init__(
        self,
        chat: Chat,
        outbox: OutboxStore,
        limits: DeliveryLimits,
        *,
        clock: Clock,
        pools: ThreadPools,
        supervisor: Supervisor,
        lease: Callable[[], bool] = always,
        monotonic: Callable[[], float] = time.monotonic,
        checkpoint: Checkpoint = no_checkpoint,
    ) -> None:
        self._chat = chat
        self._outbox = outbox
        self._clock = clock
        self._pools = pools
        self._supervisor = supervisor
        self._lease = lease
        self._now = monotonic
        self._checkpoint = checkpoint
        self._posts = RateLimiter(limits.posts_per_s, 1.0, monotonic)
        self._updates = RateLimiter(limits.updates_per_s, limits.updates_at_once, monotonic)
        self._card_every_s = limits.card_every_s
        self._retries = RetrySchedule(monotonic)
        self._health = ChannelHealth(limits.unreachable_after_s, monotonic)
        self._in_flight: dict[str, str] = {}  # notice id -> channel
        self._updated: dict[str, float] = {}  # notice id -> when (monotonic)
        self._failed: dict[str, str] = {}  # notice id -> reason
        self._fault = ""
        self._leading = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._woken: asyncio.Event | None = None

    def wake(self) -> None:
        """Say that something was committed; from any thread."""
        if self._loop is not None and self._woken is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._woken.set)

    def fault(self) -> str:
        """Say why nothing can be sent, for readiness; "" when it can."""
        return self._fault or self._health.fault()

    def warnings(self) -> dict[str, str]:
        """Return the notices that could not be sent, with the reason."""
        return dict(self._failed)

    async def run(self) -> None:
        """Send until cancelled."""
        loop, woken = asyncio.get_running_loop(), asyncio.Event()
        self._loop, self._woken = loop, woken
        self._supervisor.add_check("sender", self.fault)
        async with self._chat.connection():
            while True:
                woken.clear()
                try:
                    wait = await self._send_due()
                    if self._fault.startswith("record: "):
                        self._fault = ""
                except Exception as error:  # the record is away: the outbox is still there when it comes back
                    log.exception("the outbox could not be read")
                    self._fault, self._leading, wait = f"record: {type(error).__name__}", False, POLL_S
                # Not with `wait_for`: on Python 3.11 it can swallow a cancellation.
                alarm = loop.call_later(max(wait, 0.001), woken.set)
                try:
                    await woken.wait()
                finally:
                    alarm.cancel()

    async def _send_due(self) -> float:
        """Begin what can be sent now and return the seconds until there may be more."""
        found = await self._pools.quick(self._next, frozenset(self._in_flight))
        self._leading = found is not None
        if self._leading:
            for channel, error in self._health.newly_unreachable():
                log.error("nothing can be written in %s: %s", channel, error)
                await self._pools.quick(self._outbox.report_unreachable, channel, error)
            for channel in self._health.newly_recovered():
                await self._pools.quick(self._outbox.report_recovered, channel)
        wait = POLL_S
        for pending in found or ():
            delay = self._delay(pending)
            if delay > 0:
                wait = min(wait, delay)
                continue
            self._begin(pending)
        return wait

    def _next(self, in_flight: frozenset[str]) -> list[Pending] | None:
        """Return the next notice of every lane; None when another process leads."""
        # One visit to a thread for all of it: each costs a message that goes out now.
        if not self._lease():
            return None
        if not self._leading:
            self._failed = self._outbox.recover(in_flight)
        return [
            Pending(notice, card, self._chat.channel_of(notice, card))
            for notice, card in self._outbox.next_notices()
        ]

    def _delay(self, pending: Pending) -> float:
        """Return the seconds until this notice may be sent; 0 or less is now."""
        notice, now = pending.notice, self._now()
        if notice.id in self._in_flight or (
            not notice.sent_as and pending.channel in self._in_flight.values()
        ):
            return POLL_S  # its end wakes us
        delay = self._retries.wait(notice.id)
        if notice.not_before is not None:
            delay = max(delay, (notice.not_before - self._clock.now()).total_seconds())
        if not notice.sent_as:
            return max(delay, self._posts.wait(pending.channel))
        every = self._card_every_s if notice.kind is NoticeKind.CARD else 1.0
        due = self._updated.get(notice.id, now - every) + every
        return max(delay, due - now, self._updates.wait(""), self._posts.wait(f"closed:{pending.channel}"))

    def _begin(self, pending: Pending) -> None:
        """Count the call against the limits, and let it run beside the others."""
        notice = pending.notice
        if notice.sent_as:
            self._updates.take("")
            self._updated[notice.id] = self._now()
        else:
            self._posts.take(pending.channel)
        self._in_flight[notice.id] = pending.channel
        self._supervisor.spawn(self._send(pending), f"slack:send:{notice.id}")

    async def _send(self, pending: Pending) -> None:
        """Claim one notice, make its call, and record how that ended."""
        notice_id = pending.notice.id
        try:
            claimed = await self._pools.quick(self._claim, pending)
            if claimed is None:
                return
            notice, mark, call = claimed
            self._checkpoint(At.SEND)
            outcome = await call()
            if notice.kind is NoticeKind.PRIVATE and outcome.is_channel_closed:
                outcome = replace(outcome, is_final=True)  # the person is gone, and no channel to repair
            self._checkpoint(At.SAID)
            await self._pools.quick(self._outbox.settle, notice, outcome, mark)
            self._checkpoint(At.SENT)
            self._remember(notice, outcome, pending.channel)
        except Exception:  # the edge of a task: whatever it was, the notice is still owed and is tried again
            log.exception("sending %s failed", notice_id)
            self._retries.back_off(notice_id, is_unconfirmed=True)
            self._failed[notice_id] = "fault"
            await self._pools.quick(self._outbox.release, notice_id)
        finally:
            self._in_flight.pop(notice_id, None)
            self.wake()

    def _claim(self, pending: Pending) -> tuple[Notice, str, Call] | None:
        """Mark the notice as being sent, and only then draw it: what changes later owes an update of its own."""
        claimed = self._outbox.claim(pending.notice)
        if claimed is None:
            return None
        mark = self._retries.mark(claimed)
        try:
            return claimed, mark, self._chat.prepare(claimed, pending.card, mark)
        except TwokeyError as error:
            # it will be repaired: this waits for it
            if error.message.code in ("refused.roster_unreadable", "refused.roster_writable"):
                self._outbox.settle(claimed, CallOutcome(error=error.message.code))
                self._retries.back_off(claimed.id)
                return None
            self._outbox.give_up(claimed, str(error))
            self._failed[claimed.id] = str(error)[:300]
            return None

    def _remember(self, notice: Notice, outcome: CallOutcome, channel: str) -> None:
        """Draw the conclusions from how a call ended: for the notice, its channel and the whole chat."""
        if outcome.is_sent:
            self._retries.forget(notice.id)
            self._failed.pop(notice.id, None)
            self._fault = ""
            self._health.written(outcome.channel)
            return
        if notice.kind not in (NoticeKind.PRIVATE, NoticeKind.FILE) and not outcome.is_gone:
            self._health.failed(channel, outcome.error)
        if outcome.is_misconfigured:
            self._fault = outcome.error
        if outcome.is_final and not outcome.is_gone:
            self._failed[notice.id] = outcome.error
            log.error("%s could not be sent: %s", notice.id, outcome.error)
        elif outcome.retry_after:
            self._posts.pause(f"closed:{channel}" if notice.sent_as else channel, outcome.retry_after)
        else:
            self._retries.back_off(notice.id, is_unconfirmed=outcome.may_be_done)
