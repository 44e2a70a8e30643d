"""How requests to Azure's Resource Manager travel: to no other host, and a write only once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import NAMESPACE_URL, uuid5

from azure.core import exceptions as az
from azure.core.pipeline import policies
from azure.mgmt.core.policies import ARMChallengeAuthenticationPolicy

from twokey.ports import ACTING_FOR

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential
    from azure.core.pipeline import PipelineRequest, PipelineResponse

MAX_RETRY_AFTER_S = 3.0  # how long a Retry-After may be for a read to wait for it in the worker thread


def pipeline(base_url: str, credential: TokenCredential, scope: str) -> list[Any]:
    """Return the policies that every request goes through."""
    # The SDK's own list follows redirects and registers resource providers by itself: a POST nobody
    # approved. Ours does neither, and sends the token to no other host.
    return [
        policies.RequestIdPolicy(),
        NamesTheRun(),
        policies.HeadersPolicy(),
        policies.UserAgentPolicy(base_user_agent="twokey"),
        policies.ContentDecodePolicy(),
        OnlyThisHost(base_url),
        BriefReadRetry(),
        ARMChallengeAuthenticationPolicy(credential, scope),
    ]


class NamesTheRun(policies.SansIOHTTPPolicy[Any, Any]):
    """Send every request of a run under one id that follows from its plan's: the activity log shows it.

    Nobody proves it there, as AWS does for a source identity: whoever calls may send any id.
    """

    def on_request(self, request: PipelineRequest[Any]) -> None:
        """Put the run's id in place of a random one."""
        if run := ACTING_FOR.get():
            request.http_request.headers["x-ms-client-request-id"] = client_request_id(run.plan_id)


def client_request_id(plan_id: str) -> str:
    """Return the id that requests for a plan carry: Azure wants a GUID there."""
    return str(uuid5(NAMESPACE_URL, f"twokey:{plan_id}"))


class OnlyThisHost(policies.SansIOHTTPPolicy[Any, Any]):
    """Refuse requests to other hosts: a next-page link is data, and the token must not follow it."""

    def __init__(self, base_url: str) -> None:
        self._origin = _origin(base_url)

    def on_request(self, request: PipelineRequest[Any]) -> None:
        """Look at where a request goes before it is sent."""
        if _origin(request.http_request.url) != self._origin:
            raise az.ServiceRequestError("the request would leave the configured Resource Manager")


class BriefReadRetry(policies.RetryPolicy[Any, Any]):
    """Try reads again briefly, and writes never: whoever writes reads back first.

    The SDK's own policy repeats a PATCH after a 500 and sleeps for as long as Retry-After says.
    """

    def __init__(self) -> None:
        super().__init__(retry_total=2, retry_backoff_factor=0.2, retry_backoff_max=1)

    def is_retry(self, settings: dict[str, Any], response: PipelineResponse[Any, Any]) -> bool:
        """Say whether an answer is worth asking again for."""
        if response.http_request.method.upper() != "GET":
            return False
        if (self.get_retry_after(response) or 0.0) > MAX_RETRY_AFTER_S:
            return False
        return bool(super().is_retry(settings, response))

    def _is_method_retryable(
        self, settings: dict[str, Any], request: Any, response: Any = None
    ) -> bool:  # asked when there was no answer at all
        return bool(request.method.upper() == "GET")


def _origin(url: str) -> tuple[str, str, int]:
    parts = urlsplit(url)
    return parts.scheme.lower(), (parts.hostname or "").lower(), parts.port or 443
