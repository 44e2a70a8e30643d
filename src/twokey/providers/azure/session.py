"""The way to Azure: credential, clients per subscription, and Azure's errors translated into ours."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from azure.core import exceptions as az
from azure.core.pipeline import policies
from azure.core.pipeline.transport import RequestsTransport

from twokey.core.errors import Invalid, NotFound, Refused, TwokeyError, Unavailable
from twokey.providers.azure.identifiers import SUBSCRIPTION_ID

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential
    from azure.core.pipeline import PipelineRequest, PipelineResponse
    from azure.mgmt.monitor import MonitorManagementClient
    from azure.mgmt.resourcehealth import ResourceHealthMgmtClient
    from azure.mgmt.storage import StorageManagementClient
    from azure.storage.queue import QueueClient

T = TypeVar("T")
PUBLIC_CLOUD = "https://management.azure.com"
MAX_RETRY_AFTER_S = 3.0  # how long a Retry-After may be for a read to wait for it in the worker thread
MAX_CLIENTS = 64


@dataclass(frozen=True, slots=True)
class AzureOptions:
    """What the settings say about Azure. Only resources in `subscriptions` are ever read or changed."""

    tenant: str
    subscriptions: tuple[str, ...]
    base_url: str = PUBLIC_CLOUD  # another cloud's Resource Manager, or a fake one
    scope: str = ""  # of the token; "" is <base_url>/.default
    ca_bundle: str = ""  # file of certificates to trust instead of the usual ones
    use_environment_proxy: bool = True
    connect_timeout_s: float = 5.0
    read_timeout_s: float = 30.0

    def __post_init__(self) -> None:
        for subscription in self.subscriptions:
            if not re.fullmatch(SUBSCRIPTION_ID, subscription):
                raise Invalid("azure.subscription_malformed", subscription=subscription)
        if not self.base_url.startswith("https://"):
            raise Invalid("azure.base_url_not_https", url=self.base_url)
        object.__setattr__(self, "subscriptions", tuple(s.lower() for s in self.subscriptions))


@dataclass
class AzureSession:
    """Clients for the configured subscriptions, made when first used and kept."""

    options: AzureOptions
    credential: TokenCredential | None = None  # None: whatever azure-identity finds
    _clients: dict[tuple[str, str], Any] = field(default_factory=dict, repr=False)
    _lock: Lock = field(default_factory=Lock, repr=False)

    def storage(self, subscription: str) -> StorageManagementClient:
        """Return the storage client of a subscription."""
        from azure.mgmt.storage import StorageManagementClient

        client: StorageManagementClient = self._client("storage", subscription, StorageManagementClient)
        return client

    def health(self, subscription: str) -> ResourceHealthMgmtClient:
        """Return the resource and service health client of a subscription."""
        from azure.mgmt.resourcehealth import ResourceHealthMgmtClient

        client: ResourceHealthMgmtClient = self._client("health", subscription, ResourceHealthMgmtClient)
        return client

    def monitor(self, subscription: str) -> MonitorManagementClient:
        """Return the activity log client of a subscription."""
        from azure.mgmt.monitor import MonitorManagementClient

        client: MonitorManagementClient = self._client("monitor", subscription, MonitorManagementClient)
        return client

    def queue(self, address: str) -> QueueClient:
        """Return the client of a storage queue; the token goes to the host of the settings and no other."""
        from azure.storage.queue import QueueClient

        return QueueClient.from_queue_url(
            address,
            credential=self._credential(),
            transport=self._transport(),
            permit_redirects=False,
            retry_total=1,
            logging_enable=False,
        )

    def close(self) -> None:
        """Close every client's connections."""
        with self._lock:
            clients, self._clients = list(self._clients.values()), {}
        for client in clients:
            client.close()

    def _client(self, kind: str, subscription: str, make: Callable[..., Any]) -> Any:
        subscription = subscription.lower()
        if subscription not in self.options.subscriptions:
            raise Refused("azure.subscription_not_configured", subscription=subscription)
        key = (kind, subscription)
        with self._lock:
            if key not in self._clients:
                while len(self._clients) >= MAX_CLIENTS:
                    self._clients.pop(next(iter(self._clients))).close()
                self._clients[key] = self._make(subscription, make)
            return self._clients[key]

    def _make(self, subscription: str, make: Callable[..., Any]) -> Any:
        from azure.mgmt.core.policies import ARMChallengeAuthenticationPolicy

        options = self.options
        scope = options.scope or options.base_url.rstrip("/") + "/.default"
        credential = self._credential()
        # The SDK's own list follows redirects and registers resource providers by itself: a POST nobody
        # approved. Ours does neither, and sends the token to no other host.
        pipeline = [
            policies.RequestIdPolicy(),
            policies.HeadersPolicy(),
            policies.UserAgentPolicy(base_user_agent="twokey"),
            policies.ContentDecodePolicy(),
            OnlyThisHost(options.base_url),
            BriefReadRetry(),
            ARMChallengeAuthenticationPolicy(credential, scope),
        ]
        return make(
            credential,
            subscription,
            base_url=options.base_url,
            credential_scopes=[scope],
            policies=pipeline,
            transport=self._transport(),
        )

    def _transport(self) -> RequestsTransport:
        options = self.options
        return RequestsTransport(
            connection_timeout=options.connect_timeout_s,
            read_timeout=options.read_timeout_s,
            connection_verify=options.ca_bundle or True,
            use_env_settings=options.use_environment_proxy,
        )

    def _credential(self) -> TokenCredential:
        if self.credential is None:
            from azure.identity import DefaultAzureCredential

            self.credential = DefaultAzureCredential()
        return self.credential


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


