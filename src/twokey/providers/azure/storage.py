"""Storage accounts: a fresh look at one, and the reasons why it must not be touched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, cast

from twokey.core.errors import Invalid, Json, Refused
from twokey.core.runbooks import Preview, Target, Touch, references
from twokey.providers.azure.faults import call, translating_errors
from twokey.providers.azure.identifiers import StorageAccountId, is_same, storage_account_id
from twokey.providers.azure.session import AzureSession

if TYPE_CHECKING:
    from azure.mgmt.storage.models import StorageAccount

READ = "Microsoft.Storage/storageAccounts/read"
WRITE = "Microsoft.Storage/storageAccounts/write"
READ_CONTAINERS = "Microsoft.Storage/storageAccounts/blobServices/containers/read"

NEVER_CONTAIN = "twokey:never-contain"
MAX_CONTAINERS = 5000  # one account may hold any number: what is not looked at is said


@dataclass(frozen=True, slots=True)
class Account:
    """A storage account as Azure says right now. `None` means that the setting was never made."""

    at: StorageAccountId
    id: str
    location: str = ""
    kind: str = ""
    allow_blob_public_access: bool | None = None
    public_network_access: str | None = None
    default_network_action: str | None = None
    private_endpoints: int = 0
    created_at: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def may_be_public(self) -> bool:
        """Say whether anonymous readers may get in: only an explicit no is a no.

        Azure's pages read a setting that was never made as yes for older accounts and as no for newer ones:
        https://learn.microsoft.com/en-us/azure/storage/blobs/anonymous-read-access-prevent
        """
        return self.allow_blob_public_access is not False

    @property
    def network(self) -> str:
        """Return who may reach it over the network; never set means Enabled."""
        return self.public_network_access or "Enabled"

    def has_tag(self, name: str) -> bool:
        """Say whether it carries a tag; Azure's tag names have no letter case.

        https://learn.microsoft.com/en-us/azure/azure-resource-manager/management/tag-resources
        """
        return name.casefold() in {tag.casefold() for tag in self.tags}

    def touch(self) -> Touch:
        """Name it as a thing a plan would change."""
        return Touch("storage-account", self.id, self.at.name)


@dataclass(frozen=True, slots=True)
class PublicContainers:
    """The blob containers whose own setting lets anonymous readers in."""

    names: tuple[str, ...]
    looked_at: int
    is_complete: bool


def within(target: Target, value: Json) -> StorageAccountId:
    """Read a storage account id, or refuse: it must lie in the subscription that the plan is about."""
    at = storage_account_id(value)
    if at.subscription != target.account.lower():
        raise Refused("azure.other_subscription", resource=at.id, subscription=target.account)
    return at


def look(session: AzureSession, at: StorageAccountId) -> Account:
    """Read one storage account now."""
    client = session.storage(at.subscription)
    found = call(at.id, client.storage_accounts.get_properties, at.group, at.name)
    return account_of(found, at)


def account_of(found: StorageAccount, at: StorageAccountId) -> Account:
    """Take what we need from Azure's answer, which must be about the account that was asked for."""
    if not is_same(found.id or "", at.id):
        raise Invalid("azure.other_answer", resource=at.id, found=found.id or "?")
    properties: Any = found.properties
    rules = getattr(properties, "network_rule_set", None)
    return Account(
        at=at,
        id=found.id or at.id,
        location=found.location or "",
        kind=_text(found.kind),
        allow_blob_public_access=getattr(properties, "allow_blob_public_access", None),
        public_network_access=_text(getattr(properties, "public_network_access", None)) or None,
        default_network_action=_text(getattr(rules, "default_action", None)) or None,
        private_endpoints=len(getattr(properties, "private_endpoint_connections", None) or ()),
        created_at=str(getattr(properties, "creation_time", None) or ""),
        tags=dict(found.tags or {}),
    )


def public_containers(session: AzureSession, at: StorageAccountId) -> PublicContainers:
    """List the containers that are open by their own setting, page by page."""
    client = session.storage(at.subscription)
    names: list[str] = []
    looked_at = 0
    with translating_errors(at.id):
        containers = iter(client.blob_containers.list(at.group, at.name))
        for container in islice(containers, MAX_CONTAINERS):
            looked_at += 1
            if (_text(container.public_access) or "None") != "None" and not container.deleted:
                names.append(container.name or "?")
        is_complete = next(containers, None) is None
    return PublicContainers(tuple(names), looked_at, is_complete)


def readable(target: Target, value: Json) -> Preview:
    """Return the preview of a step that only reads: nothing is touched, if the id is one we may read."""
    if references(value):
        return Preview()
    try:
        within(target, value)
    except Refused as error:
        return Preview(refusal=error.message)
    return Preview()


def change(session: AzureSession, account: Account, **properties: object) -> Account:
    """Set properties of an account; only what changes is sent, for a PATCH leaves everything else as it is."""
    from azure.mgmt.storage.models import (
        StorageAccountPropertiesUpdateParameters,
        StorageAccountUpdateParameters,
    )

    wanted = StorageAccountUpdateParameters(
        properties=StorageAccountPropertiesUpdateParameters(**cast("Any", properties))
    )
    at = account.at
    update = session.storage(at.subscription).storage_accounts.update
    return account_of(call(at.id, update, at.group, at.name, wanted), at)


def _text(value: object) -> str:
    return str(getattr(value, "value", value) or "")
