"""The Slack bot: real Bolt, our listeners, and the two ways in (Socket Mode, signed HTTP)."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.http_retry.builtin_async_handlers import (
    AsyncConnectionErrorRetryHandler,
    AsyncRateLimitErrorRetryHandler,
)
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.web.async_client import AsyncWebClient

from twokey.chat.delivery.outbox_store import OutboxStore
from twokey.chat.delivery.sender import DeliveryLimits, Sender, always
from twokey.chat.delivery.supervisor import Supervisor
from twokey.chat.delivery.thread_pools import ThreadPools
from twokey.chat.slack.api import SlackChat, connections
from twokey.chat.slack.inbound.dispatch import Dispatcher
from twokey.chat.slack.inbound.listeners import listen
from twokey.chat.slack.inbound.threads import Threads
from twokey.chat.slack.options import Flows, SlackOptions
from twokey.chat.slack.views.render import MessageRenderer
from twokey.core.people import system
from twokey.ports import Checkpoint, Clock, Rosters, Store, Transaction, no_checkpoint

log = logging.getLogger("twokey.slack")

PING_S = 5.0
UPDATES_PER_S, UPDATES_AT_ONCE = 0.8, 10.0  # chat.update: 50 a minute for all channels together


@dataclass(frozen=True)
class SlackBot:
    """The parts of a running bot. `supervisor` goes to readiness; `dispatcher` is what its listeners share."""

    app: AsyncApp
    dispatcher: Dispatcher
    supervisor: Supervisor
    options: SlackOptions

    def connect(self) -> SocketDoor:
        """Begin to open Socket Mode and return at once: notifications are taken in while Slack is away.

        The SDK tries until it is connected; readiness says meanwhile that it is not.
        """
        door = SocketDoor(self)
        self.supervisor.spawn(door.open(), "socket-connect")
        return door

    async def close(self) -> None:
        """Let what is in hand end, then stop and give everything back."""
        await self.supervisor.drain(within_s=5)
        await self.supervisor.stop()
        self.dispatcher.pools.close()
        if self.dispatcher.client.session is not None:
            await self.dispatcher.client.session.close()


def slack_bot(
    flows: Flows,
    options: SlackOptions,
    *,
    store: Store,
    clock: Clock,
    rosters: Rosters,
    supervisor: Supervisor | None = None,
) -> SlackBot:
    """Make the bot; nothing is contacted before something arrives. Call it inside the running loop."""
    supervisor = supervisor or Supervisor()
    client = web_client(options)
    app = AsyncApp(
        name="twokey",
        client=client,
        signing_secret=options.signing_secret,
        logger=log,
        raise_error_for_unhandled_request=False,
    )
    pools = ThreadPools(options.quick_workers, options.slow_workers)
    dispatcher = Dispatcher(
        flows,
        options,
        client,
        store=store,
        clock=clock,
        rosters=rosters,
        pools=pools,
        supervisor=supervisor,
    )
    listen(app, dispatcher, Threads(store, pools))
    return SlackBot(app, dispatcher, supervisor, options)


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


def slack_sender(
    flows: Flows,
    options: SlackOptions,
    *,
    store: Store,
    clock: Clock,
    rosters: Rosters,
    pools: ThreadPools,
    supervisor: Supervisor,
    announced: Callable[[Transaction, str], None],
    lease: Callable[[], bool] = always,
    monotonic: Callable[[], float] = time.monotonic,
    checkpoint: Checkpoint = no_checkpoint,
) -> Sender:
    """Make what sends the outbox to Slack."""
    return Sender(
        SlackChat(MessageRenderer(flows, rosters, options), options),
        OutboxStore(store, clock, system("slack"), announced, fallback_channel=options.fallback_channel),
        DeliveryLimits(
            posts_per_s=options.per_second,
            updates_per_s=UPDATES_PER_S,
            updates_at_once=UPDATES_AT_ONCE,
            card_every_s=options.card_every_s,
            unreachable_after_s=options.fallback_after_s,
        ),
        clock=clock,
        pools=pools,
        supervisor=supervisor,
        lease=lease,
        monotonic=monotonic,
        checkpoint=checkpoint,
    )


class SocketDoor:
    """One Socket Mode connection, whose tasks are held and whose health readiness sees."""

    def __init__(self, bot: SlackBot) -> None:
        self._supervisor = bot.supervisor
        # It is also how long a connection that broke goes unnoticed, and a click in it unheard.
        self.handler = _Handler(bot.app, bot.options.app_token, logger=log, ping_interval=PING_S)
        self.handler.supervisor = bot.supervisor
        self._supervisor.add_check("socket", self.fault)
        # The SDK replaces its tasks while it connects anew: only what stays away is dead.
        self._supervisor.watch_alive("socket tasks", self._is_alive, patience_s=6.0)

    def _is_alive(self) -> bool:
        client = self.handler.client
        tasks = (client.message_processor, client.message_receiver, client.current_session_monitor)
        return not client.closed and not any(task is not None and task.done() for task in tasks)

    def fault(self) -> str:
        """Say what is wrong with the connection, "" when nothing is."""
        client = self.handler.client
        if client.closed:
            return "closed"
        if not self._is_alive():
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
    supervisor: Supervisor

    async def handle(self, client: object, req: SocketModeRequest) -> None:
        self.supervisor.adopt_current()
        await super().handle(client, req)  # type: ignore[arg-type]
