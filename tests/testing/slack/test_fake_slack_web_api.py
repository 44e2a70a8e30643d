"""The fake Slack's Web API, asked by the real slack_sdk client."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry.builtin_async_handlers import (
    AsyncRateLimitErrorRetryHandler,
    AsyncServerErrorRetryHandler,
)
from slack_sdk.web.async_client import AsyncWebClient

from twokey.demo.slack import BackgroundLoop, Channel, FakeSlack

from .fake_slack_bot import CARD, Bot, modal

Ask = Callable[..., Any]


@pytest.fixture(name="ask")
def asking(slack: FakeSlack, loop: BackgroundLoop) -> Ask:
    """Call a method with the SDK: `ask("chat_postMessage", channel=...)`; extra handlers through `with_`."""

    def ask(name: str, *, with_: list[Any] | None = None, timeout: int = 5, **args: Any) -> Any:
        async def call() -> Any:
            client = AsyncWebClient(slack.bot_token, base_url=slack.api_url, timeout=timeout)
            client.retry_handlers = with_ or []
            return (await getattr(client, name)(**args)).data

        return loop.run(call())

    return ask


@pytest.fixture(name="room")
def incidents(slack: FakeSlack) -> Channel:
    return slack.add_channel("incidents")


def error_of(ask: Ask, name: str, **args: Any) -> str:
    with pytest.raises(SlackApiError) as caught:
        ask(name, **args)
    return str(caught.value.response["error"])


def section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def button(**changes: Any) -> dict[str, Any]:
    text = {"type": "plain_text", "text": "Go"}
    return {"type": "button", "action_id": "go", "text": text} | changes


def actions(*elements: dict[str, Any]) -> dict[str, Any]:
    return {"type": "actions", "elements": list(elements)}


def options(count: int) -> list[dict[str, Any]]:
    return [{"text": {"type": "plain_text", "text": str(i)}, "value": str(i)} for i in range(count)]


PLAIN = {"type": "plain_text", "text": "x"}
BAD_BLOCKS = {
    "section of 3001": [section("x" * 3001)],
    "empty section": [section("")],
    "header of 151": [{"type": "header", "text": {"type": "plain_text", "text": "x" * 151}}],
    "header in mrkdwn": [{"type": "header", "text": {"type": "mrkdwn", "text": "x"}}],
    "51 blocks": [{"type": "divider"}] * 51,
    "button value of 2001": [actions(button(value="x" * 2001))],
    "action_id of 256": [actions(button(action_id="x" * 256))],
    "26 elements": [actions(*(button(action_id=f"a{i}") for i in range(26)))],
    "one action_id twice": [actions(button(), button())],
    "overflow of 1": [actions({"type": "overflow", "action_id": "o", "options": options(1)})],
    "overflow of 6": [actions({"type": "overflow", "action_id": "o", "options": options(6)})],
    "confirm of 301": [actions(button(confirm={"title": PLAIN, "text": {**PLAIN, "text": "x" * 301}}))],
    "11 in context": [{"type": "context", "elements": [{"type": "mrkdwn", "text": "x"}] * 11}],
    "11 fields": [{"type": "section", "fields": [{"type": "mrkdwn", "text": "x"}] * 11}],
    "one block_id twice": [{"type": "divider", "block_id": "b"}] * 2,
    "no such block": [{"type": "sectoin"}],
}


@pytest.mark.parametrize("blocks", BAD_BLOCKS.values(), ids=BAD_BLOCKS.keys())
def test_blocks_that_slack_refuses_are_refused(ask: Ask, room: Channel, blocks: list[Any]) -> None:
    with pytest.raises(SlackApiError) as caught:
        ask("chat_postMessage", channel=room.id, text="x", blocks=blocks)
    answer = caught.value.response
    assert answer["error"] == "invalid_blocks"
    assert "[json-pointer:/blocks" in answer["response_metadata"]["messages"][0]


BAD_VIEWS = {
    "title of 25": modal(title={"type": "plain_text", "text": "x" * 25}),
    "submit of 25": modal(submit={"type": "plain_text", "text": "x" * 25}),
    "private_metadata of 3001": modal(private_metadata="x" * 3001),
    "101 blocks": modal(blocks=[{"type": "divider"}] * 101),
}


@pytest.mark.parametrize("view", BAD_VIEWS.values(), ids=BAD_VIEWS.keys())
def test_modals_that_slack_refuses_are_refused(slack: FakeSlack, ask: Ask, view: dict[str, Any]) -> None:
    trigger = slack.state.new_trigger(slack.add_user("ana").id)
    assert error_of(ask, "views_open", trigger_id=trigger, view=view) == "invalid_arguments"


def test_refusals_carry_slacks_codes(slack: FakeSlack, ask: Ask, room: Channel) -> None:
    ana, away = slack.add_user("ana"), slack.add_channel("away", members=[])
    shut = slack.add_channel("shut", is_archived=True)
    hidden = slack.add_channel("hidden", is_private=True, bot_is_member=False)
    post = "chat_postMessage"
    assert error_of(ask, post, channel="C404", text="x") == "channel_not_found"
    assert error_of(ask, post, channel=hidden.id, text="x") == "channel_not_found"
    assert error_of(ask, post, channel=shut.id, text="x") == "is_archived"
    assert error_of(ask, "api_call", api_method="chat.postMessage", json={"channel": room.id}) == "no_text"
    assert error_of(ask, post, channel=room.id, text="x", thread_ts="1.000001") == "thread_not_found"
    assert error_of(ask, post, channel=room.id, text="x", blocks='["') == "invalid_blocks_format"
    long = [section("x" * 2700)] * 5
    assert error_of(ask, post, channel=room.id, text="x", blocks=long) == "msg_blocks_too_long"
    assert error_of(ask, "chat_update", channel=room.id, ts="1.000001", text="x") == "message_not_found"
    assert error_of(ask, "chat_update", channel=room.id, ts=ana.post(room, "mine").ts, text="x") == (
        "cant_update_message"
    )
    assert error_of(ask, "chat_postEphemeral", channel=away.id, user=ana.id, text="x") == (
        "user_not_in_channel"
    )
    assert error_of(ask, "users_info", user="U404") == "user_not_found"
    assert error_of(ask, "apps_connections_open", app_token=slack.bot_token) == "not_allowed_token_type"
    assert error_of(ask, "auth_test", token="xoxb-other") == "invalid_auth"


def test_a_card_is_posted_updated_and_answered_in_its_thread(
    slack: FakeSlack, ask: Ask, room: Channel
) -> None:
    about = {"event_type": "incident", "event_payload": {"id": "INC-12"}}
    first = ask("chat_postMessage", channel=room.id, text="INC-12", blocks=CARD, metadata=about)
    second = ask("chat_postMessage", channel="#incidents", text="reply", thread_ts=first["ts"])
    assert float(second["ts"]) > float(first["ts"])
    ask(
        "chat_update",
        channel=room.id,
        ts=first["ts"],
        text="resolved",
        blocks=[section("resolved")],
    )
    card, reply = slack.thread(room, first["ts"])
    assert card.metadata == about and card.edits[0]["blocks"][0]["type"] == "header"
    assert reply.is_reply and slack.messages(room) == [card]
    replies = ask("conversations_replies", channel=room.id, ts=first["ts"])["messages"]
    assert [m["text"] for m in replies] == ["resolved", "reply"] and replies[0]["reply_count"] == 1
    assert len(ask("conversations_history", channel=room.id)["messages"]) == 1


def test_people_and_channels_tell_what_the_roster_needs(slack: FakeSlack, ask: Ask) -> None:
    guest = slack.add_user("guest", is_ultra_restricted=True, locale="ja-JP")
    gone, other = (
        slack.add_user("gone", deleted=True),
        slack.add_user("other", team_id="T0OTHER"),
    )
    shared = slack.add_channel("shared", is_ext_shared=True)
    assert ask("users_info", user=guest.id, include_locale=True)["user"]["locale"] == "ja-JP"
    assert ask("users_info", user=guest.id)["user"]["is_ultra_restricted"] is True
    assert ask("users_info", user=gone.id)["user"]["deleted"] is True
    assert ask("users_info", user=other.id)["user"]["is_stranger"] is True
    assert ask("conversations_info", channel=shared.id)["channel"]["is_ext_shared"] is True
    group = slack.add_group("oncall", [guest])
    assert ask("usergroups_users_list", usergroup=group)["users"] == [guest.id]
    direct = ask("conversations_open", users=guest.id)["channel"]["id"]
    ask("chat_postMessage", channel=direct, text="privately")
    assert [m.text for m in slack.direct_messages(guest)] == ["privately"]


def test_a_trigger_is_spent_once_and_a_view_keeps_its_hash(slack: FakeSlack, ask: Ask) -> None:
    ana = slack.add_user("ana")
    trigger = slack.state.new_trigger(ana.id)
    view = ask("views_open", trigger_id=trigger, view=modal())["view"]
    assert error_of(ask, "views_open", trigger_id=trigger, view=modal()) == "exchanged_trigger_id"
    newer = ask("views_update", view_id=view["id"], hash=view["hash"], view=modal())["view"]
    assert newer["hash"] != view["hash"]
    stale = {"view_id": view["id"], "hash": view["hash"], "view": modal()}
    assert error_of(ask, "views_update", **stale) == "hash_conflict"
    ask(
        "views_push",
        trigger_id=slack.state.new_trigger(ana.id),
        view=modal(callback_id="deeper"),
    )
    top = slack.view_of(ana)
    assert top is not None and top.callback_id == "deeper" and top.previous_id == view["id"]


def test_a_429_is_obeyed_by_the_retry_handler_and_fatal_without_it(
    slack: FakeSlack, ask: Ask, room: Channel
) -> None:
    slack.faults.rate_limited("chat.postMessage", retry_after=1)
    assert error_of(ask, "chat_postMessage", channel=room.id, text="x") == "ratelimited"
    slack.faults.rate_limited("chat.postMessage", retry_after=1)
    ask(
        "chat_postMessage",
        channel=room.id,
        text="x",
        with_=[AsyncRateLimitErrorRetryHandler()],
    )
    refused, done = slack.calls("chat.postMessage")[-2:]
    assert (refused.status, done.ok) == (429, True) and done.at - refused.at >= 1
    assert len(slack.messages(room)) == 1


def test_one_message_a_second_and_channel(slack: FakeSlack, ask: Ask, room: Channel) -> None:
    slack.limit_rate(per_second=1.0)
    other = slack.add_channel("other")
    ask("chat_postMessage", channel=room.id, text="x")
    ask("chat_postMessage", channel=other.id, text="x")
    assert error_of(ask, "chat_postMessage", channel=room.id, text="x") == "ratelimited"
    slack.unlimit_rate()
    ask("chat_postMessage", channel=room.id, text="x")


@pytest.mark.parametrize("status", [500, 503])
def test_a_server_error_does_nothing(slack: FakeSlack, ask: Ask, room: Channel, status: int) -> None:
    slack.faults.server_error("chat.*", status=status)
    with pytest.raises(SlackApiError):
        ask("chat_postMessage", channel=room.id, text="x")
    slack.faults.server_error("chat.*", status=status)
    ask(
        "chat_postMessage",
        channel=room.id,
        text="x",
        with_=[AsyncServerErrorRetryHandler()],
    )
    assert len(slack.messages(room)) == 1


def test_a_lost_reply_posts_twice_when_the_client_tries_again(
    slack: FakeSlack, ask: Ask, room: Channel, loop: BackgroundLoop
) -> None:
    """The SDK's default handler repeats a post whose connection broke, so every post needs a way to be known."""
    slack.faults.lose_reply("chat.postMessage")
    with pytest.raises(aiohttp.ClientError):
        ask("chat_postMessage", channel=room.id, text="once")
    slack.faults.lose_reply("chat.postMessage")

    async def with_defaults() -> None:
        client = AsyncWebClient(slack.bot_token, base_url=slack.api_url)
        await client.chat_postMessage(channel=room.id, text="twice")

    loop.run(with_defaults())
    assert [m.text for m in slack.messages(room)] == ["once", "twice", "twice"]


