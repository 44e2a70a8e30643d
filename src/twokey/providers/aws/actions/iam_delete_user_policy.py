"""aws.iam.delete_user_policy: take our own inline policy off a user again."""

from __future__ import annotations

from collections.abc import Mapping

from twokey.core.errors import Json, Message, Refused, message
from twokey.core.executions import Found, Lookup
from twokey.core.runbooks import Effect, Preview, Reversibility, Risk, Target, Touch
from twokey.providers.aws.policies import as_text, digest
from twokey.providers.aws.principals import user_policy, user_refusal
from twokey.providers.aws.session import Calls, is_later, text


class DeleteUserPolicy:
    """Delete an inline policy, but only one whose content is what we wrote (`sha256`)."""

    name = "aws.iam.delete_user_policy"
    effect = Effect.DELETE
    reversibility = Reversibility.REVERSIBLE
    permissions: tuple[str, ...] = ("iam:DeleteUserPolicy", "iam:GetUserPolicy")
    inputs: Mapping[str, str] = {"user_name": "aws.iam_user_name", "policy_name": "text", "sha256": "text"}
    outputs: tuple[str, ...] = ("user_name", "policy_name")

    def __init__(self, calls: Calls) -> None:
        self.calls = calls

    def least_risk(self, inputs: Mapping[str, Json]) -> Risk:
        """Count as high: what the policy denied is open again."""
        return Risk.HIGH

    def preview(self, target: Target, inputs: Mapping[str, Json]) -> Preview:
        """Name the user and the policy that goes."""
        if is_later(inputs.get("user_name")):
            return Preview(counts={"principals": 1})
        user = text(inputs, "user_name")
        there = self._there(target, inputs)
        return Preview(
            touches=(Touch("principal", user, user),),
            observed={"user_name": user},
            shown={"policy_sha256": digest(there)},
            counts={"principals": 1},
            refusal=self._refusal(target, inputs, there),
            warnings=(message("aws.iam.policy_goes", user=user, policy=text(inputs, "policy_name")),),
        )

    def capture(self, target: Target, inputs: Mapping[str, Json]) -> Mapping[str, Json]:
        """Keep the policy's text."""
        return {"policy": self._there(target, inputs)}

    def apply(self, target: Target, inputs: Mapping[str, Json], key: str) -> Mapping[str, Json]:
        """Delete the policy, unless it is gone already."""
        there = self._there(target, inputs)
        if refusal := self._refusal(target, inputs, there):
            raise Refused(refusal.code, **refusal.params)
        user, name = text(inputs, "user_name"), text(inputs, "policy_name")
        if there:
            self.calls.call("iam", "delete_user_policy", target.account, UserName=user, PolicyName=name)
        return {"user_name": user, "policy_name": name}

    def find(self, target: Target, inputs: Mapping[str, Json], key: str) -> Lookup:
        """Read whether it is gone."""
        if self._there(target, inputs):
            return Lookup(Found.NOT_DONE)
        outputs = {"user_name": inputs["user_name"], "policy_name": inputs["policy_name"]}
        return Lookup(Found.DONE, outputs)

    def _there(self, target: Target, inputs: Mapping[str, Json]) -> str:
        user, name = text(inputs, "user_name"), text(inputs, "policy_name")
        found = user_policy(self.calls, target.account, user, name)
        return as_text(found) if found else ""

    def _refusal(self, target: Target, inputs: Mapping[str, Json], there: str) -> Message | None:
        user = text(inputs, "user_name")
        if there and digest(there) != text(inputs, "sha256"):
            return message("aws.iam.policy_differs", user=user, policy=text(inputs, "policy_name"))
        return user_refusal(self.calls, target.account, user)
