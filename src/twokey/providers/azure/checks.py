"""Questions to Azure that guards and verifications ask, by reads only."""

from __future__ import annotations

from collections.abc import Mapping

from twokey.core.errors import Invalid, Json, message
from twokey.core.runbooks import CheckResult, Target
from twokey.providers.azure import marks, storage
from twokey.providers.azure.identifiers import storage_account_id
from twokey.providers.azure.session import AzureSession


class PublicAccessEquals:
    """Ask whether an account's setting for anonymous readers is explicitly this."""

    name: str = "azure.storage.public_access_equals"
    permissions: tuple[str, ...] = (storage.READ,)
    inputs: Mapping[str, str] = {
        "storage_account_id": "azure.storage_account_id",
        "allow": "bool",
    }

    def __init__(self, session: AzureSession) -> None:
        self.session = session

    def holds(self, target: Target, inputs: Mapping[str, Json]) -> CheckResult:
        """Answer; a setting that was never made equals neither yes nor no."""
        wanted = inputs["allow"]
        if not isinstance(wanted, bool):
            raise Invalid("azure.not_yes_or_no", input="allow", value=wanted)
        account = storage.look(self.session, storage.within(target, inputs["storage_account_id"]))
        found = account.allow_blob_public_access
        seen: dict[str, Json] = {"allow_blob_public_access": found}
        if found is wanted:
            return CheckResult(True, seen)
        return CheckResult(
            False,
            seen,
            message("azure.public_access_differs", account=account.at.name, found=found, wanted=wanted),
        )


class PublicNetworkAccessEquals:
    """Ask whether an account's setting for public networks is this; never set is Enabled."""

    name: str = "azure.storage.public_network_access_equals"
    permissions: tuple[str, ...] = (storage.READ,)
    inputs: Mapping[str, str] = {
        "storage_account_id": "azure.storage_account_id",
        "access": "azure.public_network_access",
    }

    def __init__(self, session: AzureSession) -> None:
        self.session = session

    def holds(self, target: Target, inputs: Mapping[str, Json]) -> CheckResult:
        """Answer from a fresh read."""
        wanted = inputs["access"]
        account = storage.look(self.session, storage.within(target, inputs["storage_account_id"]))
        seen: dict[str, Json] = {"public_network_access": account.public_network_access}
        if account.network == wanted:
            return CheckResult(True, seen)
        reason = message(
            "azure.network_access_differs", account=account.at.name, found=account.network, wanted=wanted
        )
        return CheckResult(False, seen, reason)


class AccountInSubscription:
    """Ask whether an account lies in the incident's subscription, and Azure finds it there."""

    name: str = "azure.storage.account_in_subscription"
    permissions: tuple[str, ...] = (storage.READ,)
    inputs: Mapping[str, str] = {
        "storage_account_id": "azure.storage_account_id",
        "subscription_id": "azure.subscription_id",
    }

    def __init__(self, session: AzureSession) -> None:
        self.session = session

    def holds(self, target: Target, inputs: Mapping[str, Json]) -> CheckResult:
        """Answer no for another subscription without asking Azure anything about it."""
        at = storage_account_id(inputs["storage_account_id"])
        wanted = str(inputs["subscription_id"]).lower()
        if {at.subscription, target.account.lower()} != {wanted}:
            reason = message("azure.other_subscription", resource=at.id, subscription=wanted)
            return CheckResult(False, {"subscription": at.subscription}, reason)
        account = storage.look(self.session, at)
        return CheckResult(True, {"storage_account_id": account.id, "location": account.location})


class AccountIsNamed:
    """Ask whether the name that an approver types is the name of exactly the account that would change."""

    name: str = "azure.storage.account_is_named"
    permissions: tuple[str, ...] = ()
    inputs: Mapping[str, str] = {
        "storage_account_id": "azure.storage_account_id",
        "name": "azure.storage_account_name",
    }

    def __init__(self, session: AzureSession) -> None:
        self.session = session

    def holds(self, target: Target, inputs: Mapping[str, Json]) -> CheckResult:
        """Compare the name with the last part of the id."""
        at = storage.within(target, inputs["storage_account_id"])
        if at.name == inputs["name"]:
            return CheckResult(True, {"name": at.name})
        reason = message("azure.other_name", resource=at.id, name=inputs["name"])
        return CheckResult(False, {"name": at.name}, reason)


class HasNoTag:
    """Ask whether nothing keeps a storage account out: no setting, and no tag that was there before `since`."""

    name: str = "azure.resource.has_no_tag"
    permissions: tuple[str, ...] = (marks.READ_LOG, storage.READ)
    inputs: Mapping[str, str] = {
        "resource_id": "azure.storage_account_id",
        "tag": "azure.tag_name",
        "since": "text?",
    }

    def __init__(self, session: AzureSession) -> None:
        self.session = session

    def holds(self, target: Target, inputs: Mapping[str, Json]) -> CheckResult:
        """Answer from a fresh read."""
        tag = str(inputs["tag"])
        account = storage.look(self.session, storage.within(target, inputs["resource_id"]))
        found = marks.verdict(self.session, account, inputs.get("since"), tag)
        # What the digest covers is whether it counts: a tag that does not may come and go.
        seen: dict[str, Json] = {"tag": tag, "is_there": bool(found.reason)}
        notes = (found.note,) if found.note else ()
        return CheckResult(not found.reason, seen, found.reason, notes, found.not_yet)


CHECKS = (PublicAccessEquals, PublicNetworkAccessEquals, AccountInSubscription, AccountIsNamed, HasNoTag)
