"""aws.cloudtrail.find_persistence: what a leaked key made that outlives the key."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import cast

from twokey.core.errors import Json
from twokey.core.runbooks import Target
from twokey.providers.aws.actions.reads import Reads
from twokey.providers.aws.session import text
from twokey.providers.aws.trail import events, regions_for

LASTING = frozenset(
    {
        "AddPermission20150331v2",
        "AddUserToGroup",
        "AttachRolePolicy",
        "AttachUserPolicy",
        "CreateAccessKey",
        "CreateFunction20150331",
        "CreateFunctionUrlConfig",
        "CreateLoginProfile",
        "CreateOpenIDConnectProvider",
        "CreatePolicyVersion",
        "CreateRole",
        "CreateSAMLProvider",
        "CreateServiceSpecificCredential",
        "CreateUser",
        "GetFederationToken",
        "PutRolePolicy",
        "PutUserPolicy",
        "RunInstances",
        "SetDefaultPolicyVersion",
        "UpdateAssumeRolePolicy",
        "UpdateFunctionCode20150331v2",
        "UpdateLoginProfile",
        "UploadSSHPublicKey",
        "UploadSigningCertificate",
    }
)
"""Calls after which somebody may come back although the key is off."""


class FindPersistence(Reads):
    """List the successful calls of a key that left something behind."""

    name = "aws.cloudtrail.find_persistence"
    permissions: tuple[str, ...] = ("cloudtrail:LookupEvents",)
    inputs: Mapping[str, str] = {"access_key_id": "aws.access_key_id"}
    outputs: tuple[str, ...] = ("found", "count", "is_complete")

    def apply(self, target: Target, inputs: Mapping[str, Json], key: str) -> Mapping[str, Json]:
        """Read the last 90 days of this key; Refused when CloudTrail cannot be asked."""
        now = self.calls.clock.now()
        found, more = events(
            self.calls,
            target.account,
            regions_for(self.calls, target.region),
            since=now - timedelta(days=90),
            until=now,
            key_id=text(inputs, "access_key_id"),
        )
        lasting = [event for event in found if event.name in LASTING and not event.error]
        rows = cast("list[Json]", [event.row() for event in lasting[:100]])
        return {"found": rows, "count": len(lasting), "is_complete": not more}
