"""The bodies Slack sends to an app, in their documented shapes."""

from __future__ import annotations

import time
from typing import Any

from .methods.views import view_json
from .model import Channel, Json, Member, Message, View, Workspace

TOKEN = "fake-verification-token"


def _origin(slack: Workspace, user: Member) -> Json:
    return {
        "team": {"id": slack.team_id, "domain": slack.team_domain},
        "user": {
            "id": user.id,
            "username": user.name,
            "name": user.name,
            "team_id": user.team_id,
        },
        "api_app_id": slack.app_id,
        "token": TOKEN,
        "enterprise": None,
        "is_enterprise_install": False,
    }


def _place(channel: Channel) -> Json:
    name = "privategroup" if channel.is_private else channel.name
    return {"id": channel.id, "name": name}


def command(slack: Workspace, user: Member, name: str, text: str, channel: Channel) -> Json:
    """Return the form of a slash command."""
    return {
        "token": TOKEN,
        "team_id": slack.team_id,
        "team_domain": slack.team_domain,
        "channel_id": channel.id,
        "channel_name": _place(channel)["name"],
        "user_id": user.id,
        "user_name": user.name,
        "command": name,
        "text": text,
        "api_app_id": slack.app_id,
        "is_enterprise_install": "false",
        "response_url": slack.new_response_url(channel.id, user.id),
        "trigger_id": slack.new_trigger(user.id),
    }


def action(slack: Workspace, element: Json, block_id: str, choice: Json | None = None) -> Json:
    """Return one entry of `actions`: the element, with what was chosen."""
    entry: Json = {
        "type": element["type"],
        "action_id": element["action_id"],
        "block_id": block_id,
        "action_ts": slack.next_ts(),
    }
    for name in ("text", "value", "style", "placeholder", "confirm"):
        if name in element:
            entry[name] = element[name]
    return entry | (choice or {})


def message_click(
    slack: Workspace,
    user: Member,
    channel: Channel,
    message: Message,
    entry: Json,
    values: Json,
) -> Json:
    """Return block_actions for a message."""
    body = _origin(slack, user) | {
        "type": "block_actions",
        "container": {
            "type": "message",
            "message_ts": message.ts,
            "channel_id": channel.id,
            "is_ephemeral": message.is_ephemeral,
        },
        "trigger_id": slack.new_trigger(user.id),
        "channel": _place(channel),
        "state": {"values": values},
        "response_url": slack.new_response_url(channel.id, user.id, message),
        "actions": [entry],
    }
    if message.thread_ts:
        body["container"]["thread_ts"] = message.thread_ts
    if not message.is_ephemeral:  # Slack sends no message with a click on an ephemeral one
        body["message"] = message.to_json()
    return body


def view_click(slack: Workspace, user: Member, view: View, entry: Json, values: Json) -> Json:
    """Return block_actions for a modal or home tab."""
    return _origin(slack, user) | {
        "type": "block_actions",
        "container": {"type": "view", "view_id": view.id},
        "trigger_id": slack.new_trigger(user.id, view.id),
        "view": view_json(slack, view, values),
        "actions": [entry],
    }


def submission(slack: Workspace, user: Member, view: View, values: Json) -> Json:
    """Return view_submission."""
    return _origin(slack, user) | {
        "type": "view_submission",
        "trigger_id": slack.new_trigger(user.id, view.id),
        "view": view_json(slack, view, values),
        "response_urls": [],
    }


def closed(slack: Workspace, user: Member, view: View, is_cleared: bool) -> Json:
    """Return view_closed."""
    return _origin(slack, user) | {
        "type": "view_closed",
        "view": view_json(slack, view),
        "is_cleared": is_cleared,
    }


def message_shortcut(
    slack: Workspace, user: Member, callback_id: str, channel: Channel, message: Message
) -> Json:
    """Return message_action."""
    return _origin(slack, user) | {
        "type": "message_action",
        "action_ts": slack.next_ts(),
        "callback_id": callback_id,
        "trigger_id": slack.new_trigger(user.id),
        "response_url": slack.new_response_url(channel.id, user.id),
        "channel": _place(channel),
        "message_ts": message.ts,
        "message": message.to_json(),
    }


