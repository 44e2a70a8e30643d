"""The application: the routes that are handed in, and two for health."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager

from starlette import routing
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from twokey.ports import Route
from twokey.web.inbox import Inbox
from twokey.web.limits import DEFAULT, Limits
from twokey.web.secrets import Hide

WebApp = Starlette  # so that who wires it need not know what it is made of


def web_app(
    inbox: Inbox,
    routes: Iterable[Route],
    *,
    readiness: Callable[[], Mapping[str, str]],
    hide: Hide,
    limits: Limits = DEFAULT,
) -> Starlette:
    """Build the application around an inbox, which it starts and stops.

    `readiness` returns parts and what is wrong with each ("" or "ok" when nothing is); `hide` takes secrets out
    of what is said about them.
    """

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        inbox.start()
        try:
            yield
        finally:
            await inbox.stop()

    health = (
        routing.Route("/healthz", _healthz, methods=["GET"]),
        routing.Route("/readyz", _Readiness(inbox, readiness, hide, limits), methods=["GET"]),
    )
    app = Starlette(routes=[*(mounted(route) for route in routes), *health], lifespan=lifespan)
    app.router.redirect_slashes = False  # a redirect would say the secret again
    app.state.inbox = inbox
    return app


def mounted(route: Route) -> routing.Route:
    """Return a route as Starlette has it."""
    return routing.Route(route.path, route.answer, methods=list(route.methods))


async def _healthz(_request: Request) -> Response:
    """Say that the process is up."""
    return PlainTextResponse("ok")


class _Readiness:
    """Says whether work can be done, and which part keeps it from being done."""

    def __init__(
        self, inbox: Inbox, readiness: Callable[[], Mapping[str, str]], hide: Hide, limits: Limits
    ) -> None:
        self._inbox = inbox
        self._ask = readiness
        self._hide = hide
        self._limits = limits
        self._parts: dict[str, str] = {}
        self._asked_at = float("-inf")
        self._one_at_a_time = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        parts = {"inbox": self._inbox.problem(), **await self._others()}
        shown = {name: self._hide(problem)[:200] or "ok" for name, problem in parts.items()}
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
