"""An outbox harness: the real sender on a store in memory, a fake Slack, and a clock that the test drives."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from twokey.chat.delivery.supervisor import Supervisor
from twokey.chat.delivery.thread_pools import ThreadPools
from twokey.chat.slack.app import slack_sender
from twokey.chat.slack.options import Flows, SlackOptions
from twokey.core.errors import message
from twokey.core.incidents import State
from twokey.core.notices import Notice, NoticeState
from twokey.core.people import system
from twokey.demo.slack import BackgroundLoop, Channel, FakeSlack, Message
from twokey.flow import outbox
from twokey.flow.containment import Containment
from twokey.flow.incidents.commands import Response
from twokey.flow.intake import Intake
from twokey.flow.planning.planner import Planner
from twokey.flow.watch import Watch
from twokey.testing import builders
from twokey.testing.clocks import SettableClock
from twokey.testing.memory import MemoryStore
from twokey.testing.people import FixedLibrary, FixedRosters, FixedStepUp


class DrivenClock:
    """Seconds that pass only when the test says so; never back."""

    def __init__(self) -> None:
        self._now, self._lock = 1000.0, threading.Lock()

    def __call__(self) -> float:
        """Return the seconds."""
        with self._lock:
            return self._now

    def advance(self, seconds: float) -> None:
        """Let seconds pass."""
        with self._lock:
            self._now += seconds


class OutboxHarness:
    """One installation's outbox: the test opens incidents and queues messages, and the sender posts them."""

    def __init__(self, slack: FakeSlack, loop: BackgroundLoop, clock: DrivenClock, **options: Any) -> None:
        self.slack, self.loop, self.driven = slack, loop, clock
        self.clock = SettableClock()
        self.store = MemoryStore(self.clock)
        self.channel: Channel = slack.add_channel("incidents")
        rosters, nothing = FixedRosters(), Planner({}, {})
        self.response = Response(self.store, self.clock, rosters)
        containment = Containment(self.store, self.clock, rosters, FixedLibrary(), nothing, FixedStepUp())
        watch = Watch(self.store, self.clock, rosters, nothing)
        intake: Any = Intake(self.store, self.clock, {}, None)  # type: ignore[arg-type]
        self.options = SlackOptions(
            bot_token=slack.bot_token,
            team=slack.team_id,
            channel=self.channel.id,
            api_url=slack.api_url,
            **options,
        )
        self.supervisor = Supervisor()
        self._pools = ThreadPools(2, 1)
        self.sender = slack_sender(
            Flows(intake, self.response, containment, None, watch),  # type: ignore[arg-type]
            self.options,
            store=self.store,
            clock=self.clock,
            rosters=rosters,
            pools=self._pools,
            supervisor=self.supervisor,
            announced=self.response.announced_in,
            monotonic=clock,
        )
        self.lines: dict[str, list[str]] = {}  # incident -> the lines queued for its thread, in order
        loop.run(self._begin())

    async def _begin(self) -> None:
        self.supervisor.spawn_required(self.sender.run(), "sender")

    def opens(self, number: int) -> str:
        """Store an incident and queue its card."""
        made = builders.an_incident(f"INC-{number}", state=State.TRIAGE, commander="")
        with self.store.change() as tx:
            tx.put(made)
            tx.append(system("intake"), "opened", incident_id=made.id)
            outbox.redraw_card(tx, made, self.clock.now())
        self.lines[made.id] = []
        self.sender.wake()
        return made.id

    def tells(self, incident_id: str, text: str) -> None:
        """Queue a line for an incident's thread."""
        with self.store.change() as tx:
            entry = tx.append(system("test"), "noted", incident_id=incident_id)
            outbox.tell_thread(tx, entry, message("response.noted", person="Ana", text=text))
        self.lines[incident_id].append(text)
        self.sender.wake()

    def changes(self, incident_id: str) -> None:
        """Queue an update of an incident's card."""
        with self.store.change() as tx:
            tx.append(system("test"), "changed", incident_id=incident_id)
            outbox.redraw_card(tx, self.response.shown(incident_id), self.clock.now())
        self.sender.wake()

    def owed(self) -> list[Notice]:
        """Return the messages that have not been sent."""
        with self.store.read() as look:
            every = look.find(Notice, limit=10_000)
        return [notice for notice in every if notice.state is not NoticeState.SENT]

    def stands(self, channel: Channel | None = None) -> list[Message]:
        """Return every message in the channel and its threads, in Slack's order."""
        place = channel or self.channel
        with self.slack.state.lock:
            return [m for m in place.messages if not m.deleted]

    def shown(self, channels: Sequence[Channel] = ()) -> list[str]:
        """Return what people read in these channels, in order."""
        return [
            self.slack.show(message, 4000)
            for channel in channels or (self.channel,)
            for message in self.stands(channel)
        ]

    def close(self) -> None:
        """Stop the sender."""
        self.loop.run(self.supervisor.stop())
        self._pools.close()


def drive(clock: DrivenClock, harnesses: Sequence[OutboxHarness], hours: float = 6.0) -> list[OutboxHarness]:
    """Let time pass until everything is sent; return the harnesses that still have messages to send."""
    import time

    until = clock() + hours * 3600
    waiting = list(harnesses)
    while waiting and clock() < until:
        clock.advance(4.0)
        for harness in waiting:
            harness.clock.advance(4.0)
            harness.sender.wake()
        time.sleep(0.025)
        waiting = [harness for harness in waiting if harness.owed()]
    return waiting
