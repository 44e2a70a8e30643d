"""What the fake Resource Manager knows: subscriptions, storage accounts, health and the activity log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from twokey.core.errors import Json

Object = dict[str, Json]


@dataclass(slots=True)
class Container:
    """One blob container; `public_access` is None, Blob or Container."""

    name: str
    public_access: str = "None"

    def shown(self, account_id: str) -> Object:
        """Return it as the list of containers shows it."""
        return {
            "id": f"{account_id}/blobServices/default/containers/{self.name}",
            "name": self.name,
            "type": "Microsoft.Storage/storageAccounts/blobServices/containers",
            "etag": '"0x8D589847D51C7DE"',
            "properties": {
                "publicAccess": self.public_access,
                "leaseStatus": "Unlocked",
                "leaseState": "Available",
                "hasImmutabilityPolicy": False,
                "hasLegalHold": False,
            },
        }


@dataclass(slots=True)
class StorageAccount:
    """One storage account. A setting that is None was never made: answers leave it out, as Azure's do."""

    subscription: str
    group: str
    name: str
    location: str = "japaneast"
    kind: str = "StorageV2"
    tags: dict[str, str] = field(default_factory=dict)
    allow_blob_public_access: bool | None = True
    public_network_access: str | None = None
    containers: list[Container] = field(default_factory=list)
    private_endpoints: int = 0
    lock: str = ""  # "ReadOnly": changes are answered with ScopeLocked

    @property
    def id(self) -> str:
        """Return its resource id."""
        return (
            f"/subscriptions/{self.subscription}/resourceGroups/{self.group}"
            f"/providers/Microsoft.Storage/storageAccounts/{self.name}"
        )

    def shown(self) -> Object:
        """Return it as get, list and update show it."""
        properties: Object = {
            "creationTime": "2017-06-01T02:42:41.7633306Z",
            "networkAcls": {"bypass": "AzureServices", "defaultAction": "Allow", "ipRules": []},
            "primaryEndpoints": {"blob": f"https://{self.name}.blob.core.windows.net/"},
            "primaryLocation": self.location,
            "provisioningState": "Succeeded",
            "statusOfPrimary": "available",
            "supportsHttpsTrafficOnly": True,
            "privateEndpointConnections": [
                {"id": f"{self.id}/privateEndpointConnections/{number}", "name": str(number)}
                for number in range(self.private_endpoints)
            ],
        }
        if self.allow_blob_public_access is not None:
            properties["allowBlobPublicAccess"] = self.allow_blob_public_access
        if self.public_network_access is not None:
            properties["publicNetworkAccess"] = self.public_network_access
        return {
            "id": self.id,
            "name": self.name,
            "type": "Microsoft.Storage/storageAccounts",
            "kind": self.kind,
            "location": self.location,
            "sku": {"name": "Standard_GRS", "tier": "Standard"},
            "tags": dict(self.tags),
            "properties": properties,
        }

    def patch(self, body: Mapping[str, Json]) -> None:
        """Change what a PATCH names and leave the rest; tags are replaced as a whole."""
        properties = body.get("properties")
        if isinstance(properties, dict):
            allow = properties.get("allowBlobPublicAccess")
            if isinstance(allow, bool):
                self.allow_blob_public_access = allow
            access = properties.get("publicNetworkAccess")
            if isinstance(access, str):
                self.public_network_access = access
        tags = body.get("tags")
        if isinstance(tags, dict):
            self.tags = {name: str(value) for name, value in tags.items()}


