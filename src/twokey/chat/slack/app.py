"""The Slack bot: real Bolt, our listeners, and the two ways in (Socket Mode, signed HTTP)."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import aiohttp
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.http_retry.builtin_async_handlers import (
    AsyncConnectionErrorRetryHandler,
    AsyncRateLimitErrorRetryHandler,
)
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.web.async_client import AsyncWebClient

from twokey.chat.delivery.supervisor import Watch, Workers
from twokey.chat.slack.inbound.dispatch import Desk
from twokey.chat.slack.inbound.listeners import listen
from twokey.chat.slack.inbound.threads import Threads
from twokey.chat.slack.options import Flows, SlackOptions
from twokey.ports import Clock, Rosters, Store

log = logging.getLogger("twokey.slack")

PING_S = 5.0


@dataclass(frozen=True)
class SlackBot:
    """The parts of a running bot. `watch` goes to readiness; `desk` is what the sender shares."""

    app: AsyncApp
    desk: Desk
    watch: Watch
    options: SlackOptions

    def connect(self) -> SocketDoor:
        """Begin to open Socket Mode and return at once: notifications are taken in while Slack is away.

        The SDK tries until it is connected; readiness says meanwhile that it is not.
        """
        door = SocketDoor(self)
        self.watch.hold(door.open(), "socket-connect")
        return door

    async def close(self) -> None:
        """Let what is in hand end, then stop and give everything back."""
        await self.watch.settle(within_s=5)
        await self.watch.stop()
        self.desk.workers.close()
        if self.desk.client.session is not None:
            await self.desk.client.session.close()


def slack_bot(
    flows: Flows,
    options: SlackOptions,
    *,
    store: Store,
    clock: Clock,
    rosters: Rosters,
    watch: Watch | None = None,
) -> SlackBot:
    """Make the bot; nothing is contacted before something arrives. Call it inside the running loop."""
    watch = watch or Watch()
    client = web_client(options)
    app = AsyncApp(
        name="twokey",
        client=client,
        signing_secret=options.signing_secret,
        logger=log,
        raise_error_for_unhandled_request=False,
    )
    workers = Workers(options.quick_workers, options.slow_workers)
    desk = Desk(
        flows, options, client, store=store, clock=clock, rosters=rosters, workers=workers, watch=watch
    )
    listen(app, desk, Threads(store, workers))
    return SlackBot(app, desk, watch, options)


def web_client(options: SlackOptions) -> AsyncWebClient:
    """Return the client for answers: it repeats after a broken connection and waits out a 429.

    The sender has its own, which never repeats by itself: a repeat there would be a second message.
    """
    return AsyncWebClient(
        token=options.bot_token,
        base_url=options.api_url,
        timeout=10,
        session=connections(10),
        retry_handlers=[
            AsyncConnectionErrorRetryHandler(),
            AsyncRateLimitErrorRetryHandler(max_retry_count=2),
        ],
    )


def connections(timeout_s: float) -> aiohttp.ClientSession:
    """Return kept connections: without, the SDK connects anew for every call.

    They are kept shortly, for one that Slack has closed meanwhile looks like a lost answer.
    """
    return aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=timeout_s), connector=aiohttp.TCPConnector(keepalive_timeout=5)
    )


class SocketDoor:
    """One Socket Mode connection, whose tasks are held and whose health readiness sees."""

    def __init__(self, bot: SlackBot) -> None:
        self._watch = bot.watch
        # It is also how long a connection that broke goes unnoticed, and a click in it unheard.
        self.handler = _Handler(bot.app, bot.options.app_token, logger=log, ping_interval=PING_S)
        self.handler.watch = bot.watch
        self._watch.ask("socket", self.fault)
        # The SDK replaces its tasks while it connects anew: only what stays away is dead.
        self._watch.vital("socket tasks", self._lives, patience_s=6.0)

    def _lives(self) -> bool:
        client = self.handler.client
        tasks = (client.message_processor, client.message_receiver, client.current_session_monitor)
        return not client.closed and not any(task is not None and task.done() for task in tasks)

    def fault(self) -> str:
        """Say what is wrong with the connection, "" when nothing is."""
        client = self.handler.client
        if client.closed:
            return "closed"
        if not self._lives():
            return "a task of the connection has ended"
        if client.current_session is None or client.current_session.closed or client.stale:
            return "not connected"
        return ""

    async def open(self) -> None:
        """Connect, however often it takes."""
        await self.handler.connect_async()  # type: ignore[no-untyped-call]

    async def close(self) -> None:
        """End the connection; Slack delivers what is not acknowledged to another one, or again."""
        await self.handler.close_async()  # type: ignore[no-untyped-call]


class _Handler(AsyncSocketModeHandler):
    watch: Watch

    async def handle(self, client: object, req: SocketModeRequest) -> None:
        self.watch.adopt_current()
        await super().handle(client, req)  # type: ignore[arg-type]
