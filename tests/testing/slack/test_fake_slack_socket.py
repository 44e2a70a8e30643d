"""The fake Slack over Socket Mode, with a bot on real Bolt."""

from __future__ import annotations

import time

import pytest

from twokey.demo.slack import FakeSlack

from .fake_slack_bot import CARD, Bot


def test_a_command_is_answered_for_its_sender_alone(slack: FakeSlack, bot: Bot) -> None:
    ana, ben, room = (
        slack.add_user("ana"),
        slack.add_user("ben"),
        slack.add_channel("incidents"),
    )
    delivery = ana.command("/twokey", "list a & b @ben", room)
    assert delivery.ack == {"text": f"you said list a &amp; b <@{ben.id}|ben>"}
    assert delivery.ack_ms is not None and delivery.ack_ms < 1000
    assert [m.text for m in slack.ephemerals(ana)] == [delivery.ack["text"]]
    assert slack.ephemerals(ben) == []
    _, body = bot.heard[0]
    assert body["channel_id"] == room.id and body["user_id"] == ana.id and body["team_id"] == slack.team_id


def test_a_response_url_answers_later_and_privately(slack: FakeSlack, bot: Bot) -> None:
    ana, room = slack.add_user("ana"), slack.add_channel("incidents")
    ana.command("/twokey", "respond", room)
    assert slack.wait_for(lambda: slack.ephemerals(ana, room))[0].text == "later, privately"
    assert slack.calls("response_url")[0].ok


def test_a_button_opens_a_modal_whose_errors_stay_until_it_is_right(slack: FakeSlack, bot: Bot) -> None:
    ana, room = slack.add_user("ana"), slack.add_channel("incidents")
    ana.command("/twokey", "declare", room)
    card = slack.wait_for(lambda: slack.messages(room))[0]
    ana.click(card, "contain")
    view = slack.wait_for(lambda: slack.view_of(ana))
    with pytest.raises(AssertionError, match="required"):
        ana.submit(view, {})
    assert ana.submit(view, {"typed": "wrong"}).errors == {"account": "That is not this account."}
    assert slack.view_of(ana) is view and view.errors
    ana.submit(view, {"account": {"typed": "again"}})
    assert view.title == "Changed" and view.errors == {}
    assert ana.submit(view, {"typed": "111122223333"}).ack == {}
    assert slack.view_of(ana) is None


def test_payloads_have_the_documented_fields(slack: FakeSlack, bot: Bot) -> None:
    ana, room = slack.add_user("ana"), slack.add_channel("incidents")
    ana.command("/twokey", "declare", room)
    card = slack.wait_for(lambda: slack.messages(room))[0]
    ana.click(card, "more", "close")
    clicked = bot.heard[-1][1]
    assert clicked["container"] == {
        "type": "message",
        "message_ts": card.ts,
        "channel_id": room.id,
        "is_ephemeral": False,
    }
    assert clicked["actions"][0]["selected_option"]["value"] == "close"
    assert clicked["message"]["blocks"][0]["block_id"] and clicked["enterprise"] is None
    assert clicked["api_app_id"] == slack.app_id and clicked["trigger_id"] and clicked["response_url"]
    ana.message_shortcut("add_to_timeline", card)
    assert bot.heard[-1][1]["message"]["ts"] == card.ts
    ana.click(card, "contain")
    view = slack.wait_for(lambda: slack.view_of(ana))
    ana.close(view)
    slack.wait_for(lambda: bot.count("closed"))
    assert bot.heard[-1][1]["view"]["private_metadata"] == "plan-1" and slack.view_of(ana) is None


def test_a_mention_in_a_thread_is_answered_there(slack: FakeSlack, bot: Bot) -> None:
    ana, room = slack.add_user("ana"), slack.add_channel("incidents")
    first = ana.post(room, "a strange bill")
    ana.mention(room, "show INC-12", thread_ts=first.ts)
    thread = slack.wait_for(lambda: t if len(t := slack.thread(room, first.ts)) == 3 else None)
    assert thread[1].text == f"<@{slack.bot_user_id}> show INC-12"
    assert thread[2].text == f"hello <@{ana.id}>" and thread[2].bot_id == slack.bot_id
    assert [m.ts for m in slack.messages(room)] == [first.ts]


def test_the_same_envelope_twice_reaches_the_bot_twice(slack: FakeSlack, bot: Bot) -> None:
    ana, room = slack.add_user("ana"), slack.add_channel("incidents")
    delivery = ana.mention(room, "hello").redeliver(2)
    slack.wait_for(lambda: bot.count("mention") == 3)
    assert [attempt.retry for attempt in delivery.attempts] == [0, 1, 2]
    assert delivery.acked


def test_an_expired_trigger_opens_nothing(slack: FakeSlack, bot: Bot) -> None:
    ana, room = slack.add_user("ana"), slack.add_channel("incidents")
    slack.state.trigger_seconds = 0
    ana.command("/twokey", "declare", room)
    ana.click(slack.wait_for(lambda: slack.messages(room))[0], "contain")
    assert slack.wait_for(lambda: bot.errors) == ["expired_trigger_id"]
    assert slack.view_of(ana) is None


def test_an_unhandled_action_is_never_acknowledged(slack: FakeSlack, bot: Bot) -> None:
    ana, room = slack.add_user("ana"), slack.add_channel("incidents")
    message = ana.post(room, "old")
    old = [
        {
            "type": "actions",
            "elements": [{**CARD[2]["elements"][0], "action_id": "renamed"}],
        }
    ]
    slack.socket.ack_timeout = 0.3
    with pytest.raises(AssertionError, match="nothing to click"):
        ana.click(message, "renamed")
    delivery = ana.click(message, "renamed", blocks=old)
    assert delivery.ack is None and not delivery.acked


@pytest.mark.parametrize("how", ["refresh_requested", "dropped"])
def test_the_bot_comes_back_after_a_lost_connection(slack: FakeSlack, bot: Bot, how: str) -> None:
    ana, room = slack.add_user("ana"), slack.add_channel("incidents")
    before = slack.socket.connections_made
    slack.socket.drop() if how == "dropped" else slack.socket.disconnect(how)
    started = time.monotonic()
    slack.wait_for(lambda: slack.socket.connections_made > before)
    assert time.monotonic() - started < 8
    assert ana.command("/twokey", "list", room).acked


def test_nobody_clicks_what_they_do_not_see(slack: FakeSlack, bot: Bot) -> None:
    ana, ben = slack.add_user("ana"), slack.add_user("ben")
    room = slack.add_channel("secret", is_private=True, members=[ana])
    ana.command("/twokey", "respond", room)
    note = slack.wait_for(lambda: slack.ephemerals(ana))[0]
    with pytest.raises(AssertionError, match="does not see"):
        ben.click(note, "contain")
    with pytest.raises(AssertionError, match="not in #secret"):
        ben.command("/twokey", "list", room)
