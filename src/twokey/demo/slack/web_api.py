"""The HTTP face of the fake: tokens, arguments, faults, limits, the call log."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

from aiohttp import web

from .faults import Fault, FaultScript, RateLimit
from .methods import METHODS
from .methods.files import put_bytes
from .model import Call, Json, SlackError, Workspace
from .responses import answer_interaction
from .socket_mode import SocketMode

JSON_ARGUMENTS = ("blocks", "attachments", "metadata", "view")
SCOPES = (
    "app_mentions:read,channels:history,chat:write,commands,files:write,groups:history,im:write,reactions:write,"
    "users:read"
)


class WebApi:
    """Answers requests to /api/METHOD and to response URLs."""

    def __init__(self, state: Workspace, socket: SocketMode, bot_token: str, app_token: str) -> None:
        self.state = state
        self.socket = socket
        self.faults = FaultScript()
        self.rate_limit: RateLimit | None = None
        self.bot_token = bot_token
        self.app_token = app_token
        self.now: Callable[[], float] = time.monotonic  # of the log: a test may drive it

    def routes(self) -> list[web.RouteDef]:
        """Return what the server serves."""
        return [
            web.post("/api/{method}", self.call),
            web.get("/api/{method}", self.call),
            web.post("/actions/{team}/{token}", self.respond),
            web.post("/upload/v1/{token}", self.take_file),
            web.get("/link/", self.socket.serve),
        ]

    async def call(self, request: web.Request) -> web.StreamResponse:
        """Serve one method call."""
        name = request.match_info["method"]
        args = await _arguments(request)
        token = request.headers.get("Authorization", "").removeprefix("Bearer ") or args.get("token")
        args.pop("token", None)
        return await self._serve(request, name, args, lambda: self._run(name, args, token, request.host))

    async def respond(self, request: web.Request) -> web.StreamResponse:
        """Serve one post to a response_url; it is logged as `response_url`."""
        args = await _arguments(request)
        token = request.match_info["token"]

        def run() -> Json:
            answer_interaction(self.state, token, args)
            return {}

        return await self._serve(request, "response_url", args, run)

    async def take_file(self, request: web.Request) -> web.StreamResponse:
        """Take the bytes of a file at the address that was given out for it; it is logged as `upload`."""
        posted = (await request.post()).get("filename")
        content = posted.file.read() if isinstance(posted, web.FileField) else b""
        token = request.match_info["token"]

        def run() -> Json:
            if not put_bytes(self.state, token, content):
                raise SlackError("bad_upload")
            return {}

        answered = await self._serve(request, "upload", {}, run)
        return (
            answered
            if answered.status != 200 or b'"ok": true' in _body(answered)
            else web.Response(status=400)
        )

    async def _serve(self, request: web.Request, name: str, args: Json, run: Any) -> web.StreamResponse:
        started = self.now()
        fault = self.faults.take(name, args.get("channel"))
        limit = self.rate_limit if name in ("chat.postMessage", "chat.postEphemeral") else None
        if not fault and limit and not limit.allows(str(args.get("channel"))):
            fault = Fault(name, "status", 429, "ratelimited", 1)
        if fault is not None and fault.kind == "hang":
            await asyncio.sleep(fault.delay)
        lost = fault is not None and fault.kind in ("cut", "lose_reply")
        with self.state.lock:  # whoever sees what a call did finds the call
            answer, status, headers = self._answer(name, fault, run)
            error = None if answer.get("ok") else str(answer.get("error"))
            kind = fault.kind if fault is not None and lost else error
            pause = int(headers.get("Retry-After", 0))
            self.state.calls.append(Call(started, name, args, 0 if lost else status, kind, answer, pause))
        if lost:
            if request.transport is not None:
                request.transport.abort()
            return web.Response()
        if status >= 500 and status != 500:  # Slack's front end answers a page, not JSON
            return web.Response(
                status=status,
                text="<html>Service Unavailable</html>",
                content_type="text/html",
            )
        return web.json_response(answer, status=status, headers=headers)

    def _answer(self, name: str, fault: Fault | None, run: Any) -> tuple[Json, int, dict[str, str]]:
        headers = {"X-OAuth-Scopes": SCOPES, "X-Slack-Req-Id": "fake"}
        if fault is not None and fault.kind == "status":
            if fault.status == 429:
                headers["Retry-After"] = str(fault.retry_after)
            return {"ok": False, "error": fault.error}, fault.status, headers
        if fault is not None and fault.kind in ("refuse", "cut"):
            return {"ok": False, "error": fault.error or "cut"}, 200, headers
        try:
            return {"ok": True, **run()}, 200, headers
        except SlackError as error:
            answer: Json = {"ok": False, "error": error.code}
            if error.messages:
                answer["errors"] = list(error.messages)
                answer["response_metadata"] = {"messages": [f"[ERROR] {words}" for words in error.messages]}
            return answer, 404 if name == "response_url" else 200, headers

    def _run(self, name: str, args: Json, token: Any, host: str) -> Json:
        if not token:
            raise SlackError("not_authed")
        if token not in (self.bot_token, self.app_token):
            raise SlackError("invalid_auth")
        if (name == "apps.connections.open") != (token == self.app_token):
            raise SlackError("not_allowed_token_type")
        if name == "apps.connections.open":
            return {"url": self.socket.new_url(host)}
        if name not in METHODS:
            raise SlackError("unknown_method")
        return METHODS[name](self.state, args)


def _body(answer: web.StreamResponse) -> bytes:
    return answer.body if isinstance(answer, web.Response) and isinstance(answer.body, bytes) else b""


async def _arguments(request: web.Request) -> Json:
    args: Json = dict(request.query)
    if request.content_type == "application/json":
        try:
            body = json.loads(await request.text() or "{}")
        except ValueError:
            body = {}
        args |= body if isinstance(body, dict) else {}
    else:
        args |= dict(await request.post())
    for name in JSON_ARGUMENTS:
        if isinstance(args.get(name), str):
            try:
                args[name] = json.loads(args[name])
            except ValueError:
                continue
    return args
