"""The app's manifest, made from the code: what the listeners answer to is what Slack is told."""

from __future__ import annotations

import re
from typing import Any

from twokey.core.errors import Invalid

SCOPES = (
    "app_mentions:read",
    "channels:read",
    "chat:write",
    "commands",
    "files:write",
    "groups:read",
    "users:read",
)
EVENTS = ("app_mention",)
# Slack's own commands: https://slack.com/help/articles/201259356
BUILT_IN = frozenset(
    [
        "/active",
        "/add",
        "/apps",
        "/archive",
        "/away",
        "/call",
        "/collapse",
        "/dm",
        "/dnd",
        "/expand",
        "/feed",
        "/feedback",
        "/genie",
        "/help",
        "/huddle",
        "/invite",
        "/invite_people",
        "/join",
        "/kick",
        "/leave",
        "/me",
        "/mention",
        "/msg",
        "/mute",
        "/open",
        "/part",
        "/people",
        "/poll",
        "/prefs",
        "/purge",
        "/remind",
        "/remove",
        "/rename",
        "/search",
        "/shortcuts",
        "/shrug",
        "/star",
        "/status",
        "/topic",
        "/trigger",
        "/unarchive",
        "/who",
    ]
)
_COMMAND = re.compile(r"/[a-z0-9_\-]{1,31}")


def checked_command(name: str) -> str:
    """Return the command's name, or refuse one that Slack keeps for itself or would not take."""
    if name in BUILT_IN:
        raise Invalid("slack.command_built_in", command=name)
    if not _COMMAND.fullmatch(name):
        raise Invalid("slack.command_name", command=name[:80])
    return name


def manifest(command: str = "/twokey", *, http: str = "", name: str = "twokey") -> dict[str, Any]:
    """Return the manifest: Socket Mode, or signed HTTP at the address of our Slack door."""
    slash: dict[str, Any] = {
        "command": checked_command(command),
        "description": "Incidents: whose side is it on, and two people before anything is contained",
        "usage_hint": "list | show INC-12 | contain INC-12 | pending | help",
        "should_escape": True,
    }
    interactivity: dict[str, Any] = {"is_enabled": True}
    events: dict[str, Any] = {"bot_events": list(EVENTS)}
    if http:
        if not http.startswith("https://"):
            raise Invalid("slack.http_address", address=http[:200])
        slash["url"] = interactivity["request_url"] = events["request_url"] = http
    return {
        "display_information": {
            "name": name,
            "description": "Whose side is it on, and two people before anything is contained",
            "background_color": "#1d3557",
        },
        "features": {
            "app_home": {
                "home_tab_enabled": False,
                "messages_tab_enabled": True,
                "messages_tab_read_only_enabled": True,
            },
            "bot_user": {"display_name": name, "always_online": True},
            "slash_commands": [slash],
        },
        "oauth_config": {"scopes": {"bot": list(SCOPES)}},
        "settings": {
            "event_subscriptions": events,
            "interactivity": interactivity,
            "org_deploy_enabled": False,
            "socket_mode_enabled": not http,
            "token_rotation_enabled": False,
        },
    }
