"""A fake Slack, the real flows on a record in memory, and the real bot between them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette

from twokey.chat.delivery.sender import Sender
from twokey.chat.delivery.thread_pools import ThreadPools
from twokey.chat.slack.app import SlackBot, SocketDoor, slack_bot, slack_sender
from twokey.chat.slack.http_door import slack_route
from twokey.chat.slack.options import Flows, SlackOptions
from twokey.core.incidents import Incident, State, Times
from twokey.core.people import ChatAccount, Person, Role, Roster, system
from twokey.core.postmortems import Postmortem, Record
from twokey.core.runbooks import Plan
from twokey.demo.slack import BackgroundLoop, Channel, FakeSlack, Message
from twokey.demo.slack import Person as SlackPerson
from twokey.flow import outbox
from twokey.flow.containment import Containment
from twokey.flow.execution.run import Executor
from twokey.flow.incidents.commands import Response
from twokey.flow.intake import Intake
from twokey.flow.planning.planner import Planner
from twokey.flow.review.drafts import Review
from twokey.flow.watch import Watch
from twokey.ports import NoPasskeys, Passkeys
from twokey.testing import builders, runbooks
from twokey.testing.clocks import SystemClock
from twokey.testing.clouds import MemoryCloud
from twokey.testing.memory import MemoryStore
from twokey.testing.people import FixedLibrary, FixedRosters, FixedStepUp
from twokey.testing.showings import shown_whole
from twokey.web import mounted


class PaperPublisher:
    """A publisher that writes one line and puts it nowhere."""

    def render(self, record: Record, language: str, audience: str) -> str:
        return f"# {record.incident.id} ({language}, {audience})\n"

    def publish(self, postmortem: Postmortem) -> str:
        return f"paper/{postmortem.id}.md"


@dataclass
class World:
    """Everything a test needs: people, channels, flows, the bot, and the sender."""

    slack: FakeSlack
    loop: BackgroundLoop
    store: Any = None
    clock: Any = field(default_factory=SystemClock)
    language: str = "en"
    options: dict[str, Any] = field(default_factory=dict)
    leads: bool = True
    passkeys: Passkeys = field(default_factory=NoPasskeys)

    def __post_init__(self) -> None:
        self.store = self.store or MemoryStore(self.clock)
        self.cloud = MemoryCloud()
        self.library = FixedLibrary(
            runbooks.disable_leaked_key(), runbooks.protect_buckets(), runbooks.quarantine_account()
        )
        self.rosters = FixedRosters(Roster())
        self.channel: Channel = self.slack.add_channel("incidents")
        self.security: Channel = self.slack.add_channel("security", is_private=True)
        self.people: dict[str, SlackPerson] = {}
        for name in ("ana", "ben", "cho"):
            self.join(name)
        planner = Planner({"aws": self.cloud}, {"aws": {"responder_role_arn": "arn:aws:iam::1:role/r"}})
        store, clock, rosters = self.store, self.clock, self.rosters
        self.response = Response(store, clock, rosters)
        self.containment = Containment(
            store, clock, rosters, self.library, planner, FixedStepUp(), self.passkeys
        )
        self.executor = Executor(store, clock, rosters, self.library, planner, passkeys=self.passkeys)
        review = Review(store, clock, rosters, PaperPublisher())
        self.watch = Watch(store, clock, rosters, planner)
        intake: Any = Intake(store, clock, {}, None)  # type: ignore[arg-type]
        self.flows = Flows(intake, self.response, self.containment, review, self.watch)
        self.settings = SlackOptions(
            bot_token=self.slack.bot_token,
            team=self.slack.team_id,
            channel=self.channel.id,
            security_channel=self.security.id,
            app_token=self.slack.app_token,
            signing_secret=self.slack.signing_secret,
            api_url=self.slack.api_url,
            language=self.language,
            **{"per_second": 100.0, "card_every_s": 0.2, **self.options},
        )
        self.bot: SlackBot | None = None
        self.door: SocketDoor | None = None
        self.sender: Sender | None = None
        self._sending: Any = None

    # People

    def join(self, name: str, *roles: Role, locale: str = "en-US", **flags: Any) -> SlackPerson:
        """Add a person with one account, on the roster."""
        account = self.slack.add_user(name, locale=locale, **flags)
        self.people[name] = account
        person = Person(
            f"d-{name}",
            name.capitalize(),
            (ChatAccount(self.slack.team_id, account.id),),
            frozenset(roles or Role),
            ("*",),
            True,
        )
        self.rosters.roster = Roster((*self.rosters.roster.people, person), "d")
        return account

    # The bot

    def start(self) -> World:
        """Connect the bot through Socket Mode."""
        self.loop.run(self._start())
        self.slack.wait_connected()
        return self

    async def _start(self) -> None:
        self.bot = self.make_bot()
        self.door = self.bot.connect()

    def make_bot(self) -> SlackBot:
        return slack_bot(self.flows, self.settings, store=self.store, clock=self.clock, rosters=self.rosters)

    def serve_http(self) -> str:
        """Offer the signed HTTP door instead, and return its address."""
        self.bot = self.loop.run(self._made())
        config = uvicorn.Config(
            Starlette(routes=[mounted(slack_route(self.bot, self.clock))]),
            port=0,
            log_level="error",
            lifespan="off",
        )
        self._server = uvicorn.Server(config)
        asyncio.run_coroutine_threadsafe(self._server.serve(), self.loop.loop)
        self.slack.wait_for(lambda: self._server.started)
        port = self._server.servers[0].sockets[0].getsockname()[1]
        return f"http://127.0.0.1:{port}/slack/events"

    async def _made(self) -> SlackBot:
        return self.make_bot()

    def send(self, **changes: Any) -> Sender:
        """Start the sender."""
        self.loop.run(self._send(changes))
        assert self.sender is not None
        return self.sender

    async def _send(self, changes: dict[str, Any]) -> None:
        from twokey.chat.delivery.supervisor import Supervisor

        self.sender_supervisor = Supervisor()
        arguments: dict[str, Any] = {
            "store": self.store,
            "clock": self.clock,
            "rosters": self.rosters,
            "pools": ThreadPools(),
            "supervisor": self.sender_supervisor,
            "announced": self.response.announced_in,
            "lease": lambda: self.leads,
            **changes,
        }
        self.sender = slack_sender(self.flows, self.settings, **arguments)
        self._sending = self.sender_supervisor.spawn_required(self.sender.run(), "sender")

    def kill_sender(self) -> None:
        """Stop the sender where it is."""
        self.loop.run(self.sender_supervisor.stop())

    def stop(self) -> None:
        self.loop.run(self._stop())

    async def _stop(self) -> None:
        if self.sender is not None:
            await self.sender_supervisor.stop()
        if self.door is not None:
            await self.door.close()
        if getattr(self, "_server", None) is not None:
            self._server.should_exit = True
            await asyncio.sleep(0.2)
        if self.bot is not None:
            await self.bot.close()

    # What there is

    def incident(self, number: int = 1, **changes: Any) -> Incident:
        """Put an incident on record and owe its card."""
        made = builders.an_incident(
            f"INC-{number}",
            **{
                "state": State.TRIAGE,
                "commander": "",
                "workspace": self.slack.team_id,
                "times": Times(started=builders.at(-30), detected=builders.at(-5)),
                **changes,
            },
        )
        with self.store.change() as tx:
            tx.put(made)
            entry = tx.append(system("intake"), "opened", incident_id=made.id)
            outbox.redraw_card(tx, made, self.clock.now())
        del entry
        self.wake()
        return made

    def plan(self, **changes: Any) -> Plan:
        """Let ana propose the leaked-key plan of INC-1, through the flow."""
        from twokey.testing.people import identity

        who = identity(self.people["ana"].id, self.slack.team_id)
        preview = self.containment.preview("INC-1", runbooks.LEAKED_KEY, who)
        return self.containment.propose(shown_whole(self.containment, preview, who), who, code="000007")

    def wake(self) -> None:
        if self.sender is not None:
            self.sender.wake()

    def said(self, channel: Channel | None = None, count: int = 1) -> list[Message]:
        """Wait until so many messages stand in the channel."""
        place = channel or self.security
        self.slack.wait_for(lambda: len(self.slack.messages(place)) >= count)
        return self.slack.messages(place)

    def thread(self, count: int = 1) -> list[Message]:
        """Wait until so many replies stand under INC-1's card."""
        card = self.said()[0]
        self.slack.wait_for(lambda: len(self.slack.thread(self.security, card.ts)) > count - 0)
        return self.slack.thread(self.security, card.ts)[1:]

    def told(self, name: str, count: int = 1) -> list[Message]:
        """Wait for what only this person sees."""
        who = self.people[name]
        self.slack.wait_for(lambda: len(self.slack.ephemerals(who)) >= count)
        return self.slack.ephemerals(who)

    def modal(self, name: str, callback_id: str) -> Any:
        """Wait until this person looks at that modal."""
        who = self.people[name]

        def looks() -> Any:
            view = self.slack.view_of(who)
            return view if view is not None and view.callback_id == callback_id else None

        return self.slack.wait_for(looks)


@pytest.fixture
def slack() -> Iterator[FakeSlack]:
    """A workspace."""
    with FakeSlack() as running:
        yield running


@pytest.fixture
def loop() -> Iterator[BackgroundLoop]:
    """The bot's own event loop."""
    with BackgroundLoop("bot") as running:
        yield running


@pytest.fixture
def make_world(slack: FakeSlack, loop: BackgroundLoop) -> Iterator[Callable[..., World]]:
    """Make worlds; they are stopped in the end."""
    made: list[World] = []

    def make(**changes: Any) -> World:
        made.append(World(slack, loop, **changes))
        return made[-1]

    yield make
    for world in made:
        world.stop()
    # uvicorn and the SDK end their own threads; a test that leaves one hanging is seen here
    assert threading.active_count() < 60


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    """The bot over Socket Mode with its sender."""
    made = make_world().start()
    made.send()
    return made


def changed(noun: Any, **changes: Any) -> Any:
    """Return the noun with other values."""
    return replace(noun, **changes)
