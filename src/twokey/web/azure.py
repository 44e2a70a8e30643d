"""Azure's routes: action group webhooks, and Event Grid with its two handshakes."""

from __future__ import annotations

import asyncio
import re
from datetime import datetime

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from twokey.core.errors import Refused, Unavailable
from twokey.core.signals import RawNotification, raw_id
from twokey.ports import Clock
from twokey.web.bodies import BodyError, Room, body_of, closing, note_of
from twokey.web.doors import Door, Doors, EventDoor, door_behind
from twokey.web.inbox import Inbox
from twokey.web.limits import Limits

_ORIGIN = re.compile(r"[A-Za-z0-9.-]{1,253}")


def azure_routes(inbox: Inbox, doors: Doors, clock: Clock, limits: Limits) -> list[BaseRoute]:
    """Return the routes, for the doors that there are."""
    webhooks = _Webhooks(doors, inbox, clock, limits)
    events = _Events(doors, inbox, clock, limits)
    return [
        Route("/azure/events", events.answer, methods=["POST", "OPTIONS"]),
        Route("/azure/events/{secret}", events.answer, methods=["POST", "OPTIONS"]),
        Route("/azure/{secret}", webhooks.answer, methods=["POST"]),
    ]


class _Taking:
    """What both ways in have in common: who may enter, and that what came is stored before it is answered."""

    def __init__(self, doors: Doors, inbox: Inbox, clock: Clock, limits: Limits) -> None:
        self._doors = doors
        self._inbox = inbox
        self._clock = clock
        self._limits = limits
        self._room = Room(limits.max_reading_bytes)

    async def _refusal(self, request: Request, door: Door) -> Response | None:
        """Ask for the token where the door wants one, before anything of the body is read."""
        if door.may_enter is None:
            return None
        token = request.headers.get("authorization", "")
        # It may fetch keys: not in the event loop.
        try:
            return None if await asyncio.to_thread(door.may_enter, token) else closing(401)
        except Unavailable:
            return closing(503)

    async def _body(self, request: Request, door: Door) -> bytes | Response:
        limits = self._limits
        try:
            async with body_of(
                request, self._room, max_bytes=limits.max_body, within_s=limits.body_s
            ) as body:
                return body
        except BodyError as declined:
            note = note_of(request, declined, limits.max_body)
            if note is not None and (refusal := await self._kept(door, note)):
                return refusal
            return closing(declined.status)

    async def _kept(self, door: Door, body: bytes) -> Response | None:
        """Store what came; after a 503 (and no 500) Azure comes again."""
        try:
            await self._inbox.put(_raw(door, body, self._clock.now()))
        except Unavailable:
            return Response(status_code=503, headers={"retry-after": "5"})
        return None


class _Webhooks(_Taking):
    async def answer(self, request: Request) -> Response:
        """Store what came, whatever it is, and say 202."""
        door = door_behind(self._doors.azure, request.path_params["secret"])
        if door is None:
            return closing(404)
        refusal = await self._refusal(request, door)
        if refusal is not None:
            return refusal
        body = await self._body(request, door)
        if isinstance(body, Response):
            return body
        return await self._kept(door, body) or Response(status_code=202)


class _Events(_Taking):
    async def answer(self, request: Request) -> Response:
        """Answer Event Grid: the handshake of either schema, or the events, which are stored first.

        The secret may also be the query's `code`: Event Grid shows a subscription's path to everybody who may
        read it, and its query only to those who ask for the whole address.
        """
        secret = request.path_params.get("secret") or request.query_params.get("code", "")
        door = door_behind(self._doors.events, secret)
        if door is None:
            return closing(404)
        refusal = await self._refusal(request, door)
        if refusal is not None:
            return refusal
        if request.method == "OPTIONS":
            return _permission(request, door)
        body = await self._body(request, door)
        if isinstance(body, Response):
            return body
        try:
            code = await asyncio.to_thread(door.handshake, body)
        except Refused:
            return Response(status_code=403)
        kept = await self._kept(door, body)
        if kept is not None:
            return kept
        return JSONResponse({"validationResponse": code}) if code else Response(status_code=200)


def _permission(request: Request, door: EventDoor) -> Response:
    """Let a known sender deliver (CloudEvents' abuse protection); another learns nothing, not even its name."""
    origin = request.headers.get("webhook-request-origin", "").lower()
    if not _ORIGIN.fullmatch(origin) or origin not in door.origins:
        return Response(status_code=403)
    allowed = {"webhook-allowed-origin": origin, "webhook-allowed-rate": "*", "allow": "POST"}
    return Response(status_code=200, headers=allowed)


def _raw(door: Door, body: bytes, now: datetime) -> RawNotification:
    return RawNotification(
        id=raw_id(door.source, body),
        source=door.source,
        body=body,
        received_at=now,
        account=door.account,
        tenant=door.tenant,
    )
