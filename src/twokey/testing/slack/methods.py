"""The Web API methods: what each checks, changes and answers."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import Any

from .limits import UPDATE_TEXT, check_message, check_view
from .model import Channel, Json, Message, SlackError, Trigger, View, Workspace

Method = Callable[[Workspace, Json], Json]
METHODS: dict[str, Method] = {}


def method(name: str) -> Callable[[Method], Method]:
    """Register a function as a Web API method."""

    def register(function: Method) -> Method:
        METHODS[name] = function
        return function

    return register


def need(args: Json, name: str, error: str = "invalid_arguments") -> str:
    """Return a required string argument."""
    value = args.get(name)
    if not isinstance(value, str) or not value:
        raise SlackError(error, f"missing required field: {name}")
    return value


def truthy(value: Any) -> bool:
    """Read a boolean as Slack does, from JSON or from a form."""
    return str(value).lower() in ("1", "true")


def with_ids(blocks: list[Json]) -> list[Json]:
    """Give every block and interactive element the id that Slack would make up."""
    named: list[Json] = []
    for block in blocks:
        block = {**block, "block_id": block.get("block_id") or secrets.token_urlsafe(4)}
        if isinstance(block.get("elements"), list) and block["type"] == "actions":
            block["elements"] = [_with_action_id(element) for element in block["elements"]]
        for name in ("accessory", "element"):
            if isinstance(block.get(name), dict):
                block[name] = _with_action_id(block[name])
        named.append(block)
    return named


def _with_action_id(element: Json) -> Json:
    if element.get("type") == "image":
        return element
    return {
        **element,
        "action_id": element.get("action_id") or secrets.token_urlsafe(4),
    }


def compose(slack: Workspace, channel: Channel, args: Json, *, old: Message | None = None) -> Message:
    """Make a message of these arguments, or refuse them; `old` gives what an edit leaves alone."""
    blocks, attachments, text = (
        args.get("blocks"),
        args.get("attachments"),
        args.get("text"),
    )
    if blocks is not None and blocks != []:
        check_message(blocks)
    if not (text or blocks or attachments):
        raise SlackError("no_text")
    if text is not None and not isinstance(text, str):
        raise SlackError("invalid_arguments", "must be a string [json-pointer:/text]")
    metadata = args.get("metadata")
    if metadata is not None and not (isinstance(metadata, dict) and "event_type" in metadata):
        raise SlackError("invalid_metadata_format")
    return Message(
        channel=channel.id,
        ts=slack.next_ts() if old is None else old.ts,
        user=slack.bot_user_id,
        text=text or "",
        blocks=with_ids(blocks or []),
        attachments=attachments or [],
        metadata=metadata if metadata is not None or old is None else old.metadata,
        bot_id=slack.bot_id,
        app_id=slack.app_id,
        team=slack.team_id,
        link_names=truthy(args.get("link_names")) or args.get("parse") == "full",
    )


def open_channel(slack: Workspace, args: Json) -> Channel:
    """Find the channel a bot may write to."""
    channel = slack.channel(need(args, "channel", "channel_not_found"))
    if channel.is_archived:
        raise SlackError("is_archived")
    if not channel.bot_is_member:
        raise SlackError("not_in_channel")
    return channel


@method("api.test")
def api_test(slack: Workspace, args: Json) -> Json:
    if args.get("error"):
        raise SlackError(str(args["error"]))
    return {"args": args}


@method("auth.test")
def auth_test(slack: Workspace, args: Json) -> Json:
    return {
        "url": f"https://{slack.team_domain}.slack.com/",
        "team": slack.team_domain,
        "user": slack.bot_name,
        "team_id": slack.team_id,
        "user_id": slack.bot_user_id,
        "bot_id": slack.bot_id,
        "is_enterprise_install": False,
    }


@method("team.info")
def team_info(slack: Workspace, args: Json) -> Json:
    return {
        "team": {
            "id": slack.team_id,
            "name": slack.team_domain,
            "domain": slack.team_domain,
        }
    }


@method("bots.info")
def bots_info(slack: Workspace, args: Json) -> Json:
    if args.get("bot") != slack.bot_id:
        raise SlackError("bot_not_found")
    return {
        "bot": {
            "id": slack.bot_id,
            "deleted": False,
            "name": slack.bot_name,
            "app_id": slack.app_id,
            "user_id": slack.bot_user_id,
            "icons": {},
        }
    }


@method("chat.postMessage")
def post_message(slack: Workspace, args: Json) -> Json:
    channel = open_channel(slack, args)
    message = compose(slack, channel, args)
    thread_ts = args.get("thread_ts")
    if thread_ts:
        try:
            parent = slack.message(channel, str(thread_ts))
        except SlackError:
            raise SlackError("thread_not_found") from None
        message.thread_ts = parent.thread_ts or parent.ts
        parent.thread_ts = parent.thread_ts or parent.ts
        message.broadcast = truthy(args.get("reply_broadcast"))
    channel.messages.append(message)
    return {
        "channel": channel.id,
        "ts": message.ts,
        "message": message.to_json(metadata=True),
    }


@method("chat.postEphemeral")
def post_ephemeral(slack: Workspace, args: Json) -> Json:
    channel = open_channel(slack, args)
    user = need(args, "user", "user_not_in_channel")
    if user not in slack.members or not channel.holds(user):
        raise SlackError("user_not_in_channel")
    message = compose(slack, channel, args)
    message.ephemeral_to = user
    message.thread_ts = args.get("thread_ts") or None
    slack.ephemerals.append(message)
    return {"message_ts": message.ts}


@method("chat.update")
def update_message(slack: Workspace, args: Json) -> Json:
    channel = open_channel(slack, args)
    message = slack.message(channel, need(args, "ts", "message_not_found"))
    if message.bot_id != slack.bot_id:
        raise SlackError("cant_update_message")
    if len(str(args.get("text") or "")) > UPDATE_TEXT:
        raise SlackError("msg_too_long")
    edit(slack, message, compose(slack, channel, args, old=message), keep=args)
    return {
        "channel": channel.id,
        "ts": message.ts,
        "text": message.text,
        "message": message.to_json(metadata=True),
    }


def edit(slack: Workspace, message: Message, new: Message, *, keep: Json | None = None) -> None:
    """Put new content in the place of the old; blocks and attachments that `keep` does not name stay."""
    message.edits.append(message.content())
    message.text, message.metadata = new.text, new.metadata
    if keep is None or keep.get("blocks") is not None:
        message.blocks = new.blocks
    if keep is None or keep.get("attachments") is not None:
        message.attachments = new.attachments
    message.edited_ts = slack.next_ts()


@method("chat.delete")
def delete_message(slack: Workspace, args: Json) -> Json:
    channel = open_channel(slack, args)
    message = slack.message(channel, need(args, "ts", "message_not_found"))
    if message.bot_id != slack.bot_id:
        raise SlackError("cant_delete_message")
    message.deleted = True
    return {"channel": channel.id, "ts": message.ts}


@method("chat.getPermalink")
def permalink(slack: Workspace, args: Json) -> Json:
    channel = slack.channel(need(args, "channel", "channel_not_found"))
    message = slack.message(channel, need(args, "message_ts", "message_not_found"))
    link = f"https://{slack.team_domain}.slack.com/archives/{channel.id}/p{message.ts.replace('.', '')}"
    if message.is_reply:
        link += f"?thread_ts={message.thread_ts}&cid={channel.id}"
    return {"channel": channel.id, "permalink": link}


@method("reactions.add")
def add_reaction(slack: Workspace, args: Json) -> Json:
    channel = slack.channel(need(args, "channel", "channel_not_found"))
    message = slack.message(channel, need(args, "timestamp", "message_not_found"))
    users = message.reactions.setdefault(need(args, "name", "invalid_name"), [])
    if slack.bot_user_id in users:
        raise SlackError("already_reacted")
    users.append(slack.bot_user_id)
    return {}


@method("users.info")
def users_info(slack: Workspace, args: Json) -> Json:
    member = slack.members.get(need(args, "user", "user_not_found"))
    if member is None:
        raise SlackError("user_not_found")
    return {"user": member.to_json(include_locale=truthy(args.get("include_locale")))}


@method("users.lookupByEmail")
def users_lookup(slack: Workspace, args: Json) -> Json:
    email = need(args, "email", "users_not_found").lower()
    for member in slack.members.values():
        if member.email.lower() == email and not member.deleted:
            return {"user": member.to_json()}
    raise SlackError("users_not_found")


@method("usergroups.users.list")
def group_users(slack: Workspace, args: Json) -> Json:
    group = slack.groups.get(need(args, "usergroup", "no_such_subteam"))
    if group is None:
        raise SlackError("no_such_subteam")
    return {"users": list(group[1])}


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


@method("conversations.history")
def history(slack: Workspace, args: Json) -> Json:
    channel = slack.channel(need(args, "channel", "channel_not_found"))
    if not channel.bot_is_member:
        raise SlackError("not_in_channel")
    seen = [m for m in channel.messages if not m.deleted and (not m.is_reply or m.broadcast)]
    return _page(slack, channel, list(reversed(seen)), args)


@method("conversations.replies")
def replies(slack: Workspace, args: Json) -> Json:
    channel = slack.channel(need(args, "channel", "channel_not_found"))
    ts = need(args, "ts", "thread_not_found")
    thread = [m for m in channel.messages if not m.deleted and (m.ts == ts or m.thread_ts == ts)]
    if not thread:
        raise SlackError("thread_not_found")
    return _page(slack, channel, thread, args)


def _page(slack: Workspace, channel: Channel, messages: list[Message], args: Json) -> Json:
    oldest, latest = str(args.get("oldest") or "0"), str(args.get("latest") or "9" * 12)
    inclusive = truthy(args.get("inclusive"))
    found = [
        m
        for m in messages
        if float(oldest) < float(m.ts) < float(latest) or (inclusive and m.ts in (oldest, latest))
    ]
    start, limit = int(args.get("cursor") or 0), int(args.get("limit") or 100)
    more = start + limit < len(found)
    show = truthy(args.get("include_all_metadata"))
    return {
        "messages": [_threaded(channel, m, show) for m in found[start : start + limit]],
        "has_more": more,
        "response_metadata": {"next_cursor": str(start + limit) if more else ""},
    }


def _threaded(channel: Channel, message: Message, metadata: bool) -> Json:
    answer = message.to_json(metadata=metadata)
    answers = [m for m in channel.messages if m.is_reply and m.thread_ts == message.ts and not m.deleted]
    if answers:
        answer |= {"reply_count": len(answers), "latest_reply": answers[-1].ts}
        answer["reply_users"] = sorted({m.user for m in answers})
    return answer


def view_json(slack: Workspace, view: View, values: dict[str, dict[str, Json]] | None = None) -> Json:
    """Return the view object of answers and interaction payloads."""
    answer: Json = {
        "id": view.id,
        "team_id": slack.team_id,
        "type": view.body["type"],
        "blocks": view.blocks,
        "private_metadata": view.private_metadata,
        "callback_id": view.callback_id,
        "state": {"values": values or {}},
        "hash": view.hash,
        "title": view.body.get("title"),
        "clear_on_close": bool(view.body.get("clear_on_close")),
        "notify_on_close": bool(view.body.get("notify_on_close")),
        "close": view.body.get("close"),
        "submit": view.body.get("submit"),
        "previous_view_id": view.previous_id,
        "root_view_id": view.root_id,
        "app_id": slack.app_id,
        "external_id": view.body.get("external_id") or "",
        "app_installed_team_id": slack.team_id,
        "bot_id": slack.bot_id,
    }
    return answer


def new_hash() -> str:
    """Return the mark of one state of a view."""
    return f"{int(time.time())}.{secrets.token_hex(4)}"


def show_view(slack: Workspace, user: str, body: Json, *, on_top: bool) -> View:
    """Put a modal before this person: in place of all, or on top of the stack."""
    check_view(body)
    external = body.get("external_id")
    if external and any(v.body.get("external_id") == external and v.is_open for v in slack.views.values()):
        raise SlackError("duplicate_external_id")
    stack = slack.stacks.setdefault(user, [])
    if on_top and len(stack) >= 3:
        raise SlackError("push_limit_reached")
    if not on_top:
        close_views(slack, user)
        stack = slack.stacks.setdefault(user, [])
    view_id = slack.next_id("V")
    view = View(
        id=view_id,
        user=user,
        body={**body, "blocks": with_ids(body["blocks"])},
        hash=new_hash(),
        root_id=stack[0] if stack else view_id,
        previous_id=stack[-1] if stack else None,
    )
    slack.views[view_id] = view
    stack.append(view_id)
    return view


def close_views(slack: Workspace, user: str) -> None:
    """Close every modal of this person."""
    for view_id in slack.stacks.pop(user, []):
        slack.views[view_id].is_open = False


def change_view(view: View, body: Json) -> None:
    """Put other content into an open modal."""
    check_view(body)
    view.history.append(view.body)
    view.body = {**body, "blocks": with_ids(body["blocks"])}
    view.hash = new_hash()
    view.errors = {}


def _trigger(slack: Workspace, args: Json) -> Trigger:
    check_view(args.get("view"))
    return slack.use_trigger(need(args, "trigger_id", "invalid_arguments"))


@method("views.open")
def open_view(slack: Workspace, args: Json) -> Json:
    trigger = _trigger(slack, args)
    return {"view": view_json(slack, show_view(slack, trigger.user, args["view"], on_top=False))}


@method("views.push")
def push_view(slack: Workspace, args: Json) -> Json:
    trigger = _trigger(slack, args)
    if not slack.stacks.get(trigger.user):
        raise SlackError("not_found")
    return {"view": view_json(slack, show_view(slack, trigger.user, args["view"], on_top=True))}


@method("views.update")
def update_view(slack: Workspace, args: Json) -> Json:
    view = _find_view(slack, args)
    if args.get("hash") and args["hash"] != view.hash:
        raise SlackError("hash_conflict")
    change_view(view, args.get("view") or {})
    return {"view": view_json(slack, view)}


def _find_view(slack: Workspace, args: Json) -> View:
    wanted = args.get("view_id") or args.get("external_id")
    if not wanted:
        raise SlackError("invalid_arguments", "either `view_id` or `external_id` must be given")
    for view in slack.views.values():
        if wanted in (view.id, view.body.get("external_id")) and view.is_open:
            return view
    raise SlackError("not_found")


@method("views.publish")
def publish_view(slack: Workspace, args: Json) -> Json:
    user, body = need(args, "user_id"), args.get("view")
    check_view(body)
    if user not in slack.members:
        raise SlackError("user_not_found")
    old = slack.homes.get(user)
    if args.get("hash") and old is not None and args["hash"] != old.hash:
        raise SlackError("hash_conflict")
    view_id = old.id if old else slack.next_id("V")
    blocks = with_ids((body or {})["blocks"])
    view = View(view_id, user, {**(body or {}), "blocks": blocks}, new_hash(), view_id)
    slack.homes[user] = slack.views[view_id] = view
    return {"view": view_json(slack, view)}
