"""A file in a thread: ask for an address, put the bytes there, share it. Only the last of the three is seen."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import aiohttp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from twokey.chat.delivery.port import CallOutcome
from twokey.chat.slack.outcomes import outcome_of, retry_after
from twokey.chat.slack.views.render import Post


async def upload(client: AsyncWebClient, post: Post) -> CallOutcome:
    """Put a file into a thread. The address of the bytes is Slack's, good once, and gets no token of ours."""
    try:
        place = await client.files_getUploadURLExternal(filename=post.file_name, length=len(post.file))
        if refused := await _put(client, str(place["upload_url"]), post):
            return refused
    except SlackApiError as error:
        return _of_a_file(outcome_of(error))
    except (TimeoutError, aiohttp.ClientError, OSError) as error:
        return CallOutcome(error=type(error).__name__)  # nothing was shared: nobody has seen anything
    file_id = str(place["file_id"])
    try:
        await client.files_completeUploadExternal(
            files=[{"id": file_id, "title": post.file_name}],
            channel_id=post.channel,
            thread_ts=post.thread_ts or None,
            initial_comment=post.text,
        )
    except SlackApiError as error:
        return _of_a_file(outcome_of(error))
    return CallOutcome(post.channel, file_id)


async def _put(client: AsyncWebClient, address: str, post: Post) -> CallOutcome | None:
    form = aiohttp.FormData()
    form.add_field("filename", post.file, filename=post.file_name, content_type="application/json")
    session: Any = client.session
    async with session.post(address, data=form, allow_redirects=False) as answer:
        if answer.status == 200:
            return None
        if answer.status == 429:
            return CallOutcome(error="ratelimited", retry_after=retry_after(answer.headers))
        return CallOutcome(error=f"http_{answer.status}", is_final=answer.status < 500)


def _of_a_file(outcome: CallOutcome) -> CallOutcome:
    """Give up where the app may send messages but no files: the card says so, and messages go on."""
    if outcome.error in ("missing_scope", "no_permission"):
        return replace(outcome, is_final=True, is_misconfigured=False)
    return outcome
