"""The application: each cloud's routes, one for Slack where it comes by HTTP, two for health."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from twokey.ports import Clock
from twokey.web import inbox as inboxes
from twokey.web.aws import NO_DOORS, AwsDoors, aws_routes
from twokey.web.azure import azure_routes
from twokey.web.bodies import BodyError, Room, body_of, closing
from twokey.web.doors import Doors, hidden
from twokey.web.limits import DEFAULT, Limits

WebApp = Starlette  # so that who wires it need not know what it is made of
_TIMESTAMP = re.compile(r"[0-9]{1,15}")
_SIGNATURE = re.compile(r"v0=[0-9a-f]{64}")


def web_app(
    receive: inboxes.Receive,
    *,
    doors: Doors,
    clock: Clock,
    readiness: Callable[[], Mapping[str, str]],
    slack: ASGIApp | None = None,
    aws: AwsDoors = NO_DOORS,
    limits: Limits = DEFAULT,
) -> Starlette:
    """Build the application.

    `receive` makes a batch durable (it is called in a worker thread). `readiness` returns parts and what is
    wrong with each ("" or "ok" when nothing is). `slack` is an ASGI application for POST /slack/events.
    """
    inbox = inboxes.Inbox(
        receive,
        max_batch=limits.max_batch,
        max_waiting=limits.max_waiting,
        max_waiting_bytes=limits.max_waiting_bytes,
        patience_s=limits.store_s,
    )

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        inbox.start()
        try:
            yield
        finally:
            await inbox.stop()

    routes: list[BaseRoute] = [
        *aws_routes(inbox, aws, clock, limits),
        *azure_routes(inbox, doors, clock, limits),
        Route("/healthz", _healthz, methods=["GET"]),
        Route("/readyz", _Readiness(inbox, readiness, limits), methods=["GET"]),
    ]
    if slack is not None:
        routes.append(Route("/slack/events", _Slack(slack, limits), methods=["POST"]))
    app = Starlette(routes=routes, lifespan=lifespan)
    app.router.redirect_slashes = False  # a redirect would say the secret again
    app.state.inbox = inbox
    return app


async def _healthz(_request: Request) -> Response:
    """Say that the process is up."""
    return PlainTextResponse("ok")


class _Readiness:
    """Says whether work can be done, and which part keeps it from being done."""

    def __init__(
        self, inbox: inboxes.Inbox, readiness: Callable[[], Mapping[str, str]], limits: Limits
    ) -> None:
        self._inbox = inbox
        self._ask = readiness
        self._limits = limits
        self._parts: dict[str, str] = {}
        self._asked_at = float("-inf")
        self._one_at_a_time = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        parts = {"inbox": self._inbox.problem(), **await self._others()}
        shown = {name: hidden(problem)[:200] or "ok" for name, problem in parts.items()}
        # A part may be well and have something to say: "ok, but ..."
        is_ready = all(problem == "" or problem.startswith("ok") for problem in parts.values())
        answer = JSONResponse({"ready": is_ready, "parts": shown}, status_code=200 if is_ready else 503)
        await answer(scope, receive, send)

    async def _others(self) -> dict[str, str]:
        """Ask at most once a second: anybody may call, and the answer may cost a database read."""
        loop = asyncio.get_running_loop()
        async with self._one_at_a_time:
            if loop.time() - self._asked_at < self._limits.readiness_kept_s:
                return self._parts
            try:
                async with asyncio.timeout(self._limits.readiness_s):
                    self._parts = dict(await asyncio.to_thread(self._ask))
            except TimeoutError:
                self._parts = {"readiness": "did not answer in time"}
            except Exception as fault:
                # The answer is itself the report: a part that cannot say how it is, is not well.
                self._parts = {"readiness": type(fault).__name__}
            self._asked_at = loop.time()
            return self._parts


class _Slack:
    """Slack's requests: bounded like all others, and only those that can be Slack's reach Bolt.

    Bolt answers a timestamp that is not a number, or a signature that is not ASCII, with 500 instead of 401.
    """

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        self._app = app
        self._limits = limits
        self._room = Room(limits.max_reading_bytes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        stamp = request.headers.get("x-slack-request-timestamp", "")
        signature = request.headers.get("x-slack-signature", "")
        if not _TIMESTAMP.fullmatch(stamp) or not _SIGNATURE.fullmatch(signature):
            await closing(401)(scope, receive, send)
            return
        limits = self._limits
        held = body_of(request, self._room, max_bytes=limits.max_body, within_s=limits.body_s)
        async with AsyncExitStack() as stack:
            try:
                body = await stack.enter_async_context(held)
            except BodyError as declined:
                await closing(declined.status)(scope, receive, send)
                return
            await self._app(scope, _again(body, receive), send)


def _again(body: bytes, receive: Receive) -> Receive:
    """Hand a body that was read to the next reader; after it, what the connection says."""
    rest: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return rest.pop() if rest else await receive()

    return replay
