"""Who interacted: Slack is asked about the account and the channel, now. No answer means: unknown."""

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

from twokey.chat.slack.payloads import Interaction
from twokey.core.people import ChatAccount, ChatIdentity
from twokey.core.texts import LANGUAGES

log = logging.getLogger("twokey.slack")

REMEMBERED_S = 3.0  # for looking; nobody approves on what is remembered
_MOST = 1000


@dataclass(frozen=True, slots=True)
class Identified:
    """What Slack answered about an interaction's account and channel."""

    identity: ChatIdentity
    language: str = ""
    unanswered: str = ""  # why Slack did not answer


class Identities:
    """Turns Slack accounts into identities; what they may do is decided elsewhere."""

    def __init__(
        self, client: AsyncWebClient, team: str, *, enterprise: str = "", timeout_s: float = 2.0
    ) -> None:
        self._client = client
        self._team = team
        self._enterprise = enterprise
        self._timeout = timeout_s
        self._remembered: dict[tuple[str, str], tuple[float, Mapping[str, Any]]] = {}

    async def identify(self, interaction: Interaction, *, fresh: bool = False) -> Identified:
        """Ask who interacted and where. `fresh`: nothing remembered counts, as for an approval."""
        about_user = self._info("user", interaction.user, fresh)
        about_channel = self._info("channel", interaction.channel, fresh)
        try:
            user, channel = await asyncio.wait_for(asyncio.gather(about_user, about_channel), self._timeout)
        except (SlackClientError, aiohttp.ClientError, TimeoutError, OSError) as error:
            response: Any = getattr(error, "response", None)
            reason = str(response.get("error") if hasattr(response, "get") else "") or type(error).__name__
            log.warning(
                "Slack did not say who %s in %s is: %s", interaction.user, interaction.channel, reason
            )
            return self.unknown(interaction, reason)
        language = str(user.get("locale") or "").partition("-")[0].lower()
        identity = self._identity(interaction, user, channel)
        return Identified(identity, language if language in LANGUAGES else "")

    def unknown(self, interaction: Interaction, reason: str = "") -> Identified:
        """Return what is known when Slack does not answer: nobody."""
        account = ChatAccount(interaction.team, interaction.user)
        identity = ChatIdentity(account, channel=interaction.channel, exists=False)
        return Identified(identity, unanswered=reason)

    def _identity(
        self, interaction: Interaction, user: Mapping[str, Any], channel: Mapping[str, Any]
    ) -> ChatIdentity:
        """Judge what Slack answered: whose account it is, of which kind, and who else reads the channel."""
        home = str(user.get("team_id") or "")
        grid = str((user.get("enterprise_user") or {}).get("enterprise_id") or "")
        ours = home == self._team or bool(self._enterprise and grid == self._enterprise)
        is_bot = bool(user.get("is_bot")) or bool(user.get("is_workflow_bot"))
        return ChatIdentity(
            account=ChatAccount(home or interaction.team, interaction.user),
            workspace=interaction.workspace,
            enterprise=grid or interaction.enterprise,
            channel=interaction.channel,
            exists=user.get("id") == interaction.user and bool(home),
            is_bot=is_bot or interaction.user == "USLACKBOT",
            is_guest=any(
                user.get(name) for name in ("is_restricted", "is_ultra_restricted", "is_invited_user")
            ),
            is_deactivated=bool(user.get("deleted")),
            is_foreign=not ours or interaction.workspace != self._team or bool(user.get("is_stranger")),
            channel_is_shared=any(channel.get(name) for name in ("is_ext_shared", "is_pending_ext_shared")),
        )

    async def _info(self, kind: str, id: str, fresh: bool) -> Mapping[str, Any]:
        """Return what Slack says about a user or a channel, asked at most every few seconds."""
        if kind == "channel" and (not id or id.startswith("D")):
            return {}  # a direct message has no third party: who the other one is, is asked as well
        until, known = self._remembered.get((kind, id), (0.0, {}))
        if not fresh and time.monotonic() < until:
            return known
        if kind == "user":
            answer = await self._client.users_info(user=id, include_locale=True)
        else:
            answer = await self._client.conversations_info(channel=id)
        info: Mapping[str, Any] = answer.get(kind) or {}
        if len(self._remembered) >= _MOST:
            self._remembered.clear()
        self._remembered[kind, id] = (time.monotonic() + REMEMBERED_S, info)
        return info
