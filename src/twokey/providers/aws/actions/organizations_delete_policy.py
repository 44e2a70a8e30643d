"""aws.organizations.delete_policy: remove a policy of ours that is attached nowhere any more."""

from __future__ import annotations

from collections.abc import Mapping

from twokey.core.errors import Json, Message, NotFound, Refused, message
from twokey.core.executions import Found, Lookup
from twokey.core.runbooks import Effect, Preview, Reversibility, Risk, Target, Touch
from twokey.providers.aws.organizations import CREATED_TAG
from twokey.providers.aws.orgtree import OrgReader
from twokey.providers.aws.session import Calls, is_later, text


class DeletePolicy:
    """Delete a policy that carries our tag."""

    name = "aws.organizations.delete_policy"
    effect = Effect.DELETE
    reversibility = Reversibility.IRREVERSIBLE
    permissions: tuple[str, ...] = (
        "organizations:DeletePolicy",
        "organizations:DescribePolicy",
        "organizations:ListTagsForResource",
        "organizations:ListTargetsForPolicy",
    )
    inputs: Mapping[str, str] = {"policy_id": "aws.policy_id"}
    outputs: tuple[str, ...] = ("policy_id",)

    def __init__(self, calls: Calls) -> None:
        self.calls = calls
        self.org = OrgReader(calls)

    def least_risk(self, inputs: Mapping[str, Json]) -> Risk:
        """Count as critical, as all that changes the organisation."""
        return Risk.CRITICAL

    def preview(self, target: Target, inputs: Mapping[str, Json]) -> Preview:
        """Name the policy. That it is still attached is no refusal yet: an earlier step detaches it."""
        if is_later(inputs.get("policy_id")):
            return Preview()
        policy = text(inputs, "policy_id")
        there = self._is_there(policy)
        return Preview(
            touches=(Touch("policy", policy, policy),),
            observed={"is_there": there},
            refusal=self._refusal(policy) if there else None,
        )

    def capture(self, target: Target, inputs: Mapping[str, Json]) -> Mapping[str, Json]:
        """Keep the policy's text."""
        policy = text(inputs, "policy_id")
        return {"document": self.org.document(policy) if self._is_there(policy) else ""}

    def apply(self, target: Target, inputs: Mapping[str, Json], key: str) -> Mapping[str, Json]:
        """Delete it, unless it is gone already."""
        policy = text(inputs, "policy_id")
        if self._is_there(policy):
            if refusal := self._refusal(policy):
                raise Refused(refusal.code, **refusal.params)
            if targets := self.org.targets(policy):
                raise Refused("aws.org.policy_in_use", policy=policy, targets=", ".join(sorted(targets)))
            self.org.call("delete_policy", PolicyId=policy)
        return {"policy_id": policy}

    def find(self, target: Target, inputs: Mapping[str, Json], key: str) -> Lookup:
        """Read whether it is gone."""
        policy = text(inputs, "policy_id")
        gone = not self._is_there(policy)
        return Lookup(Found.DONE, {"policy_id": policy}) if gone else Lookup(Found.NOT_DONE)

    def _is_there(self, policy: str) -> bool:
        try:
            self.org.document(policy)
        except NotFound:
            return False
        return True

    def _refusal(self, policy: str) -> Message | None:
        ours = CREATED_TAG in self.org.tags(policy)
        return None if ours else message("aws.org.policy_not_ours", policy=policy)