@contextmanager
def translating_errors(resource: str) -> Iterator[None]:
    """Translate Azure's errors inside the block into ours, naming the resource they are about."""
    try:
        yield
    except az.AzureError as error:
        raise translated(error, resource) from error


def call(resource: str, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """Call the SDK and return its answer, errors translated."""
    with translating_errors(resource):
        return partial(function, *args, **kwargs)()


def translated(error: az.AzureError, resource: str) -> TwokeyError:
    """Return our error for one of Azure's: not allowed, not there, not understood, or worth another try."""
    if isinstance(error, az.ClientAuthenticationError):
        return Unavailable("azure.sign_in_failed", reason=type(error).__name__)
    if isinstance(error, az.ServiceRequestError):
        return Unavailable("azure.unreachable", resource=resource, reason=type(error).__name__)
    if (
        isinstance(error, az.HttpResponseError)
        and not isinstance(error, az.DecodeError)
        and error.status_code
    ):
        return _of_response(error, error.status_code, resource)
    # Sent, but not (wholly) answered: a write may have been done. Whoever wrote must read back.
    return Unavailable("azure.answer_lost", resource=resource)


def _of_response(error: az.HttpResponseError, status: int, resource: str) -> TwokeyError:
    code = (error.error.code if error.error else "") or ""
    if status == 403 and code.startswith("RequestDisallowed"):
        return Refused("azure.denied_by_policy", resource=resource)
    if status == 403:
        named = re.search(r"perform action '([\w./*-]+)'", error.message or "")
        return Refused("azure.access_denied", resource=resource, permission=named[1] if named else "?")
    if status == 404:
        return NotFound("azure.not_found", resource=resource)
    if status == 409 and code == "ScopeLocked":
        return Refused("azure.locked", resource=resource)
    if status in (409, 412):
        return Unavailable("azure.concurrent_modification", resource=resource, reason=code)
    if status == 429:
        headers = getattr(error.response, "headers", None) or {}
        retry_after = str(headers.get("Retry-After", ""))
        seconds = retry_after if re.fullmatch(r"\d{1,6}", retry_after) else "?"
        return Unavailable("azure.throttled", resource=resource, seconds=seconds)
    if status >= 500 or status == 408:
        return Unavailable("azure.server_error", resource=resource, status=status)
    return Invalid("azure.request_refused", resource=resource, status=status, reason=code)


def _origin(url: str) -> tuple[str, str, int]:
    parts = urlsplit(url)
    return parts.scheme.lower(), (parts.hostname or "").lower(), parts.port or 443
