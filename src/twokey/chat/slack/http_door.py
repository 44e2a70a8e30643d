"""Signed HTTP: Slack's requests are bounded and verified before anybody else looks at them."""

from __future__ import annotations

import hashlib
import hmac
import logging
import re
from collections.abc import Awaitable, Callable, Mapping

from slack_bolt.adapter.starlette.async_handler import AsyncSlackRequestHandler
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from twokey.chat.slack.app import SlackBot
from twokey.ports import Clock, Route
from twokey.web.bodies import BodyBudget, BodyError, body_of, closing
from twokey.web.limits import DEFAULT, Limits

log = logging.getLogger("twokey.slack")

PATH = "/slack/events"
FRESH_S = 300
# Bolt answers a timestamp that is not a number, or a signature that is not ASCII, with 500 instead of 401.
_TIMESTAMP = re.compile(r"[0-9]{1,15}")
_SIGNATURE = re.compile(r"v0=[0-9a-f]{64}")


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


def slack_route(bot: SlackBot, clock: Clock) -> Route:
    """Return the one address that Slack posts to."""
    handler = AsyncSlackRequestHandler(bot.app)

    async def receive(request: Request) -> Response:
        body = await request.body()
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

    return bounded(receive)


def bounded(answer: Callable[[Request], Awaitable[Response]], limits: Limits = DEFAULT) -> Route:
    """Return Slack's route: only requests that can be Slack's are answered, and with a body that was read whole."""
    budget = BodyBudget(limits.max_reading_bytes)

    async def receive(request: Request) -> Response:
        stamp = request.headers.get("x-slack-request-timestamp", "")
        signature = request.headers.get("x-slack-signature", "")
        if not _TIMESTAMP.fullmatch(stamp) or not _SIGNATURE.fullmatch(signature):
            return closing(401)
        try:
            async with body_of(request, budget, max_bytes=limits.max_body, within_s=limits.body_s) as body:
                request._body = body  # Starlette's own cache: its body() returns it, to Bolt's adapter too
                return await answer(request)
        except BodyError as declined:
            return closing(declined.status)

    return Route(PATH, ("POST",), receive)
