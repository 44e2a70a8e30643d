"""The fake Slack over signed HTTP, with a bot on real Bolt behind uvicorn."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
import uvicorn
from slack_bolt.adapter.starlette.async_handler import AsyncSlackRequestHandler
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from twokey.demo.slack import BackgroundLoop, FakeSlack

from .fake_slack_bot import Bot


@pytest.fixture(name="bot")
def http_bot(slack: FakeSlack, loop: BackgroundLoop) -> Iterator[Bot]:
    """Run the bot behind uvicorn and send it what people do."""

    async def start() -> tuple[Bot, uvicorn.Server, asyncio.Task[None]]:
        bot = Bot(slack)
        handler = AsyncSlackRequestHandler(bot.app)

        async def endpoint(request: Request) -> Response:
            return await handler.handle(request)

        app = Starlette(routes=[Route("/slack/events", endpoint, methods=["POST"])])
        server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, lifespan="off", ws="none"))
        task = asyncio.create_task(server._serve())
        while not server.started:
            await asyncio.sleep(0.01)
        return bot, server, task

    async def stop() -> None:
        server.should_exit = True
        await task

    bot, server, task = loop.run(start())
    port = server.servers[0].sockets[0].getsockname()[1]
    slack.via_http(f"http://127.0.0.1:{port}/slack/events")
    yield bot
    loop.run(stop())


def test_a_whole_conversation_over_http(slack: FakeSlack, bot: Bot) -> None:
    ana, room = slack.add_user("ana"), slack.add_channel("incidents")
    assert ana.command("/twokey", "list", room).ack == {"text": "you said list"}
    ana.command("/twokey", "declare", room)
    ana.click(slack.wait_for(lambda: slack.messages(room))[0], "contain")
    view = slack.wait_for(lambda: slack.view_of(ana))
    refused = ana.submit(view, {"typed": "0"})
    assert refused.response.status == 200 and refused.response.headers["content-type"].startswith(
        "application/json"
    )
    assert refused.errors == {"account": "That is not this account."}
    assert ana.submit(view, {"typed": "111122223333"}).acked
    assert slack.view_of(ana) is None


@pytest.mark.parametrize("signature", ["wrong", "stale", "garbled", "missing"])
def test_a_bad_signature_is_turned_away(slack: FakeSlack, bot: Bot, signature: str) -> None:
    ana, room = slack.add_user("ana"), slack.add_channel("incidents")
    slack.via_http(slack.transport.url, signature=signature)  # type: ignore[attr-defined]  # it is SignedHttp
    delivery = ana.command("/twokey", "list", room)
    assert delivery.response.status == 401 and delivery.ack is None
    assert bot.heard == [] and slack.ephemerals(ana) == []


def test_a_retry_carries_slacks_headers(slack: FakeSlack, bot: Bot) -> None:
    ana, room = slack.add_user("ana"), slack.add_channel("incidents")
    delivery = ana.mention(room, "hello").redeliver()
    assert delivery.acked
    slack.wait_for(lambda: bot.count("mention") == 2)


def test_an_app_that_is_away_gives_no_answer(slack: FakeSlack) -> None:
    ana, room = slack.add_user("ana"), slack.add_channel("incidents")
    slack.via_http("http://127.0.0.1:1/slack/events")
    delivery = ana.command("/twokey", "list", room)
    assert delivery.response.status is None and "refused" in delivery.response.error
