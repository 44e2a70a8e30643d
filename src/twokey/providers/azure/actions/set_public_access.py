"""Containment: whether anonymous readers may get into a storage account's blobs at all."""

from __future__ import annotations

from collections.abc import Mapping

from twokey.core.errors import Invalid, Json, Message, TwokeyError, message
from twokey.core.executions import Lookup
from twokey.core.runbooks import Effect, Preview, Reversibility, Risk, Target, references
from twokey.providers.azure import marks, storage
from twokey.providers.azure.actions.changes import Setting, preview_change
from twokey.providers.azure.session import AzureSession

_SETTING = Setting("allow_blob_public_access", lambda account: account.allow_blob_public_access)


class SetPublicAccess:
    """Set an account's `allowBlobPublicAccess`; the undo is the same action with the value from before."""

    name: str = "azure.storage.set_public_access"
    effect: Effect = Effect.MODIFY
    reversibility: Reversibility = Reversibility.REVERSIBLE
    permissions: tuple[str, ...] = (
        marks.READ_LOG,
        storage.READ,
        storage.WRITE,
        storage.READ_CONTAINERS,
    )
    inputs: Mapping[str, str] = {
        "storage_account_id": "azure.storage_account_id",
        "allow": "bool",
        "since": "text?",
    }
    outputs: tuple[str, ...] = ("storage_account_id", "allow_blob_public_access")

    def __init__(self, session: AzureSession) -> None:
        self.session = session

    def least_risk(self, inputs: Mapping[str, Json]) -> Risk:
        """Count letting readers in as high; what is not known yet counts as that."""
        return Risk.MEDIUM if inputs.get("allow") is False else Risk.HIGH

    def preview(self, target: Target, inputs: Mapping[str, Json]) -> Preview:
        """Say which account would change and what its setting is now; refuse what must never be touched."""
        return preview_change(
            self.session,
            target,
            inputs,
            # The effect depends on no setting of before, and whoever may write the account may change them all.
            # Which containers are open is a warning for the same reason.
            shown=lambda account: {_SETTING.name: account.allow_blob_public_access},
            warnings=lambda account: self._notes(account, inputs["allow"]),
        )

    def capture(self, target: Target, inputs: Mapping[str, Json]) -> Mapping[str, Json]:
        """Keep the setting as it was; Azure cannot go back to "never set", so that is kept as allowed."""
        account = storage.look(self.session, storage.within(target, inputs["storage_account_id"]))
        return {
            "allow_blob_public_access": account.may_be_public,
            "was_set": account.allow_blob_public_access is not None,
        }

    def apply(self, target: Target, inputs: Mapping[str, Json], key: str) -> Mapping[str, Json]:
        """Look, and change the setting when it is not already so."""
        return _SETTING.put(self.session, target, inputs, _flag(inputs["allow"]))

    def find(self, target: Target, inputs: Mapping[str, Json], key: str) -> Lookup:
        """Read the setting: it is there, or it is not; an account that is gone is for a person to decide."""
        return _SETTING.find(self.session, target, inputs, _flag(inputs["allow"]))

    def _notes(self, account: storage.Account, allow: Json) -> list[Message]:
        name = account.at.name
        if references(allow):
            return []
        if _flag(allow):
            return [message("azure.note.readers_return", account=name)]
        notes = [self._who_loses(account), message("azure.note.static_website_stays", account=name)]
        if account.allow_blob_public_access is None:
            notes.append(message("azure.note.never_set", account=name))
        return notes

    def _who_loses(self, account: storage.Account) -> Message:
        name = account.at.name
        try:
            found = storage.public_containers(self.session, account.at)
        except TwokeyError:
            # The list is only shown: containment must not wait for it.
            return message("azure.note.containers_unknown", account=name)
        shown = ", ".join(found.names[:5])
        if not found.names:
            return message("azure.note.no_public_containers", account=name, looked_at=found.looked_at)
        return message("azure.note.public_containers", account=name, count=len(found.names), names=shown)


def _flag(value: Json) -> bool:
    if not isinstance(value, bool):
        raise Invalid("azure.not_yes_or_no", input="allow", value=value)
    return value
