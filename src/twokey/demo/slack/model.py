"""What a workspace holds: people, channels, messages, modals, and the calls that reached it."""

from __future__ import annotations

import secrets
import threading
import time
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]


class SlackError(Exception):
    """The Web API refuses: its error code, and what it adds to it."""

    def __init__(self, code: str, *messages: str) -> None:
        super().__init__(code)
        self.code = code
        self.messages = messages


@dataclass
class Member:
    """One Slack account."""

    id: str
    name: str
    real_name: str
    team_id: str
    email: str
    is_bot: bool = False
    deleted: bool = False
    is_restricted: bool = False
    is_ultra_restricted: bool = False
    is_stranger: bool = False
    is_admin: bool = False
    locale: str = "en-US"
    tz: str = "Etc/UTC"
    tz_offset: int = 0

    def to_json(self, *, include_locale: bool = False) -> Json:
        """Return the user object of `users.info`."""
        user: Json = {
            "id": self.id,
            "team_id": self.team_id,
            "name": self.name,
            "deleted": self.deleted,
            "real_name": self.real_name,
            "profile": {
                "real_name": self.real_name,
                "real_name_normalized": self.real_name,
                "display_name": self.name,
                "display_name_normalized": self.name,
                "email": self.email,
                "team": self.team_id,
            },
            "is_bot": self.is_bot,
            "is_app_user": False,
            "updated": 1732224000,
        }
        if self.deleted:  # Slack leaves the rest out for a deactivated account
            return user
        user |= {
            "tz": self.tz,
            "tz_label": self.tz,
            "tz_offset": self.tz_offset,
            "is_admin": self.is_admin,
            "is_owner": False,
            "is_primary_owner": False,
            "is_restricted": self.is_restricted,
            "is_ultra_restricted": self.is_ultra_restricted,
        }
        if self.is_stranger:
            user["is_stranger"] = True
        if include_locale:
            user["locale"] = self.locale
        return user


@dataclass
class Channel:
    """A conversation: public, private, shared with another company, or direct."""

    id: str
    name: str
    is_private: bool = False
    is_shared: bool = False
    is_ext_shared: bool = False
    is_archived: bool = False
    is_im: bool = False
    topic: str = ""
    bot_is_member: bool = True
    members: set[str] | None = None  # None: everybody
    messages: list[Message] = field(default_factory=list)

    def holds(self, user_id: str) -> bool:
        """Say whether this person is in the channel."""
        return self.members is None or user_id in self.members

    def to_json(self) -> Json:
        """Return the channel object of `conversations.info`."""
        if self.is_im:
            other = next(iter(self.members or {""}))
            return {
                "id": self.id,
                "is_im": True,
                "user": other,
                "is_archived": False,
                "created": 1732224000,
            }
        return {
            "id": self.id,
            "name": self.name,
            "name_normalized": self.name,
            "is_channel": not self.is_private,
            "is_group": self.is_private,
            "is_im": False,
            "is_mpim": False,
            "is_private": self.is_private,
            "is_archived": self.is_archived,
            "is_general": False,
            "is_shared": self.is_shared or self.is_ext_shared,
            "is_ext_shared": self.is_ext_shared,
            "is_org_shared": False,
            "is_pending_ext_shared": False,
            "is_member": self.bot_is_member,
            "created": 1732224000,
            "topic": {"value": self.topic, "creator": "", "last_set": 0},
            "purpose": {"value": "", "creator": "", "last_set": 0},
        }


@dataclass
class StoredFile:
    """A file that was announced, put, and then shared: each once."""

    id: str
    name: str
    length: int
    token: str
    title: str = ""
    content: bytes | None = None
    is_shared: bool = False


@dataclass
class Message:
    """One message as it stands now; `edits` keeps how it stood before."""

    channel: str
    ts: str
    user: str
    text: str = ""
    blocks: list[Json] = field(default_factory=list)
    attachments: list[Json] = field(default_factory=list)
    thread_ts: str | None = None
    broadcast: bool = False
    metadata: Json | None = None
    bot_id: str | None = None
    app_id: str | None = None
    team: str = ""
    ephemeral_to: str | None = None
    edits: list[Json] = field(default_factory=list)
    edited_ts: str | None = None
    deleted: bool = False
    reactions: dict[str, list[str]] = field(default_factory=dict)
    link_names: bool = False
    files: list[StoredFile] = field(default_factory=list)

    @property
    def is_reply(self) -> bool:
        """Say whether it hangs in a thread."""
        return self.thread_ts is not None and self.thread_ts != self.ts

    @property
    def is_ephemeral(self) -> bool:
        """Say whether only one person sees it."""
        return self.ephemeral_to is not None

    def content(self) -> Json:
        """Return what an edit replaces."""
        return {
            "text": self.text,
            "blocks": self.blocks,
            "attachments": self.attachments,
            "metadata": self.metadata,
        }

    def to_json(self, *, metadata: bool = False) -> Json:
        """Return the message object of history, events and interaction payloads."""
        message: Json = {
            "type": "message",
            "user": self.user,
            "ts": self.ts,
            "text": self.text,
        }
        optional = {
            "team": self.team,
            "bot_id": self.bot_id,
            "app_id": self.app_id,
            "blocks": self.blocks,
            "attachments": self.attachments,
            "thread_ts": self.thread_ts,
            "metadata": self.metadata if metadata else None,
            "files": [{"id": file.id, "name": file.name, "title": file.title} for file in self.files],
        }
        message |= {name: value for name, value in optional.items() if value}
        if self.edited_ts:
            message["edited"] = {"user": self.user, "ts": self.edited_ts}
        if self.reactions:
            message["reactions"] = [
                {"name": name, "users": users, "count": len(users)} for name, users in self.reactions.items()
            ]
        return message


