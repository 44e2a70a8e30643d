"""AWS's endpoints: SNS over HTTPS, whose messages prove themselves, and EventBridge API destinations with a key."""

from __future__ import annotations

import asyncio
import base64
import binascii
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response

from twokey.core.errors import Invalid, TwokeyError, Unavailable
from twokey.core.signals import RawNotification, raw_id
from twokey.ports import Clock, Inbox, Route
from twokey.web.bodies import BodyBudget, BodyError, body_of, closing, note_of
from twokey.web.limits import DEFAULT, Limits
from twokey.web.secrets import is_same, require_distinct, require_name, require_secret

if TYPE_CHECKING:
    from twokey.providers.aws.sns import VerifiedMessage

log = logging.getLogger("twokey.web")
_JUDGES = 4  # threads that check signatures; a slow certificate host holds these up and nobody else
_WAITING = 200


@dataclass(frozen=True, slots=True)
class SnsEndpoint:
    """One address, `/aws/sns/<secret>`: `hear` judges a body, or raises Invalid, Refused or Unavailable.

    The signature is what proves a message. The secret keeps strangers from having signatures checked and
    certificates fetched at our cost.
    """

    secret: str = field(repr=False)
    hear: Callable[[bytes], VerifiedMessage] = field(repr=False, compare=False)
    judge_s: float = 9.0  # SNS waits 15 s for an answer


@dataclass(frozen=True, slots=True)
class EventBridgeEndpoint:
    """One EventBridge connection: its key as the header `x-api-key`, or its name and key as basic authorization."""

    name: str
    key: str = field(repr=False)

    @property
    def source(self) -> str:
        """Return what notifications from here say about where they came from."""
        return f"aws.events:{self.name}"


@dataclass(frozen=True, slots=True)
class AwsEndpoints:
    """All endpoints for AWS. A secret that could be guessed, or is there twice, stops the start."""

    sns: SnsEndpoint | None = None
    keys: tuple[EventBridgeEndpoint, ...] = ()

    def __post_init__(self) -> None:
        for endpoint in self.keys:
            require_name(endpoint.name)
        secrets = [(endpoint.name, endpoint.key) for endpoint in self.keys]
        secrets += [("aws/sns", self.sns.secret)] if self.sns else []
        for name, secret in secrets:
            require_secret(name, secret)
        require_distinct(secrets)


def aws_routes(inbox: Inbox, endpoints: AwsEndpoints, clock: Clock, limits: Limits = DEFAULT) -> list[Route]:
    """Return the routes of the endpoints that there are; what was not set up is not there to be called."""
    routes: list[Route] = []
    if endpoints.sns is not None:
        sns = _Sns(endpoints.sns, inbox, clock, limits)
        routes.append(Route("/aws/sns/{secret}", ("POST",), sns.answer))
    if endpoints.keys:
        events = _Events(endpoints.keys, inbox, clock, limits)
        routes.append(Route("/aws/events", ("POST",), events.answer))
    return routes


class _Storing:
    """What both have in common: a bounded body, and that what came is stored before it is answered."""

    def __init__(self, inbox: Inbox, clock: Clock, limits: Limits) -> None:
        self._inbox = inbox
        self._clock = clock
        self._limits = limits
        self._budget = BodyBudget(limits.max_reading_bytes)

    def _body(self, request: Request) -> AbstractAsyncContextManager[bytes]:
        limits = self._limits
        return body_of(request, self._budget, max_bytes=limits.max_body, within_s=limits.body_s)

    async def _store(self, source: str, body: bytes, identity: bytes) -> Response:
        """Store what came, and only then say so; after a 503 both SNS and EventBridge come again."""
        raw = RawNotification(raw_id(source, identity), source, body, self._clock.now())
        try:
            await self._inbox.put(raw)
        except Unavailable:
            return Response(status_code=503, headers={"retry-after": "5"})
        return Response(status_code=200)


class _Sns(_Storing):
    def __init__(self, endpoint: SnsEndpoint, inbox: Inbox, clock: Clock, limits: Limits) -> None:
        super().__init__(inbox, clock, limits)
        self._endpoint = endpoint
        self._judges = ThreadPoolExecutor(_JUDGES, thread_name_prefix="sns")
        self._waiting = 0

    async def answer(self, request: Request) -> Response:
        """Judge, confirm where that is asked, store, and say 200: SNS comes again after a 5xx, not after a 4xx."""
        if not is_same(request.path_params["secret"], self._endpoint.secret):
            return closing(404)
        if self._waiting >= _WAITING:
            return closing(503)
        try:
            # The body counts as held until it is judged: who waits for a slow certificate takes up room.
            async with self._body(request) as body:
                message = await self._verified(body)
        except BodyError as declined:
            return closing(declined.status)
        except (Unavailable, TimeoutError) as fault:
            log.warning("sns: %s", fault or "judging took too long")
            return Response(status_code=503, headers={"retry-after": "5"})
        except TwokeyError as fault:
            log.warning("sns: a message was not taken: %s", fault)
            return Response(status_code=400 if isinstance(fault, Invalid) else 403)
        return await self._store(message.source, message.body, message.identity)

    async def _verified(self, body: bytes) -> VerifiedMessage:
        """Judge in a thread: it may fetch a certificate."""

        def judge() -> VerifiedMessage:
            message = self._endpoint.hear(body)
            if message.confirm is not None:
                message.confirm()
                log.info("sns: a subscription is confirmed: %s", message.source)
            return message

        self._waiting += 1
        try:
            async with asyncio.timeout(self._endpoint.judge_s):
                return await asyncio.get_running_loop().run_in_executor(self._judges, judge)
        finally:
            self._waiting -= 1


class _Events(_Storing):
    def __init__(
        self, endpoints: tuple[EventBridgeEndpoint, ...], inbox: Inbox, clock: Clock, limits: Limits
    ) -> None:
        super().__init__(inbox, clock, limits)
        self._endpoints = endpoints

    async def answer(self, request: Request) -> Response:
        """Store one event and say 200; who has no key is answered before anything is read."""
        endpoint = self._whose_key(request)
        if endpoint is None:
            return closing(401)
        try:
            async with self._body(request) as held:
                body = held
        except BodyError as declined:
            note = note_of(request, declined, self._limits.max_body)
            if note is not None and (await self._store(endpoint.source, note, note)).status_code == 503:
                return Response(status_code=503, headers={"retry-after": "5"})
            return closing(declined.status)
        return await self._store(endpoint.source, body, body)

    def _whose_key(self, request: Request) -> EventBridgeEndpoint | None:
        """Return whose key this is. Every endpoint is compared, and in the same time."""
        name, key = _basic(request.headers.get("authorization", ""))
        given = request.headers.get("x-api-key", "")
        found: EventBridgeEndpoint | None = None
        for endpoint in self._endpoints:
            by_header = is_same(given, endpoint.key)
            by_name = is_same(name, endpoint.name) & is_same(key, endpoint.key)
            if by_header | by_name:
                found = endpoint
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
