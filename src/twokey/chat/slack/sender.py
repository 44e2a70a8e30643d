"""The outbox's sender: what was committed is said, in order, at Slack's pace, once, or twice with a mark.

Before a call the row says `sending`, after it `sent`. A row found `sending` by a new process may stand in
Slack already: it is sent again with words that say so. An update can be repeated without harm."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from slack_sdk.web.async_client import AsyncWebClient

from twokey.chat.delivery.channel_health import Away
from twokey.chat.delivery.rate_limit import Pace
from twokey.chat.delivery.supervisor import Watch, Workers
from twokey.chat.slack.app import connections
from twokey.chat.slack.options import Flows, SlackOptions
from twokey.chat.slack.posts import (
    GONE_ERRORS,
    OURS_ERRORS,
    PLACE_ERRORS,
    SHAPE_ERRORS,
    Drawing,
    Outcome,
    Post,
    call,
)
from twokey.chat.slack.rows import LOOKED_AT, Rows
from twokey.core.errors import TwokeyError
from twokey.core.notices import Notice, NoticeKind, NoticeState
from twokey.flow.crashpoints import At
from twokey.ports import Checkpoint, Clock, Rosters, Store, Transaction, no_checkpoint

log = logging.getLogger("twokey.slack")

POLL_S = 1.0
BACKOFF_S = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
UPDATES_PER_S, UPDATES_AT_ONCE = 0.8, 10.0  # chat.update: 50 a minute for all channels together


@dataclass(frozen=True, slots=True)
class Owed:
    """A notice that is the next of its lane, with the card it hangs under."""

    notice: Notice
    card: Notice | None
    channel: str


def always() -> bool:
    """Be the only sender there is."""
    return True


class Sender:
    """Sends what the outbox owes. One at a time may lead in a workspace: `lease` says whether we do."""

    def __init__(
        self,
        flows: Flows,
        options: SlackOptions,
        *,
        store: Store,
        clock: Clock,
        rosters: Rosters,
        workers: Workers,
        watch: Watch,
        announced: Callable[[Transaction, str], None],
        lease: Callable[[], bool] = always,
        monotonic: Callable[[], float] = time.monotonic,
        checkpoint: Checkpoint = no_checkpoint,
    ) -> None:
        self._checkpoint = checkpoint
        self._client: AsyncWebClient | None = None
        self._options = options
        self._store = store
        self._clock = clock
        self._workers = workers
        self._watch = watch
        self._rows = Rows(store, clock, options, announced)
        self._lease = lease
        self._now = monotonic
        self._drawing = Drawing(flows, rosters, options)
        self._posts = Pace(options.per_second, 1.0, monotonic)
        self._updates = Pace(UPDATES_PER_S, UPDATES_AT_ONCE, monotonic)
        self._flying: dict[str, str] = {}  # notice id -> channel
        self._held: dict[str, float] = {}  # notice id -> not before (monotonic)
        self._tries: dict[str, int] = {}
        self._updated: dict[str, float] = {}
        self._unsure: set[str] = set()  # answers that were lost in this process
        self._failed: dict[str, str] = {}
        self._broken = ""
        self._leading = False
        self._away = Away(options.fallback_after_s, monotonic)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._woken: asyncio.Event | None = None

    def wake(self) -> None:
        """Say that something was committed; from any thread."""
        if self._loop is not None and self._woken is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._woken.set)

    def fault(self) -> str:
        """Say why nothing can be sent, for readiness; "" when it can."""
        return self._broken or self._away.fault()

    def warnings(self) -> dict[str, str]:
        """Return the notices that could not be sent, with the reason."""
        return dict(self._failed)

    async def run(self) -> None:
        """Send until cancelled."""
        self._loop, self._woken = asyncio.get_running_loop(), asyncio.Event()
        self._watch.ask("sender", self.fault)
        options = self._options
        async with connections(options.call_s) as session:
            # No handler may repeat a call here: only the row knows whether a repeat needs a mark.
            self._client = AsyncWebClient(
                token=options.bot_token,
                base_url=options.api_url,
                timeout=int(options.call_s) or 1,
                session=session,
                retry_handlers=[],
            )
            await self._send()

    async def _send(self) -> None:
        if self._woken is None:
            return
        while True:
            self._woken.clear()
            try:
                wait = await self._turn()
                if self._broken.startswith("record: "):
                    self._broken = ""
            except Exception as error:  # the record is away: the outbox is still there when it comes back
                log.exception("the outbox could not be read")
                self._broken, self._leading, wait = f"record: {type(error).__name__}", False, POLL_S
            await self._pause(wait)

    async def _turn(self) -> float:
        """Begin what can be sent now and return the seconds until there may be more."""
        found = await self._workers.quick(self._look, frozenset(self._flying))
        self._leading = found is not None
        if self._leading:
            await self._tell_of_channels()
        wait = POLL_S
        for owed in found or ():
            delay = self._delay(owed)
            if delay > 0:
                wait = min(wait, delay)
                continue
            self._begin(owed)
        return wait

    def _look(self, in_hand: frozenset[str]) -> list[Owed] | None:
        """Say what is next of every lane; None when another process leads."""
        # One visit to a thread for all of it: each costs a message that goes out now.
        if not self._lease():
            return None
        if not self._leading:
            self._failed = self._rows.recover(in_hand)
        return self._owed()

    async def _pause(self, seconds: float) -> None:
        """Sleep until woken. Not with `wait_for`: on Python 3.11 it can swallow a cancellation."""
        if self._woken is None or self._loop is None:
            return
        alarm = self._loop.call_later(max(seconds, 0.001), self._woken.set)
        try:
            await self._woken.wait()
        finally:
            alarm.cancel()

    # What is next

    def _owed(self) -> list[Owed]:
        with self._store.read() as look:
            pending = look.find(Notice, state=NoticeState.PENDING, limit=LOOKED_AT)
            heads = list(_heads(pending))
            cards = {
                n.incident_id: look.get(Notice, f"card:{n.incident_id}")
                for n in heads
                if n.incident_id and n.kind is not NoticeKind.CARD
            }
        owed = []
        for notice in heads:
            card = cards.get(notice.incident_id)
            if card is not None and not card.sent_as and _hangs(notice):
                continue  # its card comes first
            owed.append(Owed(notice, card, self._drawing.channel_of(notice, card)))
        return owed

    def _delay(self, owed: Owed) -> float:
        notice, now = owed.notice, self._now()
        if notice.id in self._flying or (not notice.sent_as and owed.channel in self._flying.values()):
            return POLL_S  # its end wakes us
        delay = self._held.get(notice.id, now) - now
        if notice.not_before is not None:
            delay = max(delay, (notice.not_before - self._clock.now()).total_seconds())
        if not notice.sent_as:
            return max(delay, self._posts.wait(owed.channel))
        every = self._options.card_every_s if notice.kind is NoticeKind.CARD else 1.0
        due = self._updated.get(notice.id, now - every) + every
        return max(delay, due - now, self._updates.wait(""), self._posts.wait(f"closed:{owed.channel}"))

    def _begin(self, owed: Owed) -> None:
        if owed.notice.sent_as:
            self._updates.take("")
            self._updated[owed.notice.id] = self._now()
        else:
            self._posts.take(owed.channel)
        self._flying[owed.notice.id] = owed.channel
        self._watch.hold(self._fly(owed), f"slack:send:{owed.notice.id}")

    # One notice

    async def _fly(self, owed: Owed) -> None:
        try:
            claimed = await self._workers.quick(self._claim, owed)
            if claimed is None:
                return
            notice, post = claimed
            self._checkpoint(At.SEND)
            outcome = await self._said(post)
            if notice.kind is NoticeKind.PRIVATE and outcome.error in PLACE_ERRORS:
                outcome = replace(outcome, is_final=True)  # the person is gone, and no channel to mend
            self._checkpoint(At.SAID)
            await self._workers.quick(self._rows.settle, notice, post, outcome)
            self._checkpoint(At.SENT)
            self._remember(notice, outcome, owed.channel)
        except Exception:  # the edge of a task: whatever it was, the row is still owed and is tried again
            log.exception("sending %s failed", owed.notice.id)
            self._hold(owed.notice.id)
            self._unsure.add(owed.notice.id)
            self._failed[owed.notice.id] = "fault"
            await self._workers.quick(self._rows.release, owed.notice.id)
        finally:
            self._flying.pop(owed.notice.id, None)
            self.wake()

    async def _tell_of_channels(self) -> None:
        for channel, error in self._away.due():
            log.error("nothing can be written in %s: %s", channel, error)
            await self._workers.quick(self._rows.tell_away, channel, error)
        for channel in self._away.back():
            await self._workers.quick(self._rows.tell_back, channel)

    async def _said(self, post: Post) -> Outcome:
        """Say it; what Slack finds badly shaped is said in plain words, what has no place elsewhere."""
        client = self._client
        if client is None:
            return Outcome(error="not running")
        outcome = await call(client, post)
        if outcome.error in SHAPE_ERRORS and post.blocks:
            log.error("Slack refused the blocks of a message: %s", outcome.error)
            outcome = await call(client, replace(post, blocks=[]))
        if outcome.error in PLACE_ERRORS and (other := self._drawing.elsewhere(post, outcome.error)):
            outcome = await call(client, other)
        return outcome

    def _claim(self, owed: Owed) -> tuple[Notice, Post] | None:
        """Mark the row as being sent, and only then draw: what changes later owes an update of its own."""
        claimed = self._rows.claim(owed.notice)
        if claimed is None:
            return None
        try:
            return claimed, self._drawing.post(claimed, owed.card, self._mark(claimed))
        except TwokeyError as error:
            if error.message.code == "refused.roster_unreadable":  # it will be mended: this waits for it
                self._rows.settle(claimed, Post("", ""), Outcome(error=error.message.code))
                self._hold(claimed.id)
                return None
            self._rows.give_up(claimed, str(error))
            self._failed[claimed.id] = str(error)[:300]
            return None

    def _remember(self, notice: Notice, outcome: Outcome, channel: str) -> None:
        if outcome.is_sent:
            for memory in (self._tries, self._held, self._failed):
                memory.pop(notice.id, None)
            self._unsure.discard(notice.id)
            self._broken = ""
            self._away.written(outcome.channel)
            return
        if notice.kind is not NoticeKind.PRIVATE and outcome.error not in GONE_ERRORS:
            self._away.failed(channel, outcome.error)
        if outcome.error in OURS_ERRORS:
            self._broken = outcome.error
        if outcome.is_final and outcome.error not in GONE_ERRORS:
            self._failed[notice.id] = outcome.error
            log.error("%s could not be sent: %s", notice.id, outcome.error)
            return
        if outcome.retry_after:
            self._posts.close(f"closed:{channel}" if notice.sent_as else channel, outcome.retry_after)
            return
        if outcome.may_be_done:
            self._unsure.add(notice.id)
        self._hold(notice.id)

    def _hold(self, notice_id: str) -> None:
        tries = self._tries.get(notice_id, 0)
        self._tries[notice_id] = tries + 1
        self._held[notice_id] = self._now() + BACKOFF_S[min(tries, len(BACKOFF_S) - 1)]

    def _mark(self, notice: Notice) -> str:
        if notice.sent_as or notice.attempts < 2:
            return ""  # the first try is this one
        return "chat.sent_again_lost" if notice.id in self._unsure else "chat.sent_again_restart"


def _heads(pending: list[Notice]) -> Iterator[Notice]:
    """Return the first of every lane: what must be said in order is in one lane."""
    seen: set[str] = set()
    for notice in sorted(pending, key=lambda n: n.order):
        lane = _lane(notice)
        if lane not in seen:
            seen.add(lane)
            yield notice


def _lane(notice: Notice) -> str:
    if notice.sent_as or notice.kind is NoticeKind.CARD:
        return notice.id
    if notice.kind is NoticeKind.PRIVATE:
        return f"person:{notice.person_id}"
    if _hangs(notice):
        return f"thread:{notice.incident_id}"
    return notice.kind.value + notice.context.get("elsewhere", "")


def _hangs(notice: Notice) -> bool:
    """Say whether a notice is written under its incident's card."""
    return notice.kind in (NoticeKind.THREAD, NoticeKind.BROADCAST, NoticeKind.APPROVAL) and bool(
        notice.incident_id
    )
