"""Wiring of AWS: the doors it calls, the queues and lists that are read, and for whom each may speak."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from twokey.ports import Clock, Cursors, Source, Vouch
from twokey.settings import Settings

if TYPE_CHECKING:
    from twokey.providers.aws.options import AwsOptions
    from twokey.providers.aws.session import AwsSession
    from twokey.web import AwsDoors


def aws_options(settings: Settings) -> AwsOptions:
    """Return AWS as the settings describe it."""
    from twokey.providers.aws.options import AwsOptions
    from twokey.providers.aws.sources import queue_of

    tags = (tag.partition("=") for tag in settings.aws_session_tags)
    return AwsOptions(
        region=settings.aws_region,
        endpoint_url=settings.aws_endpoint_url,
        role_name=settings.aws_role_name,
        organizations_role_name=settings.aws_organizations_role_name,
        organizations_account=settings.aws_organizations_account,
        protected_accounts=settings.aws_protected_accounts,
        external_id=settings.aws_external_id,
        session_tags={key: value for key, _, value in tags},
        queues=tuple(queue_of(url) for url in settings.aws_queues),
    )


def aws_doors(settings: Settings, clock: Clock) -> AwsDoors:
    """Make the doors. One that could be guessed, or a topic that is none, stops the start."""
    from twokey.web import AwsDoors, KeyDoor, SnsDoor

    sns = None
    if settings.aws_sns_topics:
        from twokey.providers.aws.sns import SnsListener

        sns = SnsDoor(settings.aws_sns_secret, SnsListener(settings.aws_sns_topics, clock).hear)
    return AwsDoors(sns, tuple(KeyDoor(name, key) for name, key in settings.event_keys().items()))


def aws_sources(settings: Settings, session: AwsSession, cursors: Cursors) -> tuple[Source, ...]:
    """Return the queues that are read and the lists that are asked."""
    from twokey.providers.aws.polling import PollOptions, lists
    from twokey.providers.aws.sources import sources

    queues: tuple[Source, ...] = tuple(sources(session))
    if not settings.aws_poll_s:
        return queues
    regions = tuple(dict.fromkeys(queue.region for queue in session.options.queues if queue.region))
    options = PollOptions(
        what=settings.aws_poll,
        every=timedelta(seconds=settings.aws_poll_s),
        regions=settings.aws_poll_regions or (settings.aws_region,),
        public_regions=settings.aws_poll_regions or (settings.aws_region, *regions),
    )
    return (*queues, *lists(session, cursors, options))


def aws_vouch(settings: Settings) -> Vouch:
    """Return what says for whom a source may not speak."""
    from twokey.providers.aws.vouching import scopes_of

    return scopes_of(settings.aws_source_scopes).dispute