@dataclass
class View:
    """A modal (or home tab) as one person sees it."""

    id: str
    user: str
    body: Json
    hash: str
    root_id: str
    previous_id: str | None = None
    is_open: bool = True
    errors: dict[str, str] = field(default_factory=dict)
    history: list[Json] = field(default_factory=list)
    inputs: dict[str, dict[str, Json]] = field(default_factory=dict)

    @property
    def blocks(self) -> list[Json]:
        """Return its blocks."""
        blocks: list[Json] = self.body.get("blocks", [])
        return blocks

    @property
    def callback_id(self) -> str:
        """Return the name the app gave it."""
        return str(self.body.get("callback_id", ""))

    @property
    def private_metadata(self) -> str:
        """Return what the app hid in it."""
        return str(self.body.get("private_metadata", ""))

    @property
    def title(self) -> str:
        """Return its title."""
        return str(self.body.get("title", {}).get("text", ""))


@dataclass(frozen=True)
class Call:
    """One request that reached the Web API, and how it was answered."""

    at: float
    method: str
    args: Json
    status: int
    error: str | None
    answer: Json
    retry_after: int = 0  # what a 429 asked for

    @property
    def ok(self) -> bool:
        """Say whether Slack did it and said so."""
        return self.status == 200 and self.error is None


@dataclass
class Trigger:
    """A short-lived right to open a modal."""

    user: str
    born: float
    used: bool = False
    view_id: str | None = None


@dataclass
class ResponseUrl:
    """A right to answer one interaction: five times, within half an hour."""

    channel: str
    user: str
    born: float
    message: Message | None = None
    left: int = 5


class Workspace:
    """Everything the fake remembers, behind one lock."""

    team_id = "T0FAKE0001"
    team_domain = "fake-team"
    app_id = "A0FAKE0001"
    bot_id = "B0FAKE0001"
    bot_user_id = "U0FAKEBOT1"
    bot_name = "twokey"

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.members: dict[str, Member] = {}
        self.channels: dict[str, Channel] = {}
        self.groups: dict[str, tuple[str, list[str]]] = {}
        self.ephemerals: list[Message] = []
        self.files: dict[str, StoredFile] = {}
        self.views: dict[str, View] = {}
        self.stacks: dict[str, list[str]] = {}
        self.homes: dict[str, View] = {}
        self.triggers: dict[str, Trigger] = {}
        self.response_urls: dict[str, ResponseUrl] = {}
        self.calls: list[Call] = []
        self.base_url = ""
        self.trigger_seconds = 3.0
        self._last_ts = 0
        self._serial = 0

    def next_ts(self) -> str:
        """Return a timestamp later than every one before it."""
        with self.lock:
            self._last_ts = max(self._last_ts + 100, time.time_ns() // 100_000 * 100)
            return f"{self._last_ts // 1_000_000}.{self._last_ts % 1_000_000:06d}"

    def next_id(self, prefix: str) -> str:
        """Return a fresh id such as `C00000012X`."""
        with self.lock:
            self._serial += 1
            return f"{prefix}{self._serial:07d}FK"

    def new_trigger(self, user: str, view_id: str | None = None) -> str:
        """Return a trigger id for this person, good for one modal."""
        trigger_id = f"{time.time_ns() // 1000}.{self._serial}.{secrets.token_hex(16)}"
        with self.lock:
            self.triggers[trigger_id] = Trigger(user, time.monotonic(), view_id=view_id)
        return trigger_id

    def new_response_url(self, channel: str, user: str, message: Message | None = None) -> str:
        """Return an address where the app may answer this interaction."""
        token = secrets.token_hex(12)
        with self.lock:
            self.response_urls[token] = ResponseUrl(channel, user, time.monotonic(), message)
        return f"{self.base_url}/actions/{self.team_id}/{token}"

    def use_trigger(self, trigger_id: str) -> Trigger:
        """Spend a trigger id, or refuse as Slack does."""
        trigger = self.triggers.get(trigger_id)
        if trigger is None:
            raise SlackError("invalid_trigger_id")
        if trigger.used:
            raise SlackError("exchanged_trigger_id")
        if time.monotonic() - trigger.born > self.trigger_seconds:
            raise SlackError("expired_trigger_id")
        trigger.used = True
        return trigger

    def channel(self, name: str) -> Channel:
        """Find a channel by id or name, or a direct message by the person's id."""
        channel = self.channels.get(name)
        if channel is None:
            wanted = name.removeprefix("#")
            channel = next(
                (c for c in self.channels.values() if c.name == wanted and not c.is_im),
                None,
            )
        if channel is None and name in self.members:
            channel = self.direct(name)
        if channel is None or (channel.is_private and not channel.bot_is_member):
            raise SlackError("channel_not_found")
        return channel

    def direct(self, user_id: str) -> Channel:
        """Open the direct conversation with this person."""
        for channel in self.channels.values():
            if channel.is_im and channel.members == {user_id}:
                return channel
        channel = Channel(self.next_id("D"), "directmessage", is_im=True, members={user_id})
        self.channels[channel.id] = channel
        return channel

    def message(self, channel: Channel, ts: str) -> Message:
        """Find one message that still stands."""
        for message in channel.messages:
            if message.ts == ts and not message.deleted:
                return message
        raise SlackError("message_not_found")

    def names(self) -> dict[str, str]:
        """Return what people see in place of an id."""
        with self.lock:
            names = {m.id: m.name for m in self.members.values()}
            names |= {c.id: c.name for c in self.channels.values()}
            names |= {group_id: handle for group_id, (handle, _) in self.groups.items()}
        return names

    def top_view(self, user_id: str) -> View | None:
        """Return the modal this person is looking at."""
        stack = self.stacks.get(user_id)
        return self.views[stack[-1]] if stack else None
