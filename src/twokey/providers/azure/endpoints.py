"""Azure's endpoints: action group webhooks, and Event Grid with its two handshakes."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TypeVar

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from twokey.core.errors import Refused, Unavailable
from twokey.core.signals import RawNotification, raw_id
from twokey.ports import Clock, Inbox, Route
from twokey.web.bodies import BodyBudget, BodyError, body_of, closing, note_of
from twokey.web.limits import DEFAULT, Limits
from twokey.web.secrets import is_same, require_distinct, require_name, require_secret

_ORIGIN = re.compile(r"[A-Za-z0-9.-]{1,253}")

E = TypeVar("E", bound="WebhookEndpoint")


@dataclass(frozen=True, slots=True)
class WebhookEndpoint:
    """One address, `/azure/<secret>`, and what is known of whatever comes to it.

    `authorize` is asked with the Authorization header, before the body is read, where the caller also has a
    token (Azure's secure webhook); Unavailable from it is answered with 503.
    """

    name: str
    secret: str = field(repr=False)
    account: str = ""
    tenant: str = ""
    authorize: Callable[[str], bool] | None = field(default=None, repr=False, compare=False)

    @property
    def source(self) -> str:
        """Return what notifications from here say about where they came from."""
        return f"azure.webhook:{self.name}"


def _no_topic(_body: bytes) -> str:
    raise Refused("web.no_topic")


@dataclass(frozen=True, slots=True)
class EventGridEndpoint(WebhookEndpoint):
    """One address for Event Grid, `/azure/events/<secret>` or `/azure/events?code=<secret>`.

    `handshake` looks at what came: Refused when it is of a topic that may not speak here, the code to answer
    when it is a validation, "" when it is events. `origins` are the senders that CloudEvents deliver for.
    """

    handshake: Callable[[bytes], str] = field(default=_no_topic, repr=False, compare=False)
    origins: tuple[str, ...] = ("eventgrid.azure.net",)

    @property
    def source(self) -> str:
        """Return what notifications from here say about where they came from."""
        return f"azure.eventgrid:{self.name}"


@dataclass(frozen=True, slots=True)
class AzureEndpoints:
    """All endpoints for Azure. A secret that could be guessed, or is there twice, stops the start."""

    webhooks: tuple[WebhookEndpoint, ...] = ()
    events: tuple[EventGridEndpoint, ...] = ()

    def __post_init__(self) -> None:
        every = (*self.webhooks, *self.events)
        for endpoint in every:
            require_name(endpoint.name)
            require_secret(endpoint.name, endpoint.secret)
        require_distinct([(endpoint.name, endpoint.secret) for endpoint in every])


def azure_routes(
    inbox: Inbox, endpoints: AzureEndpoints, clock: Clock, limits: Limits = DEFAULT
) -> list[Route]:
    """Return the routes. They are there without any endpoint too: what is behind them cannot be told from outside."""
    webhooks = _Webhooks(endpoints, inbox, clock, limits)
    events = _Events(endpoints, inbox, clock, limits)
    return [
        Route("/azure/events", ("POST", "OPTIONS"), events.answer),
        Route("/azure/events/{secret}", ("POST", "OPTIONS"), events.answer),
        Route("/azure/{secret}", ("POST",), webhooks.answer),
    ]


class _Storing:
    """What both have in common: who is let in, and that what came is stored before it is answered."""

    def __init__(self, endpoints: AzureEndpoints, inbox: Inbox, clock: Clock, limits: Limits) -> None:
        self._endpoints = endpoints
        self._inbox = inbox
        self._clock = clock
        self._limits = limits
        self._budget = BodyBudget(limits.max_reading_bytes)

    async def _refusal(self, request: Request, endpoint: WebhookEndpoint) -> Response | None:
        """Ask for the token where one is wanted, before anything of the body is read."""
        if endpoint.authorize is None:
            return None
        token = request.headers.get("authorization", "")
        # It may fetch keys: not in the event loop.
        try:
            return None if await asyncio.to_thread(endpoint.authorize, token) else closing(401)
        except Unavailable:
            return closing(503)

    async def _body(self, request: Request, endpoint: WebhookEndpoint) -> bytes | Response:
        limits = self._limits
        try:
            async with body_of(
                request, self._budget, max_bytes=limits.max_body, within_s=limits.body_s
            ) as body:
                return body
        except BodyError as declined:
            note = note_of(request, declined, limits.max_body)
            if note is not None and (refusal := await self._store(endpoint, note)):
                return refusal
            return closing(declined.status)

    async def _store(self, endpoint: WebhookEndpoint, body: bytes) -> Response | None:
        """Store what came; after a 503 (and no 500) Azure comes again."""
        raw = RawNotification(
            id=raw_id(endpoint.source, body),
            source=endpoint.source,
            body=body,
            received_at=self._clock.now(),
            account=endpoint.account,
            tenant=endpoint.tenant,
        )
        try:
            await self._inbox.put(raw)
        except Unavailable:
            return Response(status_code=503, headers={"retry-after": "5"})
        return None


class _Webhooks(_Storing):
    async def answer(self, request: Request) -> Response:
        """Store what came, whatever it is, and say 202."""
        endpoint = _behind(self._endpoints.webhooks, request.path_params["secret"])
        if endpoint is None:
            return closing(404)
        refusal = await self._refusal(request, endpoint)
        if refusal is not None:
            return refusal
        body = await self._body(request, endpoint)
        if isinstance(body, Response):
            return body
        return await self._store(endpoint, body) or Response(status_code=202)


class _Events(_Storing):
    async def answer(self, request: Request) -> Response:
        """Answer Event Grid: the handshake of either schema, or the events, which are stored first.

        The secret may also be the query's `code`: Event Grid shows a subscription's path to everybody who may
        read it, and its query only to those who ask for the whole address.
        """
        secret = request.path_params.get("secret") or request.query_params.get("code", "")
        endpoint = _behind(self._endpoints.events, secret)
        if endpoint is None:
            return closing(404)
        refusal = await self._refusal(request, endpoint)
        if refusal is not None:
            return refusal
        if request.method == "OPTIONS":
            return _permission(request, endpoint)
        body = await self._body(request, endpoint)
        if isinstance(body, Response):
            return body
        try:
            code = await asyncio.to_thread(endpoint.handshake, body)
        except Refused:
            return Response(status_code=403)
        kept = await self._store(endpoint, body)
        if kept is not None:
            return kept
        return JSONResponse({"validationResponse": code}) if code else Response(status_code=200)


def _permission(request: Request, endpoint: EventGridEndpoint) -> Response:
    """Let a known sender deliver (CloudEvents' abuse protection); another learns nothing, not even its name."""
    origin = request.headers.get("webhook-request-origin", "").lower()
    if not _ORIGIN.fullmatch(origin) or origin not in endpoint.origins:
        return Response(status_code=403)
    allowed = {"webhook-allowed-origin": origin, "webhook-allowed-rate": "*", "allow": "POST"}
    return Response(status_code=200, headers=allowed)


def _behind(endpoints: Iterable[E], secret: str) -> E | None:
    """Return the endpoint with this secret. Every endpoint is compared, and in the same time."""
    found: E | None = None
    for endpoint in endpoints:
        if is_same(secret, endpoint.secret):
            found = endpoint
    return found