def test_a_slow_call_is_done_though_the_caller_left(slack: FakeSlack, ask: Ask, room: Channel) -> None:
    slack.faults.hang("chat.postMessage", delay=1.2)
    with pytest.raises(asyncio.TimeoutError):
        ask("chat_postMessage", timeout=1, channel=room.id, text="late")
    assert slack.messages(room) == []
    assert slack.wait_for(lambda: slack.messages(room))[0].text == "late"


def test_a_fault_lasts_as_long_as_it_is_told(slack: FakeSlack, ask: Ask, room: Channel) -> None:
    slack.faults.refuse("chat.postMessage", "token_revoked", seconds=0.3)
    assert error_of(ask, "chat_postMessage", channel=room.id, text="x") == "token_revoked"
    assert error_of(ask, "chat_postMessage", channel=room.id, text="x") == "token_revoked"
    time.sleep(0.35)
    ask("chat_postMessage", channel=room.id, text="x")
    slack.faults.cut("chat.update")
    with pytest.raises(aiohttp.ClientError):
        ask("chat_update", channel=room.id, ts=slack.messages(room)[0].ts, text="never")
    assert slack.messages(room)[0].text == "x"


def test_a_response_url_replaces_deletes_and_runs_out(
    slack: FakeSlack, bot: Bot, loop: BackgroundLoop
) -> None:
    ana, room = slack.add_user("ana"), slack.add_channel("incidents")
    ana.command("/twokey", "declare", room)
    card = slack.wait_for(lambda: slack.messages(room))[0]
    url = ana.click(card, "more", "ack").payload["response_url"]

    async def post(**body: Any) -> int:
        async with (
            aiohttp.ClientSession() as session,
            session.post(url, json=body) as answer,
        ):
            return answer.status

    assert loop.run(post(text="only you")) == 200
    assert loop.run(post(text="everybody", response_type="in_channel")) == 200
    assert loop.run(post(text="in place", replace_original=True)) == 200
    assert loop.run(post(delete_original=True)) == 200
    assert [m.text for m in slack.ephemerals(ana)] == ["only you"]
    assert card.deleted and card.text == "in place"
    assert loop.run(post(text="fifth")) == 200
    assert loop.run(post(text="sixth")) == 404
