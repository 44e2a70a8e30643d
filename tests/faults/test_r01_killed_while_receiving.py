"""R1: kill -9 at any instant while notifications stream in; what was acknowledged is stored, sorted and said.

A trial is one kill. A bot lives through some twenty of them in one world, then everything is read at once: the
clients' own log of answers, the queue, the fake Slack, and the record.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest

from twokey.core.incidents import Sighting
from twokey.core.signals import RawNotification
from twokey.flow.crashpoints import At
from twokey.testing.bot import CRASHED, Bot
from twokey.testing.demo import notifications
from twokey.testing.nursery import Nursery

MARK = "Sent again"  # the small print of a message that may stand twice
KILLS_A_WORLD = 20
POINTS = (At.RECEIVE, At.RECEIVED, At.SORT, At.SORTED, At.SEND, At.SAID, At.SENT)
FAST = {"TWOKEY_SLACK_PER_SECOND": "50"}


def maintenance(matter: int, version: int) -> bytes:
    """Azure's news about one maintenance; every version is another body."""
    event = json.loads(notifications.planned_maintenance(datetime.now(UTC) + timedelta(seconds=matter)))
    context = event["data"]["alertContext"]
    context["properties"] |= {"trackingId": f"TRK-{matter}", "maintenanceId": f"TRK-{matter}"}
    context["properties"]["communicationId"] = f"{matter}{version:05d}"
    context["eventDataId"] = f"{matter:08d}-9a8f-4e7d-b6c5-{version:012d}"
    context["eventTimestamp"] = (datetime.now(UTC) + timedelta(milliseconds=version)).isoformat()
    return json.dumps(event).encode()


@dataclass
class Clients:
    """Those who send, in threads of their own; they keep a log of what was acknowledged to them."""

    world: Any
    bot: Bot
    matter: int = 0  # what the news are about now: a new one is a new card
    acknowledged: set[bytes] = field(default_factory=set)
    queued: set[str] = field(default_factory=set)
    over: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def begin(self) -> Clients:
        """Send, until told to end."""
        self._threads = [threading.Thread(target=work) for work in (self._by_webhook, self._by_queue)]
        for thread in self._threads:
            thread.start()
        return self

    def end(self) -> None:
        """Send no more."""
        self.over.set()
        for thread in self._threads:
            thread.join()

    def _by_webhook(self) -> None:
        version = 0
        while not self.over.is_set():
            version += 1
            body = maintenance(self.matter, version)
            if self.world.webhook(body, self.bot) == 202:
                self.acknowledged.add(body)
            self.over.wait(0.04)

    def _by_queue(self) -> None:
        number = 0
        while not self.over.is_set():
            number += 1
            burst = notifications.findings(self.world.company.key_id, [f"b-{number}"], datetime.now(UTC))
            self.world.company.notify(burst)
            self.queued.update(burst)
            self.over.wait(0.5)


def killed(bot: Bot, random: Random) -> str:
    """Start the bot and kill it: at a named point, or whenever; return which."""
    bot.dies_at = ""
    if random.random() < 0.5:
        bot.dies_at, bot.dies_at_count = random.choice(POINTS), random.randint(1, 6)
    at, moment = bot.dies_at, random.uniform(0.0, 1.5)
    bot.start(ready_within=0)
    if at:
        end = time.monotonic() + 20
        while bot.is_running and time.monotonic() < end:
            time.sleep(0.01)
        if not bot.is_running:
            assert bot.wait_dead() == CRASHED, bot.tail()
            return at
    else:
        time.sleep(moment)
    assert bot.is_running, bot.tail()
    bot.kill()
    return "whenever"


def tidied(world: Any, bot: Bot) -> None:
    """Let a bot live that does what is left."""
    bot.dies_at = ""
    bot.start(ready_within=120)
    world.until(lambda: not world.queued(), 240)
    world.quiet(240)


def judged(world: Any, clients: Clients, kills: int) -> int:
    """Compare what was acknowledged with what is on record and what Slack shows; return the repeats."""
    raws = {raw.body: raw for raw in world.find(RawNotification)}
    assert kills < 10 or (clients.acknowledged and clients.queued)
    assert clients.acknowledged <= set(raws)
    assert {body.encode() for body in clients.queued} <= set(raws)
    assert {raw.state.value for raw in raws.values()} == {"sorted"}
    sightings = world.find(Sighting)
    assert sorted(seen.signal.raw_id for seen in sightings) == sorted(raw.id for raw in raws.values())
    said = Counter(seen.incident_id for seen in sightings)
    repeats = 0
    for incident, signals in said.items():
        first, *again = world.cards(incident)
        assert all(MARK in world.slack.show(card) for card in again), incident
        repeats += len(again)
        latest = json.dumps((again[-1] if again else first).blocks)
        assert re.search(rf"Signals\*\\n{signals}\W", latest), (signals, latest)
        below = [world.slack.show(message, 4000) for message in world.thread(incident)[1:]]
        unmarked = [text for text in below if MARK not in text]
        assert len(unmarked) == len(set(unmarked)), unmarked
        repeats += len(below) - len(unmarked)
    assert repeats <= kills
    return repeats


@dataclass
class Life:
    """One bot in one world, from its first kill to the judgement."""

    world: Any
    nursery: Nursery
    kills: int = 0

    def __post_init__(self) -> None:
        # What a dead bot had fetched from the queue is to come back soon.
        sqs = self.world.company.client("sqs", "test")
        sqs.set_queue_attributes(QueueUrl=self.world.company.queue_url, Attributes={"VisibilityTimeout": "2"})
        self.bot = self.world.bot(start=False)
        self.bot.nursery = self.nursery
        self.clients = Clients(self.world, self.bot).begin()

    def dies(self, random: Random) -> str:
        """Die once more; some kills later the news are about something else."""
        self.kills += 1
        self.clients.matter = self.kills // 3
        return killed(self.bot, random)

    def judged(self, trials: Any) -> None:
        """End the stream, do what is left, and judge everything."""
        self.clients.end()
        tidied(self.world, self.bot)
        trials.outcome("messages that stand twice", judged(self.world, self.clients, self.kills))
        trials.outcome("acknowledged", len(self.clients.acknowledged) + len(self.clients.queued))
        assert "Traceback" not in self.world.log(), self.world.log()[-3000:]
        self.world.proven()


@pytest.mark.parametrize(("database", "ci", "release"), [("sqlite", 80, 2400), ("postgres", 20, 600)])
def test_what_was_acknowledged_is_on_record_and_said_whenever_the_bot_is_killed(
    worlds: Callable[..., Any], nursery: Nursery, proof: Any, database: str, ci: int, release: int
) -> None:
    promise = f"every acknowledged event is stored and announced, at most one repeat a kill ({database})"
    trials = proof("R1", promise, ci=ci, release=release)
    life: Life | None = None
    try:
        for random in trials:
            life = life or Life(worlds(database, **FAST), nursery)
            trials.outcome(f"killed at {life.dies(random)}")
            if life.kills == KILLS_A_WORLD:
                life.judged(trials)
                life = None
        if life:
            life.judged(trials)
    finally:
        if life:
            life.clients.end()
