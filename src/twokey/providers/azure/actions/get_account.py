"""Evidence: one storage account as it is now."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from twokey.core.errors import Json
from twokey.core.executions import Found, Lookup
from twokey.core.runbooks import Effect, Preview, Reversibility, Risk, Target, canonical
from twokey.providers.azure import storage
from twokey.providers.azure.session import AzureSession


class GetAccount:
    """Read a storage account's settings and keep them as evidence; keys are never read."""

    name: str = "azure.storage.get_account"
    effect: Effect = Effect.READ
    reversibility: Reversibility = Reversibility.REVERSIBLE
    permissions: tuple[str, ...] = (storage.READ,)
    inputs: Mapping[str, str] = {"storage_account_id": "azure.storage_account_id"}
    outputs: tuple[str, ...] = (
        "storage_account_id",
        "name",
        "location",
        "kind",
        "allow_blob_public_access",
        "public_network_access",
        "default_network_action",
        "private_endpoints",
        "created_at",
        "tags",
        "sha256",
    )

    def __init__(self, session: AzureSession) -> None:
        self.session = session

    def least_risk(self, inputs: Mapping[str, Json]) -> Risk:
        """Count as low: nothing is changed."""
        return Risk.LOW

    def preview(self, target: Target, inputs: Mapping[str, Json]) -> Preview:
        """Say that nothing is touched, once the id is one we may read."""
        return storage.readable(target, inputs["storage_account_id"])

    def capture(self, target: Target, inputs: Mapping[str, Json]) -> Mapping[str, Json]:
        """Keep nothing: a read has no undo."""
        return {}

    def apply(self, target: Target, inputs: Mapping[str, Json], key: str) -> Mapping[str, Json]:
        """Read it."""
        account = storage.look(self.session, storage.within(target, inputs["storage_account_id"]))
        seen: dict[str, Json] = {
            "storage_account_id": account.id,
            "name": account.at.name,
            "location": account.location,
            "kind": account.kind,
            "allow_blob_public_access": account.allow_blob_public_access,
            "public_network_access": account.public_network_access,
            "default_network_action": account.default_network_action,
            "private_endpoints": account.private_endpoints,
            "created_at": account.created_at,
            "tags": dict(account.tags),
        }
        return {**seen, "sha256": hashlib.sha256(canonical(seen)).hexdigest()}

    def find(self, target: Target, inputs: Mapping[str, Json], key: str) -> Lookup:
        """Say that it was not done: reading again is harmless."""
        return Lookup(Found.NOT_DONE)
