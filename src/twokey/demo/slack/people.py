"""What people do in Slack, whichever way the app is reached."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from typing import Any, ParamSpec, Protocol, TypeVar

from . import elements, payloads
from .delivery import Delivery, Transport
from .methods.views import view_json
from .model import Channel, Json, Member, Message, SlackError, View, Workspace
from .responses import acknowledge_command, acknowledge_submission, drop_view

P = ParamSpec("P")
T = TypeVar("T")


class Workplace(Protocol):
    """What a person's acts need of the fake Slack that they act in."""

    state: Workspace
    deliveries: list[Delivery]
    transport: Transport

    @property
    def bot_user_id(self) -> str: ...

    def channel(self, name: Channel | str) -> Channel: ...

    def locked(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T: ...


SPECIAL = re.compile(r"<[@#!][^<>]*>|<(?:https?|mailto):[^<>]*>")
MENTION = re.compile(r"(?<![\w@])@([\w.\-]+)")
PLACE = re.compile(r"(?<![\w#])#([\w\-]+)")


class Person:
    """One account and its acts; `member` holds what Slack knows of it and may be changed."""

    def __init__(self, slack: Workplace, member: Member) -> None:
        self._slack = slack
        self.member = member

    def __repr__(self) -> str:
        return f"<Person {self.id} {self.name}>"

    @property
    def id(self) -> str:
        """Return the user id."""
        return self.member.id

    @property
    def name(self) -> str:
        """Return the user name."""
        return self.member.name

    def command(self, name: str, text: str, channel: Channel | str) -> Delivery:
        """Type a slash command."""
        state = self._slack.state
        place = self._enter(channel)
        payload = payloads.command(state, self.member, name, self._encode(text, labels=True), place)
        delivery = self._delivery("slash_commands", payload)
        delivery.after_ack = lambda ack: acknowledge_command(state, place.id, self.id, ack)
        return delivery.send()

    def mention(self, channel: Channel | str, text: str, thread_ts: str | None = None) -> Delivery:
        """Write to the bot, with `@twokey` in front unless the text holds it already."""
        bot = f"<@{self._slack.bot_user_id}>"
        text = self._encode(text)
        return self._write("app_mention", channel, text if bot in text else f"{bot} {text}", thread_ts)

    def say(self, channel: Channel | str, text: str, thread_ts: str | None = None) -> Delivery:
        """Write an ordinary message."""
        return self._write("message", channel, self._encode(text), thread_ts)

    def post(self, channel: Channel | str, text: str, thread_ts: str | None = None) -> Message:
        """Write a message the app is not told about."""
        return self._keep(self._enter(channel), self._encode(text), thread_ts)

    def react(self, message: Message, emoji: str) -> Delivery:
        """Put an emoji on a message."""
        message.reactions.setdefault(emoji, []).append(self.id)
        body = payloads.reacted(self._slack.state, self.member, message, emoji)
        return self._event(body, self._slack.state.channels[message.channel])

    def open_home(self) -> Delivery:
        """Look at the app's home tab."""
        state = self._slack.state
        body: Json = {
            "type": "app_home_opened",
            "user": self.id,
            "tab": "home",
            "event_ts": state.next_ts(),
        }
        body["channel"] = state.direct(self.id).id
        if self.id in state.homes:
            body["view"] = view_json(state, state.homes[self.id])
        return self._event(body, None)

    def click(
        self,
        target: Message | View,
        action_id: str,
        value: Any = None,
        block_id: str | None = None,
        *,
        blocks: list[Json] | None = None,
        force: bool = False,
    ) -> Delivery:
        """Press a button or choose in a menu; `blocks` are old ones whose button is pressed all the same."""
        if not force and blocks is None:
            self._must_see(target)
        place, element, choice = elements.find(blocks or target.blocks, action_id, value, block_id)
        state = self._slack.state
        entry = payloads.action(state, element, place, choice)
        values = elements.state_of(target.blocks)
        if choice is not None and place in values and action_id in values[place]:
            values[place][action_id] = {"type": element["type"], **choice}
        if isinstance(target, View):
            target.inputs.setdefault(place, {}).update(values.get(place, {}))
            payload = payloads.view_click(state, self.member, target, entry, values | target.inputs)
        else:
            channel = state.channels[target.channel]
            payload = payloads.message_click(state, self.member, channel, target, entry, values)
        return self._delivery("interactive", payload).send()

    def submit(self, view: View, values: dict[str, Any] | None = None, *, force: bool = False) -> Delivery:
        """Fill in a modal and send it; `force` sends what Slack's own client would hold back."""
        state = self._slack.state
        filled = elements.fill(view.blocks, values or {})
        if not force:
            self._must_see(view)
            if "submit" not in view.body:
                raise AssertionError(f"the modal {view.title!r} has no submit button")
            faults = elements.unfinished(view.blocks, filled)
            if faults:
                raise AssertionError(f"Slack would not send this: {faults}")
        view.inputs = filled
        payload = payloads.submission(state, self.member, view, filled)
        delivery = self._delivery("interactive", payload)
        delivery.after_ack = lambda ack: self._slack.locked(acknowledge_submission, state, view, ack)
        return delivery.send()

    def close(self, view: View, *, clear: bool = False) -> Delivery | None:
        """Close a modal (`clear`: all of them); the app hears of it when it asked to."""
        state = self._slack.state
        payload = payloads.closed(state, self.member, view, clear)
        open_views = list(state.stacks.get(self.id, [])) if clear else [view.id]
        for view_id in open_views:
            self._slack.locked(drop_view, state, state.views[view_id])
        if not view.body.get("notify_on_close"):
            return None
        return self._delivery("interactive", payload).send()

    def message_shortcut(self, callback_id: str, message: Message) -> Delivery:
        """Choose a shortcut in a message's menu."""
        self._must_see(message)
        state = self._slack.state
        channel = state.channels[message.channel]
        payload = payloads.message_shortcut(state, self.member, callback_id, channel, message)
        return self._delivery("interactive", payload).send()

    def shortcut(self, callback_id: str) -> Delivery:
        """Choose a global shortcut."""
        payload = payloads.global_shortcut(self._slack.state, self.member, callback_id)
        return self._delivery("interactive", payload).send()

    def _write(self, kind: str, channel: Channel | str, text: str, thread_ts: str | None) -> Delivery:
        place = self._enter(channel)
        message = self._keep(place, text, thread_ts)
        return self._event(payloads.message_event(kind, self.member, place, message), place)

    def _keep(self, channel: Channel, text: str, thread_ts: str | None) -> Message:
        state = self._slack.state
        message = Message(
            channel.id,
            state.next_ts(),
            self.id,
            text,
            thread_ts=thread_ts,
            team=self.member.team_id,
        )
        with state.lock:
            channel.messages.append(message)
        return message

    def _event(self, body: Json, channel: Channel | None) -> Delivery:
        return self._delivery("events_api", payloads.event(self._slack.state, body, channel)).send()

    def _delivery(self, kind: str, payload: Json) -> Delivery:
        delivery = Delivery(kind, payload, secrets.token_hex(16), self._slack.transport)
        self._slack.deliveries.append(delivery)
        return delivery

    def _enter(self, channel: Channel | str) -> Channel:
        if isinstance(channel, str):
            channel = self._slack.channel(channel)
        if not channel.holds(self.id):
            raise AssertionError(f"{self.name} is not in #{channel.name}")
        return channel

    def _must_see(self, target: Message | View) -> None:
        if isinstance(target, View):
            if target.user != self.id or (not target.is_open and target.body["type"] == "modal"):
                raise AssertionError(f"{self.name} does not have the modal {target.title!r} open")
            return
        if target.deleted or target.ephemeral_to not in (None, self.id):
            raise AssertionError(f"{self.name} does not see this message")
        self._enter(target.channel)

    def _encode(self, text: str, *, labels: bool = False) -> str:
        """Write text as Slack's client sends it: &, <, > escaped, @names and #channels as ids."""
        state = self._slack.state
        accounts = {member.name: member.id for member in state.members.values()}
        channels = {channel.name: channel.id for channel in state.channels.values()}

        def linked(match: re.Match[str], ids: dict[str, str], sign: str) -> str:
            target = ids.get(match[1])
            if target is None:
                return match[0]
            return f"<{sign}{target}|{match[1]}>" if labels else f"<{sign}{target}>"

        parts: list[str] = []
        end = 0
        for special in [*SPECIAL.finditer(text), None]:
            plain = text[end : special.start() if special else None]
            plain = plain.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
            plain = MENTION.sub(lambda match: linked(match, accounts, "@"), plain)
            parts.append(PLACE.sub(lambda match: linked(match, channels, "#"), plain))
            if special:
                parts.append(special[0])
                end = special.end()
        return "".join(parts)


def seen_channel(slack: Workplace, name: Channel | str) -> Channel:
    """Find a channel, also a private one the bot is not in."""
    if isinstance(name, Channel):
        return name
    state = slack.state
    if name in state.channels:
        return state.channels[name]
    wanted = name.removeprefix("#")
    for channel in state.channels.values():
        if channel.name == wanted and not channel.is_im:
            return channel
    raise SlackError("channel_not_found")
