"""AWS as its section of the settings describes it: the calls, the endpoints, the queues and lists that are read."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from twokey.ports import Clock, Cursors, Source
from twokey.providers.aws.options import AwsOptions
from twokey.providers.aws.polling import PollOptions, lists
from twokey.providers.aws.session import AwsSession
from twokey.providers.aws.settings import AwsSettings
from twokey.providers.aws.sources import queue_of, sources

if TYPE_CHECKING:
    from twokey.providers.aws.endpoints import AwsEndpoints


def options_of(settings: AwsSettings) -> AwsOptions:
    """Return what calls to AWS need to know."""
    tags = (tag.partition("=") for tag in settings.session_tags)
    return AwsOptions(
        region=settings.region,
        endpoint_url=settings.endpoint_url,
        role_name=settings.role_name,
        organizations_role_name=settings.organizations_role_name,
        organizations_account=settings.organizations_account,
        protected_accounts=settings.protected_accounts,
        never_contain=settings.never_contain,
        contain_despite_tag=settings.contain_despite_tag,
        external_id=settings.external_id,
        session_tags={key: value for key, _, value in tags},
        source_identity=settings.source_identity,
        queues=tuple(queue_of(url) for url in settings.queues),
    )


def endpoints_of(settings: AwsSettings, clock: Clock) -> AwsEndpoints:
    """Make the endpoints. One that could be guessed, or a topic that is none, stops the start."""
    from twokey.providers.aws.endpoints import AwsEndpoints, EventBridgeEndpoint, SnsEndpoint

    sns = None
    if settings.sns_topics:
        from twokey.providers.aws.sns import SnsListener

        sns = SnsEndpoint(settings.sns_secret, SnsListener(settings.sns_topics, clock).hear)
    keys = tuple(EventBridgeEndpoint(name, key) for name, key in settings.keys().items())
    return AwsEndpoints(sns, keys)


def sources_of(settings: AwsSettings, session: AwsSession, cursors: Cursors) -> tuple[Source, ...]:
    """Return the queues that are read and the lists that are asked."""
    queues: tuple[Source, ...] = tuple(sources(session))
    if not settings.poll_s:
        return queues
    regions = tuple(dict.fromkeys(queue.region for queue in session.options.queues if queue.region))
    options = PollOptions(
        what=settings.poll,
        every=timedelta(seconds=settings.poll_s),
        regions=settings.poll_regions or (settings.region,),
        public_regions=settings.poll_regions or (settings.region, *regions),
    )
    return (*queues, *lists(session, cursors, options))
