"""Who acted: Slack is asked about the account and the channel, now. No answer means: unknown."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
from slack_sdk.errors import SlackClientError
from slack_sdk.web.async_client import AsyncWebClient

from twokey.chat.slack.payloads import Act
from twokey.core.people import ChatAccount, ChatIdentity
from twokey.words import LANGUAGES

log = logging.getLogger("twokey.slack")

REMEMBERED_S = 3.0  # for looking; a key is never turned on what is remembered
_MOST = 1000


@dataclass(frozen=True, slots=True)
class Seen:
    """What Slack said about an act's account and channel."""

    identity: ChatIdentity
    language: str = ""
    unanswered: str = ""  # why Slack did not say


class People:
    """Turns Slack accounts into identities; what they may do is decided elsewhere."""

    def __init__(
        self, client: AsyncWebClient, team: str, *, enterprise: str = "", timeout_s: float = 2.0
    ) -> None:
        self._client = client
        self._team = team
        self._enterprise = enterprise
        self._timeout = timeout_s
        self._remembered: dict[tuple[str, str], tuple[float, Mapping[str, Any]]] = {}

    async def see(self, act: Act, *, fresh: bool = False) -> Seen:
        """Ask who acted and where. `fresh`: nothing remembered counts, as for a key."""
        try:
            user, channel = await asyncio.wait_for(
                asyncio.gather(self._user(act.user, fresh), self._channel(act.channel, fresh)), self._timeout
            )
        except (SlackClientError, aiohttp.ClientError, TimeoutError, OSError) as error:
            log.warning("Slack did not say who %s in %s is: %s", act.user, act.channel, _reason(error))
            return self.unknown(act, _reason(error))
        return Seen(self._identity(act, user, channel), _language(user))

    def unknown(self, act: Act, reason: str = "") -> Seen:
        """Return what we know when Slack says nothing: nobody."""
        account = ChatAccount(act.team, act.user)
        return Seen(ChatIdentity(account, channel=act.channel, exists=False), unanswered=reason)

    def _identity(self, act: Act, user: Mapping[str, Any], channel: Mapping[str, Any]) -> ChatIdentity:
        home = str(user.get("team_id") or "")
        grid = str((user.get("enterprise_user") or {}).get("enterprise_id") or "")
        ours = home == self._team or bool(self._enterprise and grid == self._enterprise)
        return ChatIdentity(
            account=ChatAccount(home or act.team, act.user),
            workspace=act.workspace,
            enterprise=grid or act.enterprise,
            channel=act.channel,
            exists=user.get("id") == act.user and bool(home),
            is_bot=bool(user.get("is_bot")) or bool(user.get("is_workflow_bot")) or act.user == "USLACKBOT",
            is_guest=any(
                user.get(name) for name in ("is_restricted", "is_ultra_restricted", "is_invited_user")
            ),
            is_deactivated=bool(user.get("deleted")),
            is_foreign=not ours or act.workspace != self._team or bool(user.get("is_stranger")),
            channel_is_shared=any(channel.get(name) for name in ("is_ext_shared", "is_pending_ext_shared")),
        )

    async def _user(self, user: str, fresh: bool) -> Mapping[str, Any]:
        known = None if fresh else self._recall("user", user)
        if known is not None:
            return known
        answer = await self._client.users_info(user=user, include_locale=True)
        return self._remember("user", user, answer.get("user") or {})

    async def _channel(self, channel: str, fresh: bool) -> Mapping[str, Any]:
        if not channel or channel.startswith("D"):
            return {}  # a direct message has no third party: who the other one is, is asked above
        known = None if fresh else self._recall("channel", channel)
        if known is not None:
            return known
        answer = await self._client.conversations_info(channel=channel)
        return self._remember("channel", channel, answer.get("channel") or {})

    def _recall(self, kind: str, id: str) -> Mapping[str, Any] | None:
        until, known = self._remembered.get((kind, id), (0.0, {}))
        return known if time.monotonic() < until else None

    def _remember(self, kind: str, id: str, said: Mapping[str, Any]) -> Mapping[str, Any]:
        if len(self._remembered) >= _MOST:
            self._remembered.clear()
        self._remembered[kind, id] = (time.monotonic() + REMEMBERED_S, said)
        return said


def _language(user: Mapping[str, Any]) -> str:
    language = str(user.get("locale") or "").partition("-")[0].lower()
    return language if language in LANGUAGES else ""


def _reason(error: BaseException) -> str:
    response: Any = getattr(error, "response", None)
    return str(response.get("error") if hasattr(response, "get") else "") or type(error).__name__
