"""Azure's names for things: what is a subscription, a resource, a storage account, and its parts.

https://learn.microsoft.com/en-us/azure/azure-resource-manager/management/resource-name-rules
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from twokey.core.errors import Invalid, Json, Refused

GUID = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
GROUP = r"[-\w.()]{0,89}[-\w()]"  # may not end with a full stop
# A segment that could change the request it is put into (".." / "?" / "#" / "%" / quotes) is not a name.
_SEGMENT = r"(?!\.{1,2}(?:/|$))[^/\\?#%&<>'\"\s\x00-\x1f]{1,260}"

SUBSCRIPTION_ID = GUID
STORAGE_ACCOUNT_ID = (
    rf"(?i:/subscriptions/{GUID}/resourceGroups/{GROUP}/providers/Microsoft\.Storage/storageAccounts/"
    r"[a-z0-9]{3,24})"  # names are small letters, but the activity log shouts them
)
RESOURCE_ID = (
    rf"(?i:/subscriptions/{GUID}(?:/resourceGroups/{GROUP})?/providers/)"
    rf"{_SEGMENT}(?:/{_SEGMENT}/{_SEGMENT})+"
)

PARAMETER_TYPES = {
    "azure.subscription_id": SUBSCRIPTION_ID,
    "azure.tenant_id": GUID,
    "azure.storage_account_id": STORAGE_ACCOUNT_ID,
    "azure.storage_account_name": r"[a-z0-9]{3,24}",
    "azure.resource_id": RESOURCE_ID,
    "azure.public_network_access": "Enabled|Disabled|SecuredByPerimeter",
    "azure.tag_name": r"[^<>%&\\?/\x00-\x1f]{1,512}",
}

_STORAGE_ACCOUNT = re.compile(STORAGE_ACCOUNT_ID)
_RESOURCE = re.compile(RESOURCE_ID)


@dataclass(frozen=True, slots=True)
class StorageAccountId:
    """A storage account's resource id, taken apart."""

    subscription: str
    group: str
    name: str

    @property
    def id(self) -> str:
        """Return the resource id in its usual spelling."""
        return (
            f"/subscriptions/{self.subscription}/resourceGroups/{self.group}"
            f"/providers/Microsoft.Storage/storageAccounts/{self.name}"
        )


def storage_account_id(value: Json) -> StorageAccountId:
    """Take a storage account's resource id apart, or refuse whatever is not exactly that."""
    if not isinstance(value, str) or not _STORAGE_ACCOUNT.fullmatch(value):
        raise Refused("azure.not_a_storage_account", resource=value)
    parts = value.split("/")
    return StorageAccountId(subscription=parts[2].lower(), group=parts[4], name=parts[8].lower())


def subscription_of(resource_id: str) -> str:
    """Return the subscription a resource id lies in; text that is not a resource id is Invalid."""
    if not _RESOURCE.fullmatch(resource_id):
        raise Invalid("azure.not_a_resource_id", resource=resource_id)
    return resource_id.split("/")[2].lower()


def is_same(one: str, other: str) -> bool:
    """Say whether two resource ids name the same thing: Azure returns them in any letter case."""
    return one.rstrip("/").casefold() == other.rstrip("/").casefold()
