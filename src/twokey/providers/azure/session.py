"""The way to Azure: the credential, and clients for each subscription. The SDK is imported where it is used."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Any

from twokey.core.errors import Invalid, Refused
from twokey.providers.azure.identifiers import SUBSCRIPTION_ID

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential
    from azure.core.pipeline.transport import RequestsTransport
    from azure.mgmt.monitor import MonitorManagementClient
    from azure.mgmt.resourcehealth import ResourceHealthMgmtClient
    from azure.mgmt.storage import StorageManagementClient
    from azure.storage.queue import QueueClient

PUBLIC_CLOUD = "https://management.azure.com"
MAX_CLIENTS = 64


@dataclass(frozen=True, slots=True)
class AzureOptions:
    """What the settings say about Azure. Only resources in `subscriptions` are ever read or changed."""

    tenant: str
    subscriptions: tuple[str, ...]
    base_url: str = PUBLIC_CLOUD  # another cloud's Resource Manager, or a fake one
    scope: str = ""  # of the token; "" is <base_url>/.default
    never_contain: tuple[str, ...] = ()  # storage accounts and subscriptions that nothing of ours contains
    contain_despite_tag: tuple[str, ...] = ()  # storage accounts whose never-contain tag is set aside
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
        from twokey.providers.azure.pipeline import pipeline

        options = self.options
        scope = options.scope or options.base_url.rstrip("/") + "/.default"
        credential = self._credential()
        return make(
            credential,
            subscription,
            base_url=options.base_url,
            credential_scopes=[scope],
            policies=pipeline(options.base_url, credential, scope),
            transport=self._transport(),
        )

    def _transport(self) -> RequestsTransport:
        from azure.core.pipeline.transport import RequestsTransport

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
