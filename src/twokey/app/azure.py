"""Wiring of Azure: the doors it calls and who may come through them, the queues and lists that are read."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING

from twokey.core.errors import Invalid
from twokey.ports import Clock, Cursors, Source, Vouch
from twokey.settings import Settings

if TYPE_CHECKING:
    from twokey.providers.azure.session import AzureSession
    from twokey.providers.azure.setup import Secure, Setup
    from twokey.web import Doors, EventDoor

_MayEnter = Callable[[str], bool] | None


def azure_session(settings: Settings) -> AzureSession:
    """Make the way to Azure; nothing is called, and no credential looked for, before it is used."""
    from twokey.providers.azure.session import PUBLIC_CLOUD, AzureOptions, AzureSession

    base_url = settings.azure_endpoint_url or PUBLIC_CLOUD
    return AzureSession(AzureOptions(settings.azure_tenant, settings.azure_subscriptions, base_url))


def azure_sources(
    settings: Settings, session: AzureSession, clock: Clock, cursors: Cursors
) -> tuple[Source, ...]:
    """Make the sources: every queue, and the lists of every subscription where polling is on."""
    from twokey.providers.azure.sources import ActivityLog, ServiceHealthEvents

    tenant = settings.azure_tenant
    found = azure_queues(settings, session, clock)
    if not settings.azure_poll_s:
        return tuple(found)
    every = timedelta(seconds=settings.azure_poll_s)
    for name in session.options.subscriptions:
        found.append(ServiceHealthEvents(session, name, tenant, clock, cursors, every))
        if settings.azure_poll_categories:
            kinds = settings.azure_poll_categories
            found.append(ActivityLog(session, name, tenant, clock, cursors, kinds, every))
    if settings.azure_poll_tenant:
        first = session.options.subscriptions[0]  # the client wants one, the list does not depend on it
        found.append(ServiceHealthEvents(session, first, tenant, clock, cursors, every, of_tenant=True))
    return tuple(found)


def azure_queues(settings: Settings, session: AzureSession, clock: Clock) -> list[Source]:
    """Make what reads the storage queues; an address that is none stops the start."""
    from twokey.providers.azure.queues import StorageQueue

    return [StorageQueue(session, address, settings.azure_tenant, clock) for address in settings.azure_queues]


def azure_vouch(settings: Settings) -> Vouch:
    """Return what says for whom a source may not speak."""
    from twokey.providers.azure.vouching import scopes_of

    return scopes_of(settings.azure_source_scopes).dispute


def azure_setups(
    settings: Settings,
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
    from twokey.providers.azure.setup import KINDS, Setup, Wanted

    doors = settings.doors()
    name = webhook or (next(iter(doors)) if len(doors) == 1 else "")
    if name not in doors:
        raise Invalid("azure.setup_webhook", webhook=webhook or "-", known=", ".join(doors) or "-")
    place = f"{address.rstrip('/')}/azure/{doors[name]}"
    secure = _registration(settings, name, object_id)
    wanted = Wanted(resource_group, place, kinds or tuple(KINDS), secure)
    way = session or azure_session(settings)
    named = subscriptions or settings.azure_subscriptions
    if not named:
        raise Invalid("azure.setup_no_subscription")
    return [Setup(way, subscription.lower(), wanted) for subscription in named]


def _registration(settings: Settings, door: str, object_id: str) -> Secure | None:
    """Return our own registration where the door wants a token: Azure has to know whom to ask for one."""
    from twokey.providers.azure.setup import Secure

    if not settings.azure_webhook_audience or door in settings.azure_doors_without_token:
        return None
    uris = [audience for audience in settings.azure_webhook_audience if "://" in audience]
    audience = (uris or list(settings.azure_webhook_audience))[0]
    return Secure(object_id, audience, settings.azure_webhook_tenant or settings.azure_tenant)


def azure_doors(settings: Settings, clock: Clock) -> Doors:
    """Make the doors. One that could be guessed, or whose token nobody could have, stops the start."""
    from twokey.providers.azure import entra
    from twokey.web import Door, Doors

    tokens = _tokens(settings, clock)
    webhooks = tuple(
        Door(
            name,
            secret,
            tenant=settings.azure_tenant,
            may_enter=tokens(name, settings.azure_webhook_app, entra.ACTION_GROUPS_ROLE),
        )
        for name, secret in settings.doors().items()
    )
    return Doors(azure=webhooks, events=_event_doors(settings, tokens))


def _event_doors(settings: Settings, tokens: Callable[[str, str, str], _MayEnter]) -> tuple[EventDoor, ...]:
    if not settings.azure_event_grid:
        return ()
    from twokey.providers.azure import entra
    from twokey.providers.azure.event_topics import EventTopics
    from twokey.web import EventDoor

    within = tuple(f"/subscriptions/{subscription}" for subscription in settings.azure_subscriptions)
    topics = EventTopics(settings.azure_event_grid_topics or within)
    return tuple(
        EventDoor(
            name,
            secret,
            tenant=settings.azure_tenant,
            may_enter=tokens(name, settings.azure_event_grid_app, entra.EVENT_GRID_ROLE),
            handshake=topics.handshake,
            origins=tuple(origin.lower() for origin in settings.azure_event_grid_origins),
        )
        for name, secret in settings.event_doors().items()
    )


def _tokens(settings: Settings, clock: Clock) -> Callable[[str, str, str], _MayEnter]:
    """Return what makes the judge of a door's tokens; all doors share one set of keys."""
    from twokey.providers.azure.entra import WebhookTokens
    from twokey.providers.azure.signing_keys import SigningKeys

    tenant = settings.azure_webhook_tenant or settings.azure_tenant
    authority = settings.azure_authority.rstrip("/")

    @cache
    def keys() -> SigningKeys:
        return SigningKeys(tenant.lower(), clock, authority)

    def judge(door: str, app: str, role: str) -> _MayEnter:
        if not settings.azure_webhook_audience or door in settings.azure_doors_without_token:
            return None
        audiences = settings.azure_webhook_audience
        return WebhookTokens(
            tenant, audiences, clock, keys(), authority=authority, role=role, app=app
        ).may_enter

    return judge
