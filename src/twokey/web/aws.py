"""AWS's routes: SNS over HTTPS, whose messages prove themselves, and EventBridge API destinations with a key."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import logging
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from twokey.core.errors import Invalid, TwokeyError, Unavailable
from twokey.core.signals import RawNotification, raw_id
from twokey.ports import Clock
from twokey.web.bodies import BodyError, Room, body_of, closing, note_of
from twokey.web.doors import MIN_SECRET
from twokey.web.inbox import Inbox
from twokey.web.limits import Limits

log = logging.getLogger("twokey.web")
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_SECRET = re.compile(r"[A-Za-z0-9_-]{32,256}")
_JUDGES = 4  # threads that check signatures; a slow certificate host holds these up and nobody else
_WAITING = 200


class Heard(Protocol):
    """A message that proved itself: what is kept of it, and what makes a subscription count."""

    @property
    def source(self) -> str: ...
    @property
    def body(self) -> bytes: ...
    @property
    def identity(self) -> bytes: ...
    @property
    def confirm(self) -> Callable[[], None] | None: ...


@dataclass(frozen=True, slots=True)
class SnsDoor:
    """One address, `/aws/sns/<secret>`: `hear` judges a body, or raises Invalid, Refused or Unavailable.

    The signature is what vouches for a message. The secret keeps strangers from having signatures checked and
    certificates fetched at our cost.
    """

    secret: str = field(repr=False)
    hear: Callable[[bytes], Heard] = field(repr=False, compare=False)
    judge_s: float = 9.0  # SNS waits 15 s for an answer


@dataclass(frozen=True, slots=True)
class KeyDoor:
    """One EventBridge connection: its key as the header `x-api-key`, or its name and key as basic authorization."""

    name: str
    key: str = field(repr=False)

    @property
    def source(self) -> str:
        """Return what notifications from here say about where they came from."""
        return f"aws.events:{self.name}"


@dataclass(frozen=True, slots=True)
class AwsDoors:
    """All doors for AWS. A secret that could be guessed, or is there twice, stops the start."""

    sns: SnsDoor | None = None
    keys: tuple[KeyDoor, ...] = ()

    def __post_init__(self) -> None:
        for door in self.keys:
            if not _NAME.fullmatch(door.name):
                raise Invalid("web.door_name", door=door.name)
        secrets = [(door.name, door.key) for door in self.keys]
        secrets += [("aws/sns", self.sns.secret)] if self.sns else []
        for name, secret in secrets:
            if len(secret) < MIN_SECRET:
                raise Invalid("web.secret_short", door=name, least=MIN_SECRET)
            if not _SECRET.fullmatch(secret) or len(set(secret)) < 10:
                raise Invalid("web.secret_weak", door=name)
        if len({name for name, _ in secrets}) < len(secrets) or len({s for _, s in secrets}) < len(secrets):
            raise Invalid("web.door_twice")


NO_DOORS = AwsDoors()


def aws_routes(inbox: Inbox, doors: AwsDoors, clock: Clock, limits: Limits) -> list[BaseRoute]:
    """Return the routes of the doors that there are; what was not set up is not there to be knocked at."""
    routes: list[BaseRoute] = []
    if doors.sns is not None:
        routes.append(
            Route("/aws/sns/{secret}", _Sns(doors.sns, inbox, clock, limits).answer, methods=["POST"])
        )
    if doors.keys:
        routes.append(
            Route("/aws/events", _Events(doors.keys, inbox, clock, limits).answer, methods=["POST"])
        )
    return routes


class _Taking:
    def __init__(self, inbox: Inbox, clock: Clock, limits: Limits) -> None:
        self._inbox = inbox
        self._clock = clock
        self._limits = limits
        self._room = Room(limits.max_reading_bytes)

    def _held(self, request: Request) -> AbstractAsyncContextManager[bytes]:
        limits = self._limits
        return body_of(request, self._room, max_bytes=limits.max_body, within_s=limits.body_s)

    async def _body(self, request: Request) -> bytes:
        async with self._held(request) as body:
            return body

    async def _kept(self, source: str, body: bytes, identity: bytes) -> Response:
        """Store what came, and only then say so; after a 503 both SNS and EventBridge come again."""
        raw = RawNotification(raw_id(source, identity), source, body, self._clock.now())
        try:
            await self._inbox.put(raw)
        except Unavailable:
            return Response(status_code=503, headers={"retry-after": "5"})
        return Response(status_code=200)


class _Sns(_Taking):
    def __init__(self, door: SnsDoor, inbox: Inbox, clock: Clock, limits: Limits) -> None:
        super().__init__(inbox, clock, limits)
        self._door = door
        self._judges = ThreadPoolExecutor(_JUDGES, thread_name_prefix="sns")
        self._waiting = 0

    async def answer(self, request: Request) -> Response:
        """Judge, confirm where that is asked, store, and say 200: SNS comes again after a 5xx, not after a 4xx."""
        if not _is_same(request.path_params["secret"], self._door.secret):
            return closing(404)
        if self._waiting >= _WAITING:
            return closing(503)
        try:
            # The body counts as held until it is judged: who waits for a slow certificate takes up room.
            async with self._held(request) as body:
                heard = await self._judged(lambda: _confirmed(self._door.hear(body)))
        except BodyError as declined:
            return closing(declined.status)
        except (Unavailable, TimeoutError) as fault:
            log.warning("sns: %s", fault or "judging took too long")
            return Response(status_code=503, headers={"retry-after": "5"})
        except TwokeyError as fault:
            log.warning("sns: a message was not taken: %s", fault)
            return Response(status_code=400 if isinstance(fault, Invalid) else 403)
        return await self._kept(heard.source, heard.body, heard.identity)

    async def _judged(self, judge: Callable[[], Heard]) -> Heard:
        """Call in a thread: it may fetch a certificate."""
        self._waiting += 1
        try:
            async with asyncio.timeout(self._door.judge_s):
                return await asyncio.get_running_loop().run_in_executor(self._judges, judge)
        finally:
            self._waiting -= 1


def _confirmed(heard: Heard) -> Heard:
    if heard.confirm is not None:
        heard.confirm()
        log.info("sns: a subscription is confirmed: %s", heard.source)
    return heard


class _Events(_Taking):
    def __init__(self, doors: tuple[KeyDoor, ...], inbox: Inbox, clock: Clock, limits: Limits) -> None:
        super().__init__(inbox, clock, limits)
        self._doors = doors

    async def answer(self, request: Request) -> Response:
        """Store one event and say 200; who has no key is answered before anything is read."""
        door = self._door(request)
        if door is None:
            return closing(401)
        try:
            body = await self._body(request)
        except BodyError as declined:
            note = note_of(request, declined, self._limits.max_body)
            if note is not None and (await self._kept(door.source, note, note)).status_code == 503:
                return Response(status_code=503, headers={"retry-after": "5"})
            return closing(declined.status)
        return await self._kept(door.source, body, body)

    def _door(self, request: Request) -> KeyDoor | None:
        """Return whose key this is. Every door is compared, and in the same time."""
        name, key = _basic(request.headers.get("authorization", ""))
        given = request.headers.get("x-api-key", "")
        found: KeyDoor | None = None
        for door in self._doors:
            by_header = _is_same(given, door.key)
            by_name = _is_same(name, door.name) & _is_same(key, door.key)
            if by_header | by_name:
                found = door
        return found


def _basic(header: str) -> tuple[str, str]:
    """Return name and password of basic authorization, nothing when it is none."""
    kind, _, text = header.partition(" ")
    if kind.lower() != "basic" or len(text) > 2048:
        return "", ""
    try:
        name, _, password = base64.b64decode(text, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return "", ""
    return name, password


def _is_same(given: str, wanted: str) -> bool:
    # Hashed first, so that lengths are equal and tell nothing.
    one, other = (
        hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest() for text in (given, wanted)
    )
    return hmac.compare_digest(one, other)
