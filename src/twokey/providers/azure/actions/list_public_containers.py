"""Evidence: which blob containers of an account are open by their own setting."""

from __future__ import annotations

from collections.abc import Mapping

from twokey.core.errors import Json
from twokey.core.executions import Found, Lookup
from twokey.core.runbooks import Effect, Preview, Reversibility, Risk, Target
from twokey.providers.azure import storage
from twokey.providers.azure.session import AzureSession


class ListPublicContainers:
    """List the containers with public access `Blob` or `Container`, for the record and the post-mortem."""

    name: str = "azure.storage.list_public_containers"
    effect: Effect = Effect.READ
    reversibility: Reversibility = Reversibility.REVERSIBLE
    permissions: tuple[str, ...] = (storage.READ_CONTAINERS,)
    inputs: Mapping[str, str] = {"storage_account_id": "azure.storage_account_id"}
    outputs: tuple[str, ...] = ("containers", "count", "looked_at", "is_complete")

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
        """List them."""
        at = storage.within(target, inputs["storage_account_id"])
        found = storage.public_containers(self.session, at)
        return {
            "containers": list(found.names),
            "count": len(found.names),
            "looked_at": found.looked_at,
            "is_complete": found.is_complete,
        }

    def find(self, target: Target, inputs: Mapping[str, Json], key: str) -> Lookup:
        """Say that it was not done: listing again is harmless."""
        return Lookup(Found.NOT_DONE)
