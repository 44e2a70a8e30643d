"""Azure as its section of the settings describes it: endpoints and who may call them, queues and lists, setup."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING

from twokey.core.errors import Invalid
from twokey.ports import Clock, Cursors, Source
from twokey.providers.azure.event_topics import EventTopics
from twokey.providers.azure.queues import StorageQueue
from twokey.providers.azure.session import PUBLIC_CLOUD, AzureOptions, AzureSession
from twokey.providers.azure.settings import AzureSettings
from twokey.providers.azure.setup import KINDS, Secure, Setup, Wanted
from twokey.providers.azure.sources import ActivityLog, ServiceHealthEvents

if TYPE_CHECKING:
    from twokey.providers.azure.endpoints import AzureEndpoints
    from twokey.providers.azure.signing_keys import SigningKeys

Authorize = Callable[[str], bool] | None


def session_of(settings: AzureSettings) -> AzureSession:
    """Make the way to Azure; nothing is called, and no credential looked for, before it is used."""
    base_url = settings.endpoint_url or PUBLIC_CLOUD
    options = AzureOptions(
        settings.tenant,
        settings.subscriptions,
        base_url,
        never_contain=settings.never_contain,
        contain_despite_tag=settings.contain_despite_tag,
    )
    return AzureSession(options)


def sources_of(
    settings: AzureSettings, session: AzureSession, clock: Clock, cursors: Cursors
) -> tuple[Source, ...]:
    """Make the sources: every queue, and the lists of every subscription where polling is on."""
    tenant = settings.tenant
    found = queues_of(settings, session, clock)
    if not settings.poll_s:
        return tuple(found)
    every = timedelta(seconds=settings.poll_s)
    for name in session.options.subscriptions:
        found.append(ServiceHealthEvents(session, name, tenant, clock, cursors, every))
        if settings.poll_categories:
            kinds = settings.poll_categories
            found.append(ActivityLog(session, name, tenant, clock, cursors, kinds, every))
    if settings.poll_tenant:
        first = session.options.subscriptions[0]  # the client wants one, the list does not depend on it
        found.append(ServiceHealthEvents(session, first, tenant, clock, cursors, every, of_tenant=True))
    return tuple(found)


def queues_of(settings: AzureSettings, session: AzureSession, clock: Clock) -> list[Source]:
    """Make what reads the storage queues; an address that is none stops the start."""
    return [StorageQueue(session, address, settings.tenant, clock) for address in settings.queues]


def setups_of(
    settings: AzureSettings,
    address: str,
    resource_group: str,
    *,
    webhook: str = "",
    subscriptions: tuple[str, ...] = (),
    kinds: tuple[str, ...] = (),
    object_id: str = "",
    session: AzureSession | None = None,
) -> list[Setup]:
    """Make what compares each subscription with a webhook of the settings; the secret stays in the settings."""
    secrets = settings.webhook_secrets()
    name = webhook or (next(iter(secrets)) if len(secrets) == 1 else "")
    if name not in secrets:
        raise Invalid("azure.setup_webhook", webhook=webhook or "-", known=", ".join(secrets) or "-")
    place = f"{address.rstrip('/')}/azure/{secrets[name]}"
    secure = _registration(settings, name, object_id)
    wanted = Wanted(resource_group, place, kinds or tuple(KINDS), secure)
    way = session or session_of(settings)
    named = subscriptions or settings.subscriptions
    if not named:
        raise Invalid("azure.setup_no_subscription")
    return [Setup(way, subscription.lower(), wanted) for subscription in named]


def _registration(settings: AzureSettings, webhook: str, object_id: str) -> Secure | None:
    """Return our own registration where a token is wanted: Azure has to know whom to ask for one."""
    if not settings.webhook_audience or webhook in settings.doors_without_token:
        return None
    uris = [audience for audience in settings.webhook_audience if "://" in audience]
    audience = (uris or list(settings.webhook_audience))[0]
    return Secure(object_id, audience, settings.webhook_tenant or settings.tenant)


def endpoints_of(settings: AzureSettings, clock: Clock) -> AzureEndpoints:
    """Make the endpoints. One that could be guessed, or whose token nobody could have, stops the start."""
    from twokey.providers.azure import entra
    from twokey.providers.azure.endpoints import AzureEndpoints, EventGridEndpoint, WebhookEndpoint

    tokens = _tokens(settings, clock)
    webhooks = tuple(
        WebhookEndpoint(
            name,
            secret,
            tenant=settings.tenant,
            authorize=tokens(name, settings.webhook_app, entra.ACTION_GROUPS_ROLE),
        )
        for name, secret in settings.webhook_secrets().items()
    )
    if not settings.event_grid:
        return AzureEndpoints(webhooks)
    within = tuple(f"/subscriptions/{subscription}" for subscription in settings.subscriptions)
    topics = EventTopics(settings.event_grid_topics or within)
    events = tuple(
        EventGridEndpoint(
            name,
            secret,
            tenant=settings.tenant,
            authorize=tokens(name, settings.event_grid_app, entra.EVENT_GRID_ROLE),
            handshake=topics.handshake,
            origins=tuple(origin.lower() for origin in settings.event_grid_origins),
        )
        for name, secret in settings.event_grid_secrets().items()
    )
    return AzureEndpoints(webhooks, events)


def _tokens(settings: AzureSettings, clock: Clock) -> Callable[[str, str, str], Authorize]:
    """Return what makes the judge of an endpoint's tokens; all endpoints share one set of keys."""
    from twokey.providers.azure.entra import WebhookTokens
    from twokey.providers.azure.signing_keys import SigningKeys

    tenant = settings.webhook_tenant or settings.tenant
    authority = settings.authority.rstrip("/")

    @cache
    def keys() -> SigningKeys:
        return SigningKeys(tenant.lower(), clock, authority)

    def judge(endpoint: str, app: str, role: str) -> Authorize:
        if not settings.webhook_audience or endpoint in settings.doors_without_token:
            return None
        audiences = settings.webhook_audience
        return WebhookTokens(
            tenant, audiences, clock, keys(), authority=authority, role=role, app=app
        ).authorize

    return judge
