"""Those who send notifications while a bot is killed or ended; they keep a log of what was acknowledged to them."""

from __future__ import annotations

import json
import re
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from tests.lab.bots import FaultyBot
from tests.lab.fork_server import ForkServer
from twokey.core.sightings import Sighting
from twokey.core.signals import RawNotification
from twokey.demo import notifications

MARK = "Sent again"  # the small print of a message that may stand twice
FAST = {"TWOKEY_SLACK_PER_SECOND": "50"}
ENDS_A_WORLD = 20
End = Callable[[FaultyBot, Random], str]


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
    bot: FaultyBot
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


def tidied(world: Any, bot: FaultyBot) -> None:
    """Let a bot live that does what is left."""
    bot.dies_at = ""
    bot.start(ready_within=120)
    world.until(lambda: not world.queued(), 240)
    world.quiet(240)


def judged(world: Any, clients: Clients, ends: int) -> int:
    """Compare what was acknowledged with what is on record and what Slack shows; return the repeats."""
    raws = {raw.body: raw for raw in world.find(RawNotification)}
    assert ends < 10 or (clients.acknowledged and clients.queued)
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
    return repeats


@dataclass
class Life:
    """One bot in one world, from its first end to the judgement."""

    world: Any
    fork_server: ForkServer
    ends: int = 0

    def __post_init__(self) -> None:
        # What a dead bot had fetched from the queue is to come back soon.
        sqs = self.world.company.client("sqs", "test")
        sqs.set_queue_attributes(QueueUrl=self.world.company.queue_url, Attributes={"VisibilityTimeout": "2"})
        self.bot = self.world.bot(start=False)
        self.bot.fork_server = self.fork_server
        self.clients = Clients(self.world, self.bot).begin()

    def goes_through(self, end: End, random: Random) -> str:
        """Start and end once more; some ends later the news are about something else."""
        self.ends += 1
        self.clients.matter = self.ends // 3
        return end(self.bot, random)

    def judged(self, trials: Any, may_repeat: bool) -> None:
        """End the stream, do what is left, and judge everything."""
        self.clients.end()
        tidied(self.world, self.bot)
        repeats = judged(self.world, self.clients, self.ends)
        assert repeats <= (self.ends if may_repeat else 0)
        trials.outcome("messages that stand twice", repeats)
        trials.outcome("acknowledged", len(self.clients.acknowledged) + len(self.clients.queued))
        assert "Traceback" not in self.world.log(), self.world.log()[-3000:]
        self.world.proven()


def lives(
    trials: Any, world: Callable[[], Any], fork_server: ForkServer, end: End, *, may_repeat: bool = True
) -> None:
    """Let bots live through their ends, some twenty in a world; `end` starts a bot, ends it and says how."""
    life: Life | None = None
    try:
        for random in trials:
            life = life or Life(world(), fork_server)
            trials.outcome(life.goes_through(end, random))
            if life.ends == ENDS_A_WORLD:
                life.judged(trials, may_repeat)
                life = None
        if life:
            life.judged(trials, may_repeat)
    finally:
        if life:
            life.clients.end()
