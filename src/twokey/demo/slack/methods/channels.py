"""Channels: looked at, joined, made, filled."""

from __future__ import annotations

from twokey.demo.slack.methods.calling import method, need, truthy
from twokey.demo.slack.model import Channel, Json, SlackError, Workspace


def open_channel(slack: Workspace, args: Json) -> Channel:
    """Find the channel a bot may write to."""
    channel = slack.channel(need(args, "channel", "channel_not_found"))
    if channel.is_archived:
        raise SlackError("is_archived")
    if not channel.bot_is_member:
        raise SlackError("not_in_channel")
    return channel


@method("conversations.info")
def channel_info(slack: Workspace, args: Json) -> Json:
    channel = slack.channel(need(args, "channel", "channel_not_found"))
    return {"channel": channel.to_json()}


@method("conversations.open")
def open_direct(slack: Workspace, args: Json) -> Json:
    users = args.get("users")
    names: list[str] = users if isinstance(users, list) else str(users or "").split(",")
    if len(names) != 1 or names[0] not in slack.members:
        raise SlackError("user_not_found")
    channel = slack.direct(names[0])
    return {"channel": {"id": channel.id}}


@method("conversations.members")
def channel_members(slack: Workspace, args: Json) -> Json:
    channel = slack.channel(need(args, "channel", "channel_not_found"))
    members = channel.members if channel.members is not None else set(slack.members)
    return {"members": sorted(members), "response_metadata": {"next_cursor": ""}}


@method("conversations.join")
def join(slack: Workspace, args: Json) -> Json:
    channel = slack.channel(need(args, "channel", "channel_not_found"))
    channel.bot_is_member = True
    return {"channel": channel.to_json()}


@method("conversations.create")
def create_channel(slack: Workspace, args: Json) -> Json:
    name = need(args, "name", "invalid_name_required")
    if any(channel.name == name for channel in slack.channels.values()):
        raise SlackError("name_taken")
    private = truthy(args.get("is_private"))
    channel = Channel(slack.next_id("C"), name, is_private=private, members={slack.bot_user_id})
    slack.channels[channel.id] = channel
    return {"channel": channel.to_json()}


@method("conversations.invite")
def invite(slack: Workspace, args: Json) -> Json:
    channel = open_channel(slack, args)
    users = [user for user in str(args.get("users") or "").split(",") if user]
    if not users or any(user not in slack.members for user in users):
        raise SlackError("user_not_found")
    if channel.members is not None:
        channel.members.update(users)
    return {"channel": channel.to_json()}


@method("conversations.setTopic")
def set_topic(slack: Workspace, args: Json) -> Json:
    channel = open_channel(slack, args)
    channel.topic = str(args.get("topic") or "")
    return {"channel": channel.to_json()}
