"""Files: an address to put the bytes at, and the call that shares them."""

from __future__ import annotations

import json
import secrets
from typing import Any

from twokey.demo.slack.methods.calling import method, need
from twokey.demo.slack.model import Json, Message, SlackError, StoredFile, Workspace

MOST_BYTES = 1_000_000_000


@method("files.getUploadURLExternal")
def upload_url(slack: Workspace, args: Json) -> Json:
    name, length = need(args, "filename", "invalid_arguments"), str(args.get("length") or "")
    if not length.isdecimal() or not 0 < int(length) <= MOST_BYTES:
        raise SlackError("invalid_arguments", "must be greater than 0 [json-pointer:/length]")
    file = StoredFile(slack.next_id("F"), name, int(length), secrets.token_hex(16))
    slack.files[file.id] = file
    return {"upload_url": f"{slack.base_url}/upload/v1/{file.token}", "file_id": file.id}


def put_bytes(slack: Workspace, token: str, content: bytes) -> bool:
    """Take the bytes of a file, once and in the length that was said; say whether they were taken."""
    file = next((one for one in slack.files.values() if one.token == token), None)
    if file is None or file.content is not None or len(content) != file.length:
        return False
    file.content = content
    return True


@method("files.completeUploadExternal")
def complete_upload(slack: Workspace, args: Json) -> Json:
    files = _named(slack, args.get("files"))
    if args.get("channel_id"):
        channel = slack.channel(need(args, "channel_id"))
        if channel.is_archived:
            raise SlackError("is_archived")
        if not channel.bot_is_member:
            raise SlackError("not_in_channel")
        message = Message(
            channel.id,
            slack.next_ts(),
            slack.bot_user_id,
            str(args.get("initial_comment") or ""),
            bot_id=slack.bot_id,
            app_id=slack.app_id,
            team=slack.team_id,
            files=files,
        )
        if thread_ts := args.get("thread_ts"):
            parent = slack.message(channel, str(thread_ts))
            message.thread_ts = parent.thread_ts = parent.thread_ts or parent.ts
        channel.messages.append(message)
    for file in files:
        file.is_shared = True
    return {"files": [{"id": file.id, "title": file.title} for file in files]}


def _named(slack: Workspace, named: Any) -> list[StoredFile]:
    try:
        wanted = json.loads(named) if isinstance(named, str) else named
    except ValueError:
        wanted = None
    if not isinstance(wanted, list) or not wanted:
        raise SlackError("invalid_arguments", "missing required field: files")
    found = []
    for one in wanted:
        file = slack.files.get(str(one.get("id"))) if isinstance(one, dict) else None
        if file is None or file.content is None or file.is_shared:
            raise SlackError("file_not_found")
        file.title = str(one.get("title") or file.name)
        found.append(file)
    return found
