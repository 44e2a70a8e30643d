"""aws.organizations.detach_policy: take a policy of ours off a unit of ours again."""

from __future__ import annotations

from collections.abc import Mapping

from twokey.core.errors import Json, Message, NotFound, Refused, message
from twokey.core.executions import Found, Lookup
from twokey.core.runbooks import Effect, Preview, Reversibility, Risk, Target, Touch
from twokey.providers.aws.organizations import CREATED_TAG, OrgTree, is_root, named_path
from twokey.providers.aws.orgtree import READ_TREE, OrgReader
from twokey.providers.aws.session import Calls, is_later, text


class DetachPolicy:
    """Detach. Only a policy and a unit with our tag: no other guardrail can be taken off by twokey."""

    name = "aws.organizations.detach_policy"
    effect = Effect.MODIFY
    reversibility = Reversibility.REVERSIBLE
    permissions: tuple[str, ...] = (
        *READ_TREE,
        "organizations:DetachPolicy",
        "organizations:ListTargetsForPolicy",
    )
    inputs: Mapping[str, str] = {"policy_id": "aws.policy_id", "target_id": "aws.ou_id"}
    outputs: tuple[str, ...] = ("policy_id", "target_id")

    def __init__(self, calls: Calls) -> None:
        self.calls = calls
        self.org = OrgReader(calls)

    def least_risk(self, inputs: Mapping[str, Json]) -> Risk:
        """Count as critical, as all that changes the organisation."""
        return Risk.CRITICAL

    def preview(self, target: Target, inputs: Mapping[str, Json]) -> Preview:
        """Say which unit loses which policy."""
        if is_later(inputs.get("target_id")) or is_later(inputs.get("policy_id")):
            return Preview()
        policy, unit = text(inputs, "policy_id"), text(inputs, "target_id")
        tree = self.org.tree(unit)
        if refusal := self._refusal(tree, policy, unit):
            return Preview(refusal=refusal)
        attached = unit in self._targets(policy)
        return Preview(
            touches=(Touch("organizational-unit", unit, named_path(tree, unit)),),
            observed={"is_attached": attached},
            warnings=(message("aws.org.policy_comes_off", policy=policy, path=named_path(tree, unit)),),
        )

    def capture(self, target: Target, inputs: Mapping[str, Json]) -> Mapping[str, Json]:
        """Keep whether it was attached."""
        return {"is_attached": text(inputs, "target_id") in self._targets(text(inputs, "policy_id"))}

    def apply(self, target: Target, inputs: Mapping[str, Json], key: str) -> Mapping[str, Json]:
        """Detach, unless it is off already."""
        policy, unit = text(inputs, "policy_id"), text(inputs, "target_id")
        if is_root(unit):
            raise Refused("aws.org.is_root", target=unit)
        if unit in self._targets(policy):
            if refusal := self._refusal(self.org.tree(unit), policy, unit):
                raise Refused(refusal.code, **refusal.params)
            self.org.ensure("detach_policy", "PolicyNotAttachedException", PolicyId=policy, TargetId=unit)
        return {"policy_id": policy, "target_id": unit}

    def find(self, target: Target, inputs: Mapping[str, Json], key: str) -> Lookup:
        """Read the policy's targets."""
        policy, unit = text(inputs, "policy_id"), text(inputs, "target_id")
        if unit in self._targets(policy):
            return Lookup(Found.NOT_DONE)
        return Lookup(Found.DONE, {"policy_id": policy, "target_id": unit})

    def _targets(self, policy: str) -> frozenset[str]:
        try:
            return self.org.targets(policy)
        except NotFound:
            return frozenset()

    def _refusal(self, tree: OrgTree, policy: str, unit: str) -> Message | None:
        if is_root(unit):
            return message("aws.org.is_root", target=unit)
        if unit not in tree.units:
            return None if unit not in self._targets(policy) else message("aws.org.not_a_unit", target=unit)
        if not tree.units[unit].created_by:
            return message("aws.org.unit_not_ours", target=unit)
        if unit in self._targets(policy) and CREATED_TAG not in self.org.tags(policy):
            return message("aws.org.policy_not_ours", policy=policy)
        return None
