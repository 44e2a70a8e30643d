"""aws.organizations.attach_policy: put a policy of ours on the empty unit that the same plan has made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from twokey.core.errors import Json, Refused, message
from twokey.core.executions import Found, Lookup
from twokey.core.runbooks import Effect, Preview, Reversibility, Risk, Target
from twokey.providers.aws.actions.organizations_create_organizational_unit import tag_value
from twokey.providers.aws.organizations import CREATED_TAG, is_root, is_unit, may_attach
from twokey.providers.aws.orgtree import READ_TREE, OrgReader
from twokey.providers.aws.session import Calls, is_later, text


class AttachPolicy:
    """Attach. Never to the Root, never to an account, never to a unit that anybody else made or that has
    anything in it: that is how one wrong target once stopped a whole company."""

    name = "aws.organizations.attach_policy"
    effect = Effect.MODIFY
    reversibility = Reversibility.REVERSIBLE
    permissions: tuple[str, ...] = (
        *READ_TREE,
        "organizations:AttachPolicy",
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
        """Refuse any target that is already known: it must be a unit that this plan has yet to make."""
        unit = text(inputs, "target_id")
        if not is_later(unit):
            code = "aws.org.is_root" if is_root(unit) else "aws.org.target_already_known"
            return Preview(refusal=message(code, target=unit))
        return Preview(notes=(message("aws.org.attach_to_empty"),))

    def capture(self, target: Target, inputs: Mapping[str, Json]) -> Mapping[str, Json]:
        """Keep what is attached to the unit before."""
        unit = text(inputs, "target_id")
        return {"policy_ids": cast("Json", sorted(self.org.policies(unit)) if is_unit(unit) else [])}

    def apply(self, target: Target, inputs: Mapping[str, Json], key: str) -> Mapping[str, Json]:
        """Attach, unless it is attached already."""
        policy, unit = text(inputs, "policy_id"), text(inputs, "target_id")
        if is_root(unit) or not is_unit(unit):
            raise Refused("aws.org.is_root" if is_root(unit) else "aws.org.not_a_unit", target=unit)
        attached = self.org.targets(policy)
        if unit not in attached:
            tree, plan = self.org.tree(unit), _plan(tag_value(key))
            found = tree.units.get(unit)
            # The tags say which plan made the unit and the policy: both must be this one.
            made_here = found is not None and _plan(found.created_by) == plan
            if refusal := may_attach(tree, unit, unit if made_here else ""):
                raise Refused(refusal.code, **refusal.params)
            if _plan(self.org.tags(policy).get(CREATED_TAG, "")) != plan:
                raise Refused("aws.org.policy_not_ours", policy=policy)
            if attached:
                raise Refused("aws.org.policy_in_use", policy=policy, targets=", ".join(sorted(attached)))
            already = "DuplicatePolicyAttachmentException"
            self.org.ensure("attach_policy", already, PolicyId=policy, TargetId=unit)
        return {"policy_id": policy, "target_id": unit}

    def find(self, target: Target, inputs: Mapping[str, Json], key: str) -> Lookup:
        """Read the policy's targets."""
        policy, unit = text(inputs, "policy_id"), text(inputs, "target_id")
        if unit not in self.org.targets(policy):
            return Lookup(Found.NOT_DONE)
        return Lookup(Found.DONE, {"policy_id": policy, "target_id": unit})


def _plan(key: str) -> str:
    """Return the plan's part of a step's key, `<plan>/<step>`; never equal for a key that has none."""
    plan, slash, _step = key.partition("/")
    return plan if slash else f"{key}\0"
