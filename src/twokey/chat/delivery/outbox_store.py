"""The outbox on record: each move of a notice's life is one transaction with its audit entry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from twokey.chat.delivery.lanes import first_of_each_lane, is_in_thread
from twokey.chat.delivery.port import CallOutcome, format_reference
from twokey.core.errors import message
from twokey.core.notices import Notice, NoticeKind, NoticeState
from twokey.core.people import Actor
from twokey.core.runbooks import Plan
from twokey.flow import outbox
from twokey.ports import Clock, Store, Transaction

READ_AT_ONCE = 2000
TRIED_AGAIN_FOR = timedelta(days=1)  # failed notices of this age get another chance at a start


class OutboxStore:
    """pending -> sending -> sent | failed. `attempts` counts only tries whose end is not known."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        sender: Actor,
        announced: Callable[[Transaction, str], None],
        *,
        fallback_channel: str = "",
    ) -> None:
        self._store = store
        self._clock = clock
        self._sender = sender
        self._announced = announced
        self._fallback_channel = fallback_channel

    def next_notices(self) -> list[tuple[Notice, Notice | None]]:
        """Return what can be sent next, one notice per lane, each with the card that it hangs under."""
        with self._store.read() as look:
            pending = look.find(Notice, state=NoticeState.PENDING, limit=READ_AT_ONCE)
            heads = list(first_of_each_lane(pending))
            cards = {
                n.incident_id: look.get(Notice, f"card:{n.incident_id}")
                for n in heads
                if n.incident_id and n.kind is not NoticeKind.CARD
            }
        found = [(notice, cards.get(notice.incident_id)) for notice in heads]
        # What is written under a card waits until the card is posted.
        return [(n, card) for n, card in found if card is None or card.sent_as or not is_in_thread(n)]

    def claim(self, notice: Notice) -> Notice | None:
        """Mark a notice as being sent; None when it is not pending any more."""
        with self._store.change() as tx:
            now = tx.get(Notice, notice.id)
            if now is None or now.state is not NoticeState.PENDING:
                self._log(tx, notice, "notice.passed")
                return None
            claimed = replace(now, state=NoticeState.SENDING, attempts=now.attempts + 1)
            tx.put(claimed)
            self._log(tx, claimed, "notice.sending")
        return claimed

    def settle(self, notice: Notice, outcome: CallOutcome, mark: str = "") -> None:
        """Record how a call ended; a notice that changed meanwhile stays pending, as an update.

        `mark` is kept with a message that may stand twice: what is drawn anew keeps saying so.
        """
        with self._store.change() as tx:
            now = tx.get(Notice, notice.id) or notice
            untouched = now.state is NoticeState.SENDING
            if outcome.is_sent:
                sent = replace(
                    now,
                    state=NoticeState.SENT if untouched else now.state,
                    sent_as=format_reference(outcome.channel, outcome.message),
                    sent_at=self._clock.now(),
                    attempts=0,
                    error="",
                    context={**now.context, "mark": mark} if mark else now.context,
                )
                tx.put(sent)
                self._log(tx, sent, "notice.sent", ts=outcome.message, channel=outcome.channel)
                if notice.kind is NoticeKind.CARD and not notice.sent_as:
                    self._announced(tx, notice.incident_id)
                self._say_on_card(tx, notice)
            elif outcome.is_gone or outcome.may_move:
                # Our message was deleted, or its channel closed: post it again, and its card first.
                tx.put(replace(now, state=NoticeState.PENDING, sent_as="", attempts=0, error=outcome.error))
                card = tx.get(Notice, f"card:{now.incident_id}")
                if card is not None and card.id != now.id and card.sent_as and not now.sent_as:
                    tx.put(
                        replace(card, state=NoticeState.PENDING, sent_as="", attempts=0, error=outcome.error)
                    )
                self._log(tx, now, "notice.lost", error=outcome.error)
            elif outcome.is_final:
                self._fail(tx, now, outcome.error)
            else:
                attempts = now.attempts if outcome.may_be_done else max(0, now.attempts - 1)
                tx.put(replace(now, state=NoticeState.PENDING, attempts=attempts, error=outcome.error))
                self._log(tx, now, "notice.delayed", error=outcome.error)

    def give_up(self, notice: Notice, error: str) -> None:
        """Record that a notice cannot be drawn."""
        with self._store.change() as tx:
            self._fail(tx, notice, error[:300])

    def release(self, notice_id: str) -> None:
        """Return a claimed notice after a fault of ours; its message may stand."""
        with self._store.change() as tx:
            now = tx.get(Notice, notice_id)
            if now is not None and now.state is NoticeState.SENDING:
                now = replace(now, state=NoticeState.PENDING)
                tx.put(now)
            tx.append(self._sender, "notice.delayed", data={"notice": notice_id, "error": "fault"})

    def recover(self, in_flight: frozenset[str]) -> dict[str, str]:
        """Take over what an earlier sender left: half-sent notices, and failed ones that may be repaired now.

        Returns the failed ones that are too old for another try.
        """
        since = self._clock.now() - TRIED_AGAIN_FOR
        with self._store.read() as look:
            left = look.find(Notice, state=NoticeState.SENDING, limit=READ_AT_ONCE)
            failed = look.find(Notice, state=NoticeState.FAILED, limit=READ_AT_ONCE, newest_first=True)
        again = [n for n in failed if n.created_at >= since]
        too_old = {n.id: n.error for n in failed if n.created_at < since}
        left = [n for n in left if n.id not in in_flight]
        if not left and not again:
            return too_old
        with self._store.change() as tx:
            for notice in left:
                tx.put(replace(notice, state=NoticeState.PENDING, attempts=max(1, notice.attempts)))
            for notice in again:
                tx.put(replace(notice, state=NoticeState.PENDING, attempts=0, error=""))
            counts = {"sending": len(left), "failed": len(again)}
            tx.append(self._sender, "notices.recovered", data=counts)
        return too_old

    def report_unreachable(self, channel: str, error: str) -> None:
        """Record that a channel takes no messages, and report it in the fallback channel where there is one."""
        with self._store.change() as tx:
            entry = tx.append(self._sender, "channel.away", data={"channel": channel, "error": error[:300]})
            if self._fallback_channel not in ("", channel):
                report = message("chat.channel_away", channel=channel, error=error)
                outbox.tell_duty(tx, f"away:{entry.seq}", report, self._clock.now(), elsewhere=True)

    def report_recovered(self, channel: str) -> None:
        """Record that a channel takes messages again, and report it where its failure was reported."""
        with self._store.change() as tx:
            entry = tx.append(self._sender, "channel.back", data={"channel": channel})
            if self._fallback_channel not in ("", channel):
                report = message("chat.channel_back", channel=channel)
                outbox.tell_duty(tx, f"back:{entry.seq}", report, self._clock.now(), elsewhere=True)

    def _fail(self, tx: Transaction, notice: Notice, error: str) -> None:
        failed = replace(notice, state=NoticeState.FAILED, error=error, attempts=0)
        tx.put(failed)
        self._log(tx, failed, "notice.failed", error=error)
        self._say_on_card(tx, notice)

    def _say_on_card(self, tx: Transaction, notice: Notice) -> None:
        """Owe the plan's card, which says whether the whole plan stands there as a file."""
        plan = tx.get(Plan, notice.plan_id) if notice.kind is NoticeKind.FILE else None
        if plan is not None:
            outbox.redraw_plan(tx, plan, self._clock.now())

    def _log(self, tx: Transaction, notice: Notice, action: str, **data: str) -> None:
        tx.append(
            self._sender,
            action,
            incident_id=notice.incident_id,
            plan_id=notice.plan_id,
            data={"notice": notice.id, "kind": notice.kind.value, **data},
        )