@dataclass(slots=True)
class ArmState:
    """Everything that the fake answers from. Tests change it directly."""

    tenant: str = "00000000-0000-0000-0000-00000000000f"
    subscriptions: dict[str, str] = field(default_factory=dict)  # id -> Enabled | Disabled | Warned
    accounts: list[StorageAccount] = field(default_factory=list)
    availability: dict[str, list[Object]] = field(default_factory=dict)  # resource id -> newest first
    events: dict[str, list[Object]] = field(default_factory=dict)  # subscription -> service health events
    resource_events: dict[str, list[Object]] = field(default_factory=dict)  # resource id -> events
    tenant_events: list[Object] = field(default_factory=list)
    impacted: dict[str, list[str]] = field(default_factory=dict)  # tracking id -> resource ids
    security_impacted: dict[str, list[str]] = field(default_factory=dict)  # the same, of security advisories
    activity: list[Object] = field(default_factory=list)  # newest first
    groups: list[str] = field(default_factory=lambda: ["rg-web"])  # resource groups, in every subscription
    alerting: dict[str, Object] = field(default_factory=dict)  # folded id -> action group or alert rule
    notified: list[Object] = field(default_factory=list)  # test notifications that were asked for
    page_size: int = 50

    def account(self, resource_id: str) -> StorageAccount | None:
        """Return the storage account with this id, in any letter case."""
        wanted = resource_id.casefold()
        return next((account for account in self.accounts if account.id.casefold() == wanted), None)


def health_event(tracking_id: str, **properties: Json) -> Object:
    """Build a service health event after the published example."""
    return {
        "id": f"/providers/Microsoft.ResourceHealth/events/{tracking_id}",
        "name": tracking_id,
        "type": "/providers/Microsoft.ResourceHealth/events",
        "properties": {
            "eventType": "ServiceIssue",
            "eventSource": "ResourceHealth",
            "status": "Active",
            "title": "ACTIVE: Virtual machines in West US",
            "summary": "An outage alert is being investigated.",
            "header": "Your service might have been impacted by an Azure service issue",
            "level": "Warning",
            "eventLevel": "Warning",
            "impactStartTime": "2026-05-12T14:45:48.1203530Z",
            "lastUpdateTime": "2026-05-13T15:43:48.1203530Z",
            "isHIR": False,
            "isEventSensitive": False,
            "priority": 2,
            "eventTags": [],
            "impact": [
                {
                    "impactedService": "Virtual Machines",
                    "impactedServiceGuid": "fd8065f5-ffd0-4756-8788-e6a11bf36257",
                    "impactedRegions": [{"impactedRegion": "West US", "status": "Active", "updates": []}],
                }
            ],
            **properties,
        },
    }


def log_entry(
    resource_id: str,
    operation: str,
    at: datetime,
    *,
    caller: str = "admin@contoso.example",
    status: str = "Succeeded",
    ip: str = "192.0.2.35",
    correlation_id: str = "1e121103-0ba6-4300-ac9d-952bb5d0c80f",
) -> Object:
    """Build an activity log entry after the published example."""
    stamp = at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    event_id = f"{operation}-{stamp}-{status}"
    names: Sequence[tuple[str, str]] = (
        ("eventName", "EndRequest"),
        ("category", "Administrative"),
        ("operationName", operation),
        ("status", status),
        ("subStatus", ""),
        ("resourceProviderName", resource_id.split("/")[6] if resource_id.count("/") >= 6 else ""),
    )
    return {
        "authorization": {"action": operation, "role": "Subscription Admin", "scope": resource_id},
        "caller": caller,
        "claims": {"name": "John Smith"},
        "correlationId": correlation_id,
        "description": "",
        "eventDataId": event_id,
        "httpRequest": {"clientRequestId": "27003b25", "clientIpAddress": ip, "method": "PATCH"},
        "id": f"{resource_id}/events/{event_id}/ticks/635574752669792776",
        "level": "Informational",
        "resourceGroupName": resource_id.split("/")[4] if resource_id.count("/") >= 4 else "",
        "resourceId": resource_id,
        "operationId": correlation_id,
        "properties": {"statusCode": "OK"},
        "eventTimestamp": stamp,
        "submissionTimestamp": stamp,
        "subscriptionId": resource_id.split("/")[2],
        **{name: {"value": value, "localizedValue": value} for name, value in names},
    }