def global_shortcut(slack: Workspace, user: Member, callback_id: str) -> Json:
    """Return shortcut."""
    return _origin(slack, user) | {
        "type": "shortcut",
        "action_ts": slack.next_ts(),
        "callback_id": callback_id,
        "trigger_id": slack.new_trigger(user.id),
    }


def event(slack: Workspace, body: Json, channel: Channel | None = None) -> Json:
    """Return the Events API envelope around one event."""
    return {
        "token": TOKEN,
        "team_id": slack.team_id,
        "context_team_id": slack.team_id,
        "context_enterprise_id": None,
        "api_app_id": slack.app_id,
        "event": body,
        "type": "event_callback",
        "event_id": slack.next_id("Ev"),
        "event_time": int(time.time()),
        "authorizations": [
            {
                "enterprise_id": None,
                "team_id": slack.team_id,
                "user_id": slack.bot_user_id,
                "is_bot": True,
                "is_enterprise_install": False,
            }
        ],
        "is_ext_shared_channel": bool(channel and channel.is_ext_shared),
        "event_context": "4-fake",
    }


def message_event(kind: str, user: Member, channel: Channel, message: Message) -> Json:
    """Return the event of a message: `app_mention` or `message`."""
    body: Json = {
        "type": kind,
        "user": user.id,
        "text": message.text,
        "ts": message.ts,
        "team": user.team_id,
        "channel": channel.id,
        "event_ts": message.ts,
        "blocks": message.blocks,
    }
    if message.thread_ts:
        body["thread_ts"] = message.thread_ts
    if kind == "message":
        body["channel_type"] = "im" if channel.is_im else "group" if channel.is_private else "channel"
    return body


def reacted(slack: Workspace, user: Member, message: Message, emoji: str) -> Json:
    """Return reaction_added."""
    return {
        "type": "reaction_added",
        "user": user.id,
        "reaction": emoji,
        "item_user": message.user,
        "item": {"type": "message", "channel": message.channel, "ts": message.ts},
        "event_ts": slack.next_ts(),
    }


def pick(element: Json, value: Any) -> Json:
    """Return the state of an input after this was put into it."""
    kind = element["type"]
    if isinstance(value, dict):
        return {"type": kind, **value}
    single = {
        "users_select": "selected_user",
        "conversations_select": "selected_conversation",
        "channels_select": "selected_channel",
        "datepicker": "selected_date",
        "timepicker": "selected_time",
        "datetimepicker": "selected_date_time",
    }
    if kind in single:
        return {"type": kind, single[kind]: value}
    if kind in (
        "multi_users_select",
        "multi_conversations_select",
        "multi_channels_select",
    ):
        return {"type": kind, f"selected_{kind.split('_')[1]}": list(value or [])}
    if kind in ("static_select", "radio_buttons", "external_select", "overflow"):
        return {
            "type": kind,
            "selected_option": None if value is None else option(element, value),
        }
    if kind in ("checkboxes", "multi_static_select", "multi_external_select"):
        return {
            "type": kind,
            "selected_options": [option(element, item) for item in value or []],
        }
    return {"type": kind, "value": value}


def option(element: Json, value: str) -> Json:
    """Find an option by its value or its label."""
    groups: list[Json] = element.get("option_groups") or [element]
    for group in groups:
        for candidate in group.get("options") or []:
            if value in (candidate.get("value"), candidate["text"]["text"]):
                return {"text": candidate["text"], "value": candidate.get("value")}
    raise AssertionError(f"no option {value!r} in {element['action_id']!r}")


def untouched(element: Json) -> Json:
    """Return the state of an input nobody touched."""
    kind = element["type"]
    for name, target in (
        ("initial_value", "value"),
        ("initial_option", "selected_option"),
        ("initial_options", "selected_options"),
        ("initial_user", "selected_user"),
        ("initial_users", "selected_users"),
        ("initial_channel", "selected_channel"),
        ("initial_conversation", "selected_conversation"),
        ("initial_date", "selected_date"),
        ("initial_time", "selected_time"),
        ("initial_date_time", "selected_date_time"),
    ):
        if name in element:
            return {"type": kind, target: element[name]}
    return pick(element, None)
