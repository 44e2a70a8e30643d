"""Delivery without a chat's SDK: order, claims, retries and marks, with a chat that is a list."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from twokey.chat.delivery.channel_health import ChannelHealth
from twokey.chat.delivery.lanes import first_of_each_lane, lane_of
from twokey.chat.delivery.outbox_store import OutboxStore
from twokey.chat.delivery.port import Call, CallOutcome, format_reference, parse_reference
from twokey.chat.delivery.rate_limit import RateLimiter
from twokey.chat.delivery.retries import BACKOFF_S, RetrySchedule
from twokey.chat.delivery.sender import DeliveryLimits, Sender
from twokey.chat.delivery.supervisor import Supervisor
from twokey.chat.delivery.thread_pools import ThreadPools
from twokey.core.audit import verify
from twokey.core.errors import NotFound, message
from twokey.core.incidents import State
from twokey.core.notices import Notice, NoticeKind, NoticeState
from twokey.core.people import system
from twokey.flow import outbox
from twokey.testing import builders
from twokey.testing.clocks import SystemClock
from twokey.testing.memory import MemoryStore

NOW = builders.at(0)


def a_notice(name: str, kind: NoticeKind = NoticeKind.THREAD, order: int = 1, **changes: object) -> Notice:
    return Notice(name, kind, NOW, **{"incident_id": "INC-1", "order": order, **changes})  # type: ignore[arg-type]


@dataclass
class PaperChat:
    """A chat that is a list of lines. `outcomes` are how the next calls end, by default well."""

    lines: list[str] = field(default_factory=list)
    outcomes: list[CallOutcome] = field(default_factory=list)
    unknown: set[str] = field(default_factory=set)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[None]:
        self.lines.append("connected")
        yield

    def channel_of(self, notice: Notice, card: Notice | None) -> str:
        return parse_reference(card.sent_as)[0] if card else "paper"

    def prepare(self, notice: Notice, card: Notice | None, mark: str) -> Call:
        if notice.id in self.unknown:
            raise NotFound("chat.no_account", person=notice.person_id)

        async def call() -> CallOutcome:
            outcome = self.outcomes.pop(0) if self.outcomes else CallOutcome("paper", str(len(self.lines)))
            if outcome.is_sent or outcome.may_be_done:
                self.lines.append(f"{notice.id} {mark}".strip())
            return outcome

        return call


class PaperWorld:
    """A record in memory, and the sender that writes on paper."""

    def __init__(self) -> None:
        self.clock = SystemClock()
        self.store = MemoryStore(self.clock)
        self.chat = PaperChat()
        self.announced: list[str] = []

    def owes(self, *texts: str) -> None:
        """Put INC-1 on record with its card, and lines for its thread."""
        made = builders.an_incident("INC-1", state=State.TRIAGE, commander="")
        with self.store.change() as tx:
            tx.put(made)
            tx.append(system("intake"), "opened", incident_id=made.id)
            for text in texts:
                entry = tx.append(system("test"), "noted", incident_id=made.id)
                outbox.tell_thread(tx, entry, message("response.noted", person="Ana", text=text))
            outbox.redraw_card(tx, made, self.clock.now())

    def notices(self) -> list[Notice]:
        with self.store.read() as look:
            return look.find(Notice)

    def sends(self, until: Callable[[], bool]) -> Sender:
        """Let a sender run until this is so."""

        async def run() -> Sender:
            pools, supervisor = ThreadPools(2, 1), Supervisor()
            store = OutboxStore(
                self.store, self.clock, system("paper"), lambda _, one: self.announced.append(one)
            )
            sender = Sender(
                self.chat,
                store,
                DeliveryLimits(1000, 1000, 10, 0.0, 60.0),
                clock=self.clock,
                pools=pools,
                supervisor=supervisor,
            )
            supervisor.spawn_required(sender.run(), "sender")
            async with asyncio.timeout(20):
                while not until():
                    await asyncio.sleep(0.01)
            await supervisor.stop()
            pools.close()
            return sender

        return asyncio.run(run())

    def is_all_sent(self) -> bool:
        return all(notice.state is NoticeState.SENT for notice in self.notices())


@pytest.fixture
def world() -> PaperWorld:
    return PaperWorld()


def test_delivery_imports_no_chat_and_no_sdk() -> None:
    check = (
        "import sys, twokey.chat.delivery.sender; "
        "sys.exit(bool({'slack_sdk', 'slack_bolt', 'aiohttp', 'twokey.chat.slack'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0


def test_a_card_goes_first_and_its_thread_follows_in_order(world: PaperWorld) -> None:
    world.owes("one", "two")
    world.sends(world.is_all_sent)
    lines = [
        notice.id for notice in sorted(world.notices(), key=lambda n: n.order) if notice.id != "card:INC-1"
    ]
    assert world.chat.lines == ["connected", "card:INC-1", *lines]
    assert world.announced == ["INC-1"]
    verify(world.store.entries)


def test_an_answer_that_was_lost_is_sent_again_with_its_mark(world: PaperWorld) -> None:
    world.owes()
    world.chat.outcomes.append(CallOutcome(error="TimeoutError", may_be_done=True))
    world.sends(world.is_all_sent)
    assert world.chat.lines == ["connected", "card:INC-1", "card:INC-1 chat.sent_again_lost"]
    assert world.notices()[0].context["mark"] == "chat.sent_again_lost"


def test_a_passing_error_is_tried_again_without_a_mark(world: PaperWorld) -> None:
    world.owes()
    world.chat.outcomes.append(CallOutcome(error="internal_error"))
    world.sends(world.is_all_sent)
    assert world.chat.lines == ["connected", "card:INC-1"]


def test_a_final_error_and_what_cannot_be_drawn_are_kept_with_their_reason(world: PaperWorld) -> None:
    world.owes()
    with world.store.change() as tx:
        entry = tx.append(system("test"), "told")
        outbox.tell_person(tx, entry, "d-gone", [message("containment.expired", plan="abc")])
    world.chat.unknown.add(f"private:d-gone:{entry.seq}")
    world.chat.outcomes.append(CallOutcome(error="something_new", is_final=True))
    sender = world.sends(lambda: {n.state for n in world.notices()} == {NoticeState.FAILED})
    assert sender.warnings()["card:INC-1"] == "something_new"
    assert "chat.no_account" in sender.warnings()[f"private:d-gone:{entry.seq}"]


def test_a_deleted_card_is_posted_anew_before_its_thread(world: PaperWorld) -> None:
    world.owes("one")
    world.chat.outcomes += [
        CallOutcome("paper", "1"),
        CallOutcome(error="thread_not_found", is_final=True, is_gone=True),
    ]
    world.sends(lambda: len(world.chat.lines) == 4 and world.is_all_sent())
    assert [line.partition(":")[0] for line in world.chat.lines] == ["connected", "card", "card", "thread"]


def test_what_is_read_in_order_shares_a_lane() -> None:
    first, second = a_notice("thread:INC-1:4", order=4), a_notice("thread:INC-1:7", order=7)
    other = a_notice("thread:INC-2:5", order=5, incident_id="INC-2")
    update = a_notice("approval:p", NoticeKind.APPROVAL, order=9, sent_as="C1:1")
    assert list(first_of_each_lane([second, update, other, first])) == [first, other, update]
    assert lane_of(update) == update.id


def test_only_a_second_try_of_a_post_is_marked() -> None:
    retries = RetrySchedule(lambda: 0.0)
    assert retries.mark(a_notice("n", attempts=1)) == ""
    assert retries.mark(a_notice("n", attempts=2)) == "chat.sent_again_restart"
    retries.back_off("n", is_unconfirmed=True)
    assert retries.mark(a_notice("n", attempts=2)) == "chat.sent_again_lost"
    assert retries.mark(a_notice("n", attempts=2, sent_as="C1:1")) == ""


def test_each_try_waits_longer_until_one_is_sent() -> None:
    retries = RetrySchedule(lambda: 0.0)
    waits = []
    for _ in range(len(BACKOFF_S) + 1):
        retries.back_off("n")
        waits.append(retries.wait("n"))
    assert waits == [*BACKOFF_S, BACKOFF_S[-1]]
    retries.forget("n")
    assert retries.wait("n") == 0.0


def test_a_pause_closes_one_channel_only() -> None:
    limiter = RateLimiter(1.0, 1.0, lambda: 0.0)
    limiter.pause("C1", 30)
    limiter.take("C2")
    assert (limiter.wait("C1"), limiter.wait("C2"), limiter.wait("C3")) == (30.0, 1.0, 0.0)


def test_an_unreachable_channel_is_reported_once_and_so_is_its_recovery() -> None:
    now = [0.0]
    health = ChannelHealth(60.0, lambda: now[0])
    health.failed("C1", "is_archived")
    assert (health.newly_unreachable(), health.fault()) == ([], "")
    now[0] = 60.0
    assert health.newly_unreachable() == [("C1", "is_archived")]
    assert (health.newly_unreachable(), health.fault()) == ([], "cannot write in C1: is_archived")
    health.written("C1")
    assert (health.newly_recovered(), health.newly_recovered(), health.fault()) == (["C1"], [], "")


def test_a_reference_is_parsed_as_it_was_formatted() -> None:
    assert parse_reference(format_reference("C1", "1795158.0001")) == ("C1", "1795158.0001")
    assert parse_reference("") == ("", "")
