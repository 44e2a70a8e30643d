"""Slack's Web API for the sender: one call per post, and what an error of Slack's means for the next try."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import aiohttp
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web.async_client import AsyncWebClient

from twokey.chat.delivery.port import Call, CallOutcome
from twokey.chat.slack.options import SlackOptions
from twokey.chat.slack.views.render import MessageRenderer, Post
from twokey.core.notices import Notice

log = logging.getLogger("twokey.slack")

# The channel is gone or closed: another one may do.
CHANNEL_ERRORS = frozenset(
    {"channel_not_found", "is_archived", "not_in_channel", "channel_is_archived", "restricted_action"}
)
# Nothing we send will be taken before somebody repairs the installation.
INSTALLATION_ERRORS = frozenset(
    {"token_revoked", "token_expired", "invalid_auth", "not_authed", "account_inactive", "missing_scope",
     "team_access_not_granted", "no_permission", "org_login_required", "ekm_access_denied"}
)  # fmt: skip
SHAPE_ERRORS = frozenset(
    {"invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long", "msg_too_long", "invalid_arguments"}
)
# The message under or over which we write has been deleted.
GONE_ERRORS = frozenset({"message_not_found", "thread_not_found"})
PASSING_ERRORS = frozenset(
    {
        "ratelimited",
        "rate_limited",
        "internal_error",
        "service_unavailable",
        "request_timeout",
        "team_added_to_org",
    }
)
_NOT_FINAL = PASSING_ERRORS | INSTALLATION_ERRORS | CHANNEL_ERRORS
MAYBE_DONE_ERRORS = frozenset({"fatal_error"})  # Slack: "some aspect of the operation may have succeeded"


class SlackChat:
    """Slack as the sender sees it."""

    def __init__(self, renderer: MessageRenderer, options: SlackOptions) -> None:
        self._renderer = renderer
        self._options = options
        self._client: AsyncWebClient | None = None

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[None]:
        """Keep the connections of the sender's own client."""
        options = self._options
        async with connections(options.call_s) as session:
            # No handler may repeat a call here: only the notice knows whether a repeat needs a mark.
            self._client = AsyncWebClient(
                token=options.bot_token,
                base_url=options.api_url,
                timeout=int(options.call_s) or 1,
                session=session,
                retry_handlers=[],
            )
            yield

    def channel_of(self, notice: Notice, card: Notice | None) -> str:
        """Return where a notice goes, for the rate limit."""
        return self._renderer.channel_of(notice, card)

    def prepare(self, notice: Notice, card: Notice | None, mark: str) -> Call:
        """Draw a notice and return the call that posts it."""
        return partial(self.deliver, self._renderer.post(notice, card, mark))

    async def deliver(self, post: Post) -> CallOutcome:
        """Post it; what Slack finds badly shaped goes in plain words, what has no channel goes elsewhere."""
        client = self._client
        if client is None:
            return CallOutcome(error="not running")
        outcome = await call(client, post)
        if outcome.error in SHAPE_ERRORS and post.blocks:
            log.error("Slack refused the blocks of a message: %s", outcome.error)
            outcome = await call(client, replace(post, blocks=[]))
        fallback = self._options.fallback_channel
        if outcome.is_channel_closed and fallback and post.channel != fallback:
            if post.is_attached:  # it follows its card, which is posted first
                return replace(outcome, may_move=True)
            return await call(client, self._renderer.elsewhere(post, fallback, outcome.error))
        return outcome


async def call(client: AsyncWebClient, post: Post) -> CallOutcome:
    """Make one call, once, and say how it ended."""
    try:
        if post.ts:
            answer = await client.chat_update(
                channel=post.channel, ts=post.ts, text=post.text[:3900], blocks=post.blocks, parse="none"
            )
        else:
            answer = await client.chat_postMessage(
                channel=post.channel,
                text=post.text,
                blocks=post.blocks,
                thread_ts=post.thread_ts or None,
                reply_broadcast=post.broadcast or None,
                unfurl_links=False,
                unfurl_media=False,
                parse="none",
            )
        return CallOutcome(str(answer["channel"]), str(answer["ts"]))
    except SlackApiError as error:
        return outcome_of(error)
    except aiohttp.ClientConnectorError as error:
        return CallOutcome(error=type(error).__name__)  # nobody was reached: nothing was done
    except (TimeoutError, aiohttp.ClientError, SlackClientError, OSError) as error:
        return CallOutcome(error=type(error).__name__, may_be_done=True)


def outcome_of(error: SlackApiError) -> CallOutcome:
    """Translate an error that Slack answered with."""
    response: Any = error.response
    status = int(getattr(response, "status_code", 200) or 200)
    try:
        code = str(response.get("error") or f"http_{status}")
    except (ValueError, AttributeError):  # a page instead of JSON
        code = f"http_{status}"
    if status == 429 or code in ("ratelimited", "rate_limited"):
        return CallOutcome(error="ratelimited", retry_after=retry_after(getattr(response, "headers", None)))
    if code in MAYBE_DONE_ERRORS:
        return CallOutcome(error=code, may_be_done=True)
    return CallOutcome(
        error=code,
        # Somebody will repair a token, a right or a channel: what is owed waits for that, and keeps its order.
        is_final=status < 500 and code not in _NOT_FINAL,
        is_gone=code in GONE_ERRORS,
        is_channel_closed=code in CHANNEL_ERRORS,
        is_misconfigured=code in INSTALLATION_ERRORS,
    )


def retry_after(headers: Any) -> float:
    """Return the seconds Slack asks for; without a readable number, one."""
    for name, value in dict(headers or {}).items():
        if str(name).lower() == "retry-after":
            text = str(value[0] if isinstance(value, list) else value)
            return min(float(text), 3600.0) if text.isascii() and text.isdigit() and len(text) < 7 else 1.0
    return 1.0


def connections(timeout_s: float) -> aiohttp.ClientSession:
    """Return kept connections: without, the SDK connects anew for every call.

    They are kept shortly, for one that Slack has closed meanwhile looks like a lost answer.
    """
    return aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=timeout_s), connector=aiohttp.TCPConnector(keepalive_timeout=5)
    )
