"""A fake Slack and a small bot connected to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler

from twokey.demo.slack import BackgroundLoop, FakeSlack

from .fake_slack_bot import Bot


@pytest.fixture(name="slack")
def running_slack() -> Iterator[FakeSlack]:
    with FakeSlack() as slack:
        yield slack


@pytest.fixture(name="loop")
def background_loop(slack: FakeSlack) -> Iterator[BackgroundLoop]:
    with BackgroundLoop("bot") as loop:
        yield loop


@pytest.fixture(name="bot")
def socket_bot(slack: FakeSlack, loop: BackgroundLoop) -> Iterator[Bot]:
    """Run the bot over Socket Mode."""
    start = connect(slack, loop)
    bot, stop = start()
    yield bot
    stop()


def connect(slack: FakeSlack, loop: BackgroundLoop) -> Callable[[], tuple[Bot, Callable[[], None]]]:
    """Return a function that connects a bot and gives it with the function that ends it."""

    def start() -> tuple[Bot, Callable[[], None]]:
        async def run() -> tuple[Bot, AsyncSocketModeHandler]:
            bot = Bot(slack)
            handler = AsyncSocketModeHandler(bot.app, slack.app_token, ping_interval=0.3)
            await handler.connect_async()
            return bot, handler

        bot, handler = loop.run(run())
        slack.wait_connected()
        return bot, lambda: loop.run(handler.close_async())

    return start
