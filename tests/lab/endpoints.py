"""The web application as the bot wires it, around endpoints that a test makes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from twokey.clouds import CLOUDS
from twokey.core.signals import RawNotification
from twokey.ports import Clock, Route
from twokey.providers.aws.endpoints import AwsEndpoints, aws_routes
from twokey.providers.azure.endpoints import AzureEndpoints, azure_routes
from twokey.web import Inbox, Limits, WebApp, hiding, web_app
from twokey.web.limits import DEFAULT

hide = hiding(prefix for module in CLOUDS for prefix in module.secret_prefixes)
_NO_AWS = AwsEndpoints()


def application(
    receive: Callable[[Sequence[RawNotification]], list[str]],
    *,
    azure: AzureEndpoints,
    clock: Clock,
    readiness: Callable[[], Mapping[str, str]],
    aws: AwsEndpoints = _NO_AWS,
    slack: Route | None = None,
    limits: Limits = DEFAULT,
) -> WebApp:
    """Build the application with both clouds' routes."""
    inbox = Inbox(receive, limits)
    routes = [*aws_routes(inbox, aws, clock, limits), *azure_routes(inbox, azure, clock, limits)]
    routes += [slack] if slack else []
    return web_app(inbox, routes, readiness=readiness, hide=hide, limits=limits)
