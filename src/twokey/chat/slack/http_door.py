"""Signed HTTP: Slack's requests are verified before anybody else looks at them."""

from __future__ import annotations

import hashlib
import hmac
import logging
from collections.abc import Mapping

from slack_bolt.adapter.starlette.async_handler import AsyncSlackRequestHandler
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from twokey.chat.slack.app import SlackBot
from twokey.ports import Clock

log = logging.getLogger("twokey.slack")

PATH = "/slack/events"
FRESH_S = 300
LARGEST = 1024 * 1024


def is_signed(headers: Mapping[str, str], body: bytes, secret: str, now: float) -> bool:
    """Say whether Slack signed exactly this body within five minutes; anything malformed is a no."""
    stamp = headers.get("x-slack-request-timestamp", "")
    given = headers.get("x-slack-signature", "")
    if not secret or not (stamp.isascii() and stamp.isdigit() and len(stamp) <= 12 and given.isascii()):
        return False
    if abs(now - int(stamp)) > FRESH_S:
        return False
    due = hmac.new(secret.encode(), b"v0:" + stamp.encode() + b":" + body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(f"v0={due}".encode(), given.encode())


def slack_route(bot: SlackBot, clock: Clock, path: str = PATH) -> Route:
    """Return the one address that Slack posts to."""
    handler = AsyncSlackRequestHandler(bot.app)

    async def receive(request: Request) -> Response:
        body = await _body(request)
        if body is None:
            return PlainTextResponse("too large", 413)
        if not is_signed(request.headers, body, bot.options.signing_secret, clock.now().timestamp()):
            return PlainTextResponse("not signed", 401)
        bot.supervisor.adopt_current()
        try:
            answer = await handler.handle(request)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            # Signed, but not of any shape that Slack sends: its sender must not try again.
            log.warning("a signed request could not be read: %s", type(error).__name__)
            return PlainTextResponse("not readable", 400)
        # Our listeners answer their own faults: what fails inside Bolt is a shape that Slack never sends.
        return answer if answer.status_code < 500 else PlainTextResponse("not readable", 400)

    return Route(path, receive, methods=["POST"])


async def _body(request: Request) -> bytes | None:
    """Read the body, no more of it than Slack would send, and leave it where Bolt's adapter looks for it."""
    taken = bytearray()
    async for chunk in request.stream():
        taken += chunk
        if len(taken) > LARGEST:
            return None
    request._body = bytes(taken)  # Starlette's own cache: its body() returns it
    return request._body
