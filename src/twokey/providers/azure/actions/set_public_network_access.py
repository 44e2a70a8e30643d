"""Containment: whether a storage account can be reached from public networks at all."""

from __future__ import annotations

from collections.abc import Mapping

from twokey.core.errors import Invalid, Json, Message, message
from twokey.core.executions import Lookup
from twokey.core.runbooks import Effect, Preview, Reversibility, Risk, Target, references
from twokey.providers.azure import marks, storage
from twokey.providers.azure.actions.changes import Setting, preview_change
from twokey.providers.azure.session import AzureSession

_SETTING = Setting("public_network_access", lambda account: account.network)
ACCESS = ("Enabled", "Disabled", "SecuredByPerimeter")


class SetPublicNetworkAccess:
    """Set an account's `publicNetworkAccess`; it cuts off our own clients too, unless they come privately."""

    name: str = "azure.storage.set_public_network_access"
    effect: Effect = Effect.MODIFY
    reversibility: Reversibility = Reversibility.REVERSIBLE
    permissions: tuple[str, ...] = (marks.READ_LOG, storage.READ, storage.WRITE)
    inputs: Mapping[str, str] = {
        "storage_account_id": "azure.storage_account_id",
        "access": "azure.public_network_access",
        "since": "text?",
    }
    outputs: tuple[str, ...] = ("storage_account_id", "public_network_access")

    def __init__(self, session: AzureSession) -> None:
        self.session = session

    def least_risk(self, inputs: Mapping[str, Json]) -> Risk:
        """Count as high either way: it lets everybody in, or cuts our own clients off."""
        return Risk.HIGH

    def preview(self, target: Target, inputs: Mapping[str, Json]) -> Preview:
        """Say which account would change and who would be cut off; refuse what must never be touched."""

        def warnings(account: storage.Account) -> list[Message]:
            access = inputs["access"]
            if references(access) or _access(access) != "Disabled":
                return []
            endpoints = account.private_endpoints
            return [message("azure.note.network_cut", account=account.at.name, private_endpoints=endpoints)]

        return preview_change(
            self.session,
            target,
            inputs,
            shown=lambda account: {_SETTING.name: account.public_network_access},
            warnings=warnings,
        )

    def capture(self, target: Target, inputs: Mapping[str, Json]) -> Mapping[str, Json]:
        """Keep the setting as it was; never set is Enabled."""
        account = storage.look(self.session, storage.within(target, inputs["storage_account_id"]))
        return {
            "public_network_access": account.network,
            "was_set": account.public_network_access is not None,
        }

    def apply(self, target: Target, inputs: Mapping[str, Json], key: str) -> Mapping[str, Json]:
        """Look, and change the setting when it is not already so."""
        return _SETTING.put(self.session, target, inputs, _access(inputs["access"]))

    def find(self, target: Target, inputs: Mapping[str, Json], key: str) -> Lookup:
        """Read the setting: it is there, or it is not; an account that is gone is for a person to decide."""
        return _SETTING.find(self.session, target, inputs, _access(inputs["access"]))


def _access(value: Json) -> str:
    if value not in ACCESS:
        raise Invalid("azure.not_a_network_access", value=value, known=", ".join(ACCESS))
    return str(value)
