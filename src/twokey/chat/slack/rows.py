"""The outbox's rows: each move of a notice's life is one transaction with its audit entry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from twokey.chat.slack.inbound.threads import address
from twokey.chat.slack.options import SlackOptions
from twokey.chat.slack.posts import GONE_ERRORS, PLACE_ERRORS, Outcome, Post
from twokey.core.errors import message
from twokey.core.notices import Notice, NoticeKind, NoticeState
from twokey.core.people import system
from twokey.flow import outbox
from twokey.ports import Clock, Store, Transaction

SENDER = system("slack")
LOOKED_AT = 2000
TRIED_AGAIN_FOR = timedelta(days=1)  # failed notices of this age get another chance at a start


class Rows:
    """pending -> sending -> sent | failed. `attempts` counts only tries whose end is not known."""

    def __init__(
        self, store: Store, clock: Clock, options: SlackOptions, announced: Callable[[Transaction, str], None]
    ) -> None:
        self._store = store
        self._clock = clock
        self._options = options
        self._announced = announced

    def claim(self, notice: Notice) -> Notice | None:
        """Mark a row as being sent; None when it is not owed any more."""
        with self._store.change() as tx:
            now = tx.get(Notice, notice.id)
            if now is None or now.state is not NoticeState.PENDING:
                self._log(tx, notice, "notice.passed")
                return None
            claimed = replace(now, state=NoticeState.SENDING, attempts=now.attempts + 1)
            tx.put(claimed)
            self._log(tx, claimed, "notice.sending")
        return claimed

    def settle(self, notice: Notice, post: Post, outcome: Outcome) -> None:
        """Record how a call ended. A row that changed meanwhile stays owed, as an update."""
        with self._store.change() as tx:
            now = tx.get(Notice, notice.id) or notice
            untouched = now.state is NoticeState.SENDING
            if outcome.is_sent:
                sent = replace(
                    now,
                    state=NoticeState.SENT if untouched else now.state,
                    sent_as=address(outcome.channel, outcome.ts),
                    sent_at=self._clock.now(),
                    attempts=0,
                    error="",
                    context={**now.context, "mark": post.mark} if post.mark else now.context,
                )
                tx.put(sent)
                self._log(tx, sent, "notice.sent", ts=outcome.ts, channel=outcome.channel)
                if notice.kind is NoticeKind.CARD and not notice.sent_as:
                    self._announced(tx, notice.incident_id)
            elif outcome.error in GONE_ERRORS or (outcome.error in PLACE_ERRORS and self._can_move(post)):
                self._anew(tx, now, outcome.error)
            elif outcome.is_final:
                failed = replace(now, state=NoticeState.FAILED, error=outcome.error, attempts=0)
                tx.put(failed)
                self._log(tx, failed, "notice.failed", error=outcome.error)
            else:
                attempts = now.attempts if outcome.may_be_done else max(0, now.attempts - 1)
                tx.put(replace(now, state=NoticeState.PENDING, attempts=attempts, error=outcome.error))
                self._log(tx, now, "notice.delayed", error=outcome.error)

    def _can_move(self, post: Post) -> bool:
        """Say whether a message whose channel was closed can follow its card to the fallback channel."""
        hangs = bool(post.thread_ts or post.ts)
        return (
            hangs and bool(self._options.fallback_channel) and post.channel != self._options.fallback_channel
        )

    def _anew(self, tx: Transaction, notice: Notice, error: str) -> None:
        """Our message was deleted, or its channel closed: post it again, and its card first."""
        tx.put(replace(notice, state=NoticeState.PENDING, sent_as="", attempts=0, error=error))
        card = tx.get(Notice, f"card:{notice.incident_id}")
        if card is not None and card.id != notice.id and card.sent_as and not notice.sent_as:
            tx.put(replace(card, state=NoticeState.PENDING, sent_as="", attempts=0, error=error))
        self._log(tx, notice, "notice.lost", error=error)

    def tell_away(self, channel: str, error: str) -> None:
        """Record that a channel takes no messages, and owe the news elsewhere where there is an elsewhere."""
        with self._store.change() as tx:
            entry = tx.append(SENDER, "channel.away", data={"channel": channel, "error": error[:300]})
            if self._options.fallback_channel not in ("", channel):
                said = message("chat.channel_away", channel=channel, error=error)
                outbox.tell_duty(tx, f"away:{entry.seq}", said, self._clock.now(), elsewhere=True)

    def tell_back(self, channel: str) -> None:
        """Record that a channel takes messages again, and owe the news where the other was told."""
        with self._store.change() as tx:
            entry = tx.append(SENDER, "channel.back", data={"channel": channel})
            if self._options.fallback_channel not in ("", channel):
                said = message("chat.channel_back", channel=channel)
                outbox.tell_duty(tx, f"back:{entry.seq}", said, self._clock.now(), elsewhere=True)

    def give_up(self, notice: Notice, error: str) -> None:
        """Record that a notice cannot be drawn."""
        with self._store.change() as tx:
            failed = replace(notice, state=NoticeState.FAILED, error=error[:300], attempts=0)
            tx.put(failed)
            self._log(tx, failed, "notice.failed", error=error[:300])

    def release(self, notice_id: str) -> None:
        """Give a row back after a fault of ours; what was said may stand."""
        with self._store.change() as tx:
            now = tx.get(Notice, notice_id)
            if now is not None and now.state is NoticeState.SENDING:
                now = replace(now, state=NoticeState.PENDING)
                tx.put(now)
            tx.append(SENDER, "notice.delayed", data={"notice": notice_id, "error": "fault"})

    def recover(self, in_hand: frozenset[str]) -> dict[str, str]:
        """Take over what an earlier sender left: half-sent rows, and failed ones that may be mended now.

        Returns the failed ones that are too old for another try.
        """
        since = self._clock.now() - TRIED_AGAIN_FOR
        with self._store.read() as look:
            left = look.find(Notice, state=NoticeState.SENDING, limit=LOOKED_AT)
            failed = look.find(Notice, state=NoticeState.FAILED, limit=LOOKED_AT, newest_first=True)
        again = [n for n in failed if n.created_at >= since]
        too_old = {n.id: n.error for n in failed if n.created_at < since}
        left = [n for n in left if n.id not in in_hand]
        if not left and not again:
            return too_old
        with self._store.change() as tx:
            for notice in left:
                tx.put(replace(notice, state=NoticeState.PENDING, attempts=max(1, notice.attempts)))
            for notice in again:
                tx.put(replace(notice, state=NoticeState.PENDING, attempts=0, error=""))
            tx.append(
                SENDER,
                "notices.recovered",
                data={"sending": len(left), "failed": len(again)},
            )
        return too_old

    def _log(self, tx: Transaction, notice: Notice, action: str, **data: str) -> None:
        tx.append(
            SENDER,
            action,
            incident_id=notice.incident_id,
            plan_id=notice.plan_id,
            data={"notice": notice.id, "kind": notice.kind.value, **data},
        )
