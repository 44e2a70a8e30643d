"""aws.iam.put_user_policy: put one inline policy, whose text people have confirmed, on one user."""

from __future__ import annotations

from collections.abc import Mapping

from twokey.core.errors import Json, Message, Refused, message
from twokey.core.executions import Found, Lookup
from twokey.core.runbooks import Effect, Preview, Reversibility, Risk, Target, Touch
from twokey.providers.aws import scp
from twokey.providers.aws.kept_out import Named, never_contain_refusal
from twokey.providers.aws.policies import as_text, digest, has_same_meaning
from twokey.providers.aws.principals import KEY_ACCOUNT, key_refusal, owner_of, user_policy, user_refusal
from twokey.providers.aws.session import Calls, is_later, text


class PutUserPolicy:
    """Add an inline policy. One that has this name and another content is never overwritten.

    With `access_key_id` the user must be the one who holds that key, and is known while the plan is made.
    """

    name = "aws.iam.put_user_policy"
    effect = Effect.CREATE
    reversibility = Reversibility.REVERSIBLE
    permissions: tuple[str, ...] = (
        *KEY_ACCOUNT,
        "iam:GetAccessKeyLastUsed",
        "iam:GetUserPolicy",
        "iam:PutUserPolicy",
    )
    inputs: Mapping[str, str] = {
        "user_name": "aws.iam_user_name",
        "policy_name": "text",
        "document": "text",
        "access_key_id": "aws.long_term_access_key_id?",
    }
    outputs: tuple[str, ...] = ("user_name", "policy_name", "sha256")

    def __init__(self, calls: Calls) -> None:
        self.calls = calls

    def least_risk(self, inputs: Mapping[str, Json]) -> Risk:
        """Count as medium: a deny stops one user, and can be taken off."""
        return Risk.MEDIUM

    def preview(self, target: Target, inputs: Mapping[str, Json]) -> Preview:
        """Name the user and say what the policy denies."""
        key_id = inputs.get("access_key_id")
        if isinstance(key_id, str) and key_id and not is_later(key_id):
            user = owner_of(self.calls, target.account, key_id)
        elif is_later(inputs.get("user_name")):
            return Preview(counts={"principals": 1})
        else:
            user = text(inputs, "user_name")
        if refusal := self._refusal(target, inputs, user):
            return Preview(refusal=refusal)
        there = self._there(target, inputs, user)
        document = text(inputs, "document")
        denied = ", ".join(scp.denied_actions(scp.parse(document)))
        return Preview(
            touches=(Touch("principal", user, user),),
            observed={"user_name": user},
            shown={"policy_sha256": digest(there)},
            counts={"principals": 1},
            warnings=(message("aws.iam.policy_denies", user=user, actions=denied),),
        )

    def capture(self, target: Target, inputs: Mapping[str, Json]) -> Mapping[str, Json]:
        """Keep the policy of this name as it is before: "" when there is none."""
        return {"policy": self._there(target, inputs, text(inputs, "user_name"))}

    def apply(self, target: Target, inputs: Mapping[str, Json], key: str) -> Mapping[str, Json]:
        """Put the policy, unless it is there already."""
        user = text(inputs, "user_name")
        if refusal := self._refusal(target, inputs, user):
            raise Refused(refusal.code, **refusal.params)
        if not self._there(target, inputs, user):
            self.calls.call(
                "iam",
                "put_user_policy",
                target.account,
                UserName=user,
                PolicyName=text(inputs, "policy_name"),
                PolicyDocument=text(inputs, "document"),
            )
        return self._outputs(inputs, user)

    def find(self, target: Target, inputs: Mapping[str, Json], key: str) -> Lookup:
        """Read the policy back: only the same content is ours."""
        user = text(inputs, "user_name")
        there = self._there(target, inputs, user)
        if not there:
            return Lookup(Found.NOT_DONE)
        if not has_same_meaning(there, text(inputs, "document")):
            return Lookup(Found.CANNOT_TELL)
        return Lookup(Found.DONE, self._outputs(inputs, user))

    def _refusal(self, target: Target, inputs: Mapping[str, Json], user: str) -> Message | None:
        if problem := next(iter(scp.problems(text(inputs, "document"))), None):
            return problem
        key_id = inputs.get("access_key_id")
        if isinstance(key_id, str) and key_id:
            if refusal := key_refusal(self.calls, target.account, key_id):
                return refusal
            if owner_of(self.calls, target.account, key_id) != user:
                return message("aws.key.not_of_user", key=key_id, user=user, account=target.account)
        if refusal := user_refusal(self.calls, target.account, user):
            return refusal
        named = Named("user", target.account, user, key_id if isinstance(key_id, str) else "")
        if refusal := never_contain_refusal(self.calls, named):
            return refusal
        there = self._there(target, inputs, user)
        if there and not has_same_meaning(there, text(inputs, "document")):
            return message("aws.iam.policy_differs", user=user, policy=text(inputs, "policy_name"))
        return None

    def _there(self, target: Target, inputs: Mapping[str, Json], user: str) -> str:
        found = user_policy(self.calls, target.account, user, text(inputs, "policy_name"))
        return as_text(found) if found else ""

    def _outputs(self, inputs: Mapping[str, Json], user: str) -> dict[str, Json]:
        sha256 = digest(text(inputs, "document"))
        return {"user_name": user, "policy_name": text(inputs, "policy_name"), "sha256": sha256}
