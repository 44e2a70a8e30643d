"""What an app sends back: through a response_url, in an acknowledgement, in a view's response_action."""

from __future__ import annotations

import time

from .methods.calling import truthy
from .methods.messages import compose, edit
from .methods.views import change_view, close_views, show_view
from .model import Json, Message, SlackError, View, Workspace

LIFE_SECONDS = 30 * 60


def answer_interaction(slack: Workspace, token: str, body: Json) -> None:
    """Take what the app posted to a response_url."""
    right = slack.response_urls.get(token)
    if right is None:
        raise SlackError("no_such_url")
    if time.monotonic() - right.born > LIFE_SECONDS:
        raise SlackError("expired_url")
    if right.left <= 0:
        raise SlackError("used_url")
    right.left -= 1
    if truthy(body.get("delete_original")) and right.message is not None:
        right.message.deleted = True
        return
    new = reply(slack, right.channel, right.user, body)
    if truthy(body.get("replace_original")) and right.message is not None:
        edit(slack, right.message, new)
        return
    keep(slack, new)
    if right.message is None:
        right.message = new


def reply(slack: Workspace, channel_id: str, user: str, body: Json) -> Message:
    """Make a message of an answer; for this person alone unless it says in_channel."""
    channel = slack.channels[channel_id]
    message = compose(slack, channel, body)
    message.thread_ts = body.get("thread_ts") or None
    if body.get("response_type", "ephemeral") != "in_channel":
        message.ephemeral_to = user
    return message


def keep(slack: Workspace, message: Message) -> None:
    """Show a message where it belongs."""
    if message.is_ephemeral:
        slack.ephemerals.append(message)
    else:
        slack.channels[message.channel].messages.append(message)


def acknowledge_command(slack: Workspace, channel_id: str, user: str, body: Json) -> None:
    """Show what a command's acknowledgement says."""
    if body.get("text") or body.get("blocks"):
        keep(slack, reply(slack, channel_id, user, body))


def acknowledge_submission(slack: Workspace, view: View, body: Json) -> None:
    """Do what a submission's acknowledgement asks: show errors, change, push, clear or close."""
    if not view.is_open:
        return
    action = body.get("response_action")
    view.errors = {}
    if action == "errors":
        view.errors = {str(block): str(words) for block, words in (body.get("errors") or {}).items()}
        unknown = set(view.errors) - {block["block_id"] for block in view.blocks if block["type"] == "input"}
        if unknown or not view.errors:
            raise SlackError("invalid_arguments", f"errors name no input block: {sorted(unknown)}")
    elif action == "update":
        change_view(view, body["view"])
    elif action == "push":
        show_view(slack, view.user, body["view"], on_top=True)
    elif action == "clear":
        close_views(slack, view.user)
    else:
        drop_view(slack, view)


def drop_view(slack: Workspace, view: View) -> None:
    """Close one modal and show the one beneath it."""
    view.is_open = False
    stack = slack.stacks.get(view.user, [])
    if view.id in stack:
        stack.remove(view.id)
