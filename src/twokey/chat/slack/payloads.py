"""Interactions: what a person did in Slack, read from any of its payloads."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Body = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Interaction:
    """One interaction of one account. `key` is what a repeat of the same interaction has in common with it."""

    key: str
    what: str  # action id, callback id, command or event
    user: str
    team: str  # the account's own workspace, which may be another than ours
    workspace: str
    enterprise: str = ""
    channel: str = ""
    value: str = ""  # of the button or menu
    text: str = ""  # of a command or mention
    message_ts: str = ""
    thread_ts: str = ""
    trigger_id: str = ""
    response_url: str = field(default="", repr=False)
    view_id: str = ""
    is_ephemeral: bool = False  # pressed in a message that only this person sees
    block_id: str = ""  # which row of buttons
    blocks: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)  # of the message, as it was pressed
    metadata: Mapping[str, str] = field(default_factory=dict)  # what we put into the view


def of_action(body: Body) -> Interaction:
    """Read a press of a button or a choice in a menu."""
    action = body["actions"][0]
    container = body.get("container") or {}
    view = body.get("view") or {}
    metadata = read_metadata(view)
    channel = str(
        (body.get("channel") or {}).get("id") or container.get("channel_id") or metadata.get("channel", "")
    )
    ts = str(container.get("message_ts") or "")
    chosen = action.get("selected_option") or {}
    where = f"{channel}:{ts}" if ts else str(view.get("id", ""))
    return Interaction(
        key=f"action:{where}:{action.get('action_ts', '')}",
        what=str(action.get("action_id", "")),
        channel=channel,
        value=str(chosen.get("value") or action.get("value") or ""),
        message_ts=ts,
        thread_ts=str(container.get("thread_ts") or (body.get("message") or {}).get("thread_ts") or ""),
        trigger_id=str(body.get("trigger_id", "")),
        response_url=str(body.get("response_url") or ""),
        view_id=str(view.get("id", "")),
        is_ephemeral=bool(container.get("is_ephemeral")),
        block_id=str(action.get("block_id", "")),
        blocks=tuple((body.get("message") or {}).get("blocks") or ()),
        metadata=metadata,
        **_account(body),
    )


def of_submission(body: Body) -> Interaction:
    """Read a modal that was sent. The view id and hash stay the same after an error was shown in it:
    the trigger id tells a second try from a second delivery."""
    view = body["view"]
    metadata = read_metadata(view)
    return Interaction(
        key=f"view:{view.get('id')}:{view.get('hash')}:{body.get('trigger_id', '')}",
        what=str(view.get("callback_id", "")),
        channel=metadata.get("channel", ""),
        trigger_id=str(body.get("trigger_id", "")),
        view_id=str(view.get("id", "")),
        metadata=metadata,
        **_account(body),
    )


def of_command(body: Body) -> Interaction:
    """Read a slash command."""
    return Interaction(
        key=f"command:{body.get('trigger_id', '')}",
        what=str(body.get("command", "")),
        user=str(body.get("user_id", "")),
        team=str(body.get("team_id", "")),
        workspace=str(body.get("team_id", "")),
        enterprise=str(body.get("enterprise_id") or ""),
        channel=str(body.get("channel_id", "")),
        text=str(body.get("text") or ""),
        trigger_id=str(body.get("trigger_id", "")),
        response_url=str(body.get("response_url") or ""),
    )


def of_mention(body: Body) -> Interaction:
    """Read a message that names the bot."""
    event = body["event"]
    return Interaction(
        key=f"event:{body.get('event_id', '')}",
        what=str(event.get("type", "")),
        user=str(event.get("user") or ""),
        team=str(event.get("user_team") or event.get("team") or body.get("team_id") or ""),
        workspace=str(body.get("team_id", "")),
        enterprise=str(body.get("enterprise_id") or ""),
        channel=str(event.get("channel", "")),
        text=str(event.get("text") or ""),
        message_ts=str(event.get("ts", "")),
        thread_ts=str(event.get("thread_ts") or ""),
    )


def inputs_of(body: Body) -> dict[str, str]:
    """Return what was filled in, by block id: text, or the chosen value."""
    values: Mapping[str, Any] = (body["view"].get("state") or {}).get("values") or {}
    return {block: _content(state) for block, states in values.items() for state in states.values()}


def read_metadata(view: Mapping[str, Any]) -> dict[str, str]:
    """Return what we wrote into the view's private metadata; it came back signed by Slack."""
    try:
        metadata = json.loads(view.get("private_metadata") or "{}")
    except ValueError:
        return {}
    if not isinstance(metadata, dict):
        return {}
    return {str(name): str(value) for name, value in metadata.items()}


def private_metadata(**ids: str) -> str:
    """Write what a view must bring back: ids only."""
    return json.dumps({name: value for name, value in ids.items() if value}, separators=(",", ":"))


def _account(body: Body) -> dict[str, Any]:
    user = body.get("user") or {}
    workspace = str((body.get("team") or {}).get("id") or "")
    return {
        "user": str(user.get("id", "")),
        "team": str(user.get("team_id") or workspace),
        "workspace": workspace or str(user.get("team_id") or ""),
        "enterprise": str((body.get("enterprise") or {}).get("id") or ""),
    }


def _content(state: Mapping[str, Any]) -> str:
    """Return what an input holds, whichever of Slack's elements it is."""
    if "selected_option" in state:
        return str((state["selected_option"] or {}).get("value", ""))
    if "selected_options" in state:
        return ",".join(str(option.get("value", "")) for option in state["selected_options"] or [])
    return str(state.get("value") or state.get("selected_user") or "")
