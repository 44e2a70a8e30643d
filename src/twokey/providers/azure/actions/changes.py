"""What the actions that change a storage account have in common: the preview, and one setting that is set."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from twokey.core.errors import Json, Message, NotFound, Refused, message
from twokey.core.executions import Found, Lookup
from twokey.core.runbooks import Preview, Target, references
from twokey.providers.azure import marks, storage
from twokey.providers.azure.session import AzureSession


@dataclass(frozen=True, slots=True)
class Setting:
    """One property of a storage account that an action sets: its name, and how its value now is read."""

    name: str
    of: Callable[[storage.Account], Json]

    def put(
        self, session: AzureSession, target: Target, inputs: Mapping[str, Json], wanted: Json
    ) -> dict[str, Json]:
        """Look, and change the setting when it is not already so."""
        account = storage.look(session, storage.within(target, inputs["storage_account_id"]))
        marks.require_containable(session, account, inputs.get("since"))
        if self.of(account) != wanted:
            account = storage.change(session, account, **{self.name: wanted})
        return {"storage_account_id": account.id, self.name: self.of(account)}

    def find(self, session: AzureSession, target: Target, inputs: Mapping[str, Json], wanted: Json) -> Lookup:
        """Read the setting: it is there, or it is not; an account that is gone is for a person to decide."""
        try:
            account = storage.look(session, storage.within(target, inputs["storage_account_id"]))
        except NotFound:
            return Lookup(Found.CANNOT_TELL)
        if self.of(account) != wanted:
            return Lookup(Found.NOT_DONE)
        return Lookup(Found.DONE, {"storage_account_id": account.id, self.name: wanted})


def preview_change(
    session: AzureSession,
    target: Target,
    inputs: Mapping[str, Json],
    shown: Callable[[storage.Account], Mapping[str, Json]],
    warnings: Callable[[storage.Account], Iterable[Message]],
) -> Preview:
    """Say which account would change; one that is known only later, or is not for us, is not read."""
    value = inputs["storage_account_id"]
    if references(value):
        return Preview(notes=(message("azure.known_when_it_runs", reference=value),))
    try:
        account = storage.look(session, storage.within(target, value))
    except Refused as error:
        return Preview(refusal=error.message)
    mark = marks.verdict(session, account, inputs.get("since"))
    return Preview(
        touches=(account.touch(),),
        observed={"storage_account_id": account.id},
        shown=shown(account),
        counts={"storage_accounts": 1},
        refusal=mark.reason,
        warnings=(*((mark.note,) if mark.note else ()), *warnings(account)),
    )
