"""Messages: posted, changed, deleted, read."""

from __future__ import annotations

from twokey.demo.slack.limits import UPDATE_TEXT, check_message
from twokey.demo.slack.methods.calling import method, need, truthy, with_ids
from twokey.demo.slack.methods.channels import open_channel
from twokey.demo.slack.model import Channel, Json, Message, SlackError, Workspace


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
    thread = [m for m in channel.messages if not m.deleted and ts in (m.ts, m.thread_ts)]
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
