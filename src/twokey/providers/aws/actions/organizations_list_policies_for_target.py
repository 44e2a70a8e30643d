"""aws.organizations.list_policies_for_target: which service control policies an account or unit has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from twokey.core.errors import Json, Refused
from twokey.core.runbooks import Target
from twokey.providers.aws.actions.reads import Reads
from twokey.providers.aws.orgtree import SCP, OrgReader
from twokey.providers.aws.session import text


class ListPoliciesForTarget(Reads):
    """Record the policies that are attached directly."""

    name = "aws.organizations.list_policies_for_target"
    permissions: tuple[str, ...] = ("organizations:ListPoliciesForTarget",)
    inputs: Mapping[str, str] = {"target_id": "text", "filter": "text?"}
    outputs: tuple[str, ...] = ("policy_ids", "names")

    def apply(self, target: Target, inputs: Mapping[str, Json], key: str) -> Mapping[str, Json]:
        """Read them."""
        if inputs.get("filter", SCP) != SCP:
            raise Refused("aws.org.policy_type", type=inputs.get("filter"))
        found = OrgReader(self.calls).policies(text(inputs, "target_id"))
        return {"policy_ids": cast("Json", sorted(found)), "names": cast("Json", found)}
