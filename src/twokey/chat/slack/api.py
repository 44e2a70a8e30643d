"""Slack's Web API for the sender: one call per post, and what an error of Slack's means for the next try."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial

import aiohttp
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web.async_client import AsyncWebClient

from twokey.chat.delivery.port import Call, CallOutcome
from twokey.chat.slack.options import SlackOptions
from twokey.chat.slack.outcomes import SHAPE_ERRORS, outcome_of
from twokey.chat.slack.uploads import upload
from twokey.chat.slack.views.render import MessageRenderer, Post
from twokey.core.notices import Notice

log = logging.getLogger("twokey.slack")


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
        if post.file_name:
            return await upload(client, post)
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


def connections(timeout_s: float) -> aiohttp.ClientSession:
    """Return kept connections: without, the SDK connects anew for every call.

    They are kept shortly, for one that Slack has closed meanwhile looks like a lost answer.
    """
    return aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=timeout_s), connector=aiohttp.TCPConnector(keepalive_timeout=5)
    )
