"""aws.organizations.create_policy: store one service control policy whose text people have confirmed."""

from __future__ import annotations

from collections.abc import Mapping

from twokey.core.errors import Json, Message, Refused, message
from twokey.core.executions import Found, Lookup
from twokey.core.runbooks import Effect, Preview, Reversibility, Risk, Target, Touch
from twokey.providers.aws import scp
from twokey.providers.aws.actions.organizations_create_organizational_unit import tag_value
from twokey.providers.aws.exemptions import exemptions, foreign_exemption
from twokey.providers.aws.faults import error_code
from twokey.providers.aws.organizations import CREATED_TAG
from twokey.providers.aws.orgtree import SCP, OrgReader
from twokey.providers.aws.policies import digest, has_same_meaning
from twokey.providers.aws.session import Calls, text


class CreatePolicy:
    """Create a policy. One of this name with another content is refused, never reused by its name alone."""

    name = "aws.organizations.create_policy"
    effect = Effect.CREATE
    reversibility = Reversibility.ONLY_IF_UNCHANGED
    permissions: tuple[str, ...] = (
        "organizations:CreatePolicy",
        "organizations:DescribePolicy",
        "organizations:ListPolicies",
        "organizations:ListTagsForResource",
        "organizations:ListTargetsForPolicy",
        "organizations:TagResource",
    )
    inputs: Mapping[str, str] = {"name": "text", "type": "text", "document": "text"}
    outputs: tuple[str, ...] = ("policy_id", "sha256")

    def __init__(self, calls: Calls) -> None:
        self.calls = calls
        self.org = OrgReader(calls)

    def least_risk(self, inputs: Mapping[str, Json]) -> Risk:
        """Count as critical, as all that changes the organisation."""
        return Risk.CRITICAL

    def preview(self, target: Target, inputs: Mapping[str, Json]) -> Preview:
        """Say what the policy denies, and whom it spares."""
        name, document = text(inputs, "name"), text(inputs, "document")
        if refusal := self._refusal(target, inputs):
            return Preview(refusal=refusal)
        if taken := self.org.policy_named(name):
            return Preview(refusal=message("aws.org.policy_name_taken", name=name, policy=taken))
        statements = scp.parse(document)
        return Preview(
            touches=(Touch("policy", name, name),),
            observed={"policy_id": ""},
            warnings=(
                message(
                    "aws.scp.denies",
                    actions=", ".join(scp.denied_actions(statements)) or "-",
                    spared=", ".join(scp.exempted(statements)) or "-",
                ),
                message("aws.scp.limits"),
            ),
        )

    def capture(self, target: Target, inputs: Mapping[str, Json]) -> Mapping[str, Json]:
        """Keep that there was none."""
        return {"policy_id": self.org.policy_named(text(inputs, "name"))}

    def apply(self, target: Target, inputs: Mapping[str, Json], key: str) -> Mapping[str, Json]:
        """Create the policy, unless this very step has made it before."""
        if refusal := self._refusal(target, inputs):
            raise Refused(refusal.code, **refusal.params)
        if found := self._ours(inputs, key):
            return self._outputs(inputs, found)
        try:
            made = self.org.call(
                "create_policy",
                Name=text(inputs, "name"),
                Description="Made by twokey for an incident; taken back by its undo.",
                Type=SCP,
                Content=text(inputs, "document"),
                Tags=[{"Key": CREATED_TAG, "Value": tag_value(key)}],
            )
        except Refused as refused:
            if error_code(refused) != "DuplicatePolicyException":
                raise
            return self._outputs(inputs, self._ours(inputs, key))
        return self._outputs(inputs, str(made["Policy"]["PolicySummary"]["Id"]))

    def find(self, target: Target, inputs: Mapping[str, Json], key: str) -> Lookup:
        """Look for the policy with our tag; of one that others made, or changed since, nothing can be told."""
        try:
            found = self._ours(inputs, key)
        except Refused as refused:
            if refused.message.code != "aws.org.policy_name_taken":
                raise
            return Lookup(Found.CANNOT_TELL)
        return Lookup(Found.DONE, self._outputs(inputs, found)) if found else Lookup(Found.NOT_DONE)

    def _ours(self, inputs: Mapping[str, Json], key: str) -> str:
        name = text(inputs, "name")
        found = self.org.policy_named(name)
        if not found:
            return ""
        same = has_same_meaning(self.org.document(found), text(inputs, "document"))
        if not same or self.org.tags(found).get(CREATED_TAG) != tag_value(key):
            raise Refused("aws.org.policy_name_taken", name=name, policy=found)
        return found

    def _outputs(self, inputs: Mapping[str, Json], policy_id: str) -> dict[str, Json]:
        return {"policy_id": policy_id, "sha256": digest(text(inputs, "document"))}

    def _refusal(self, target: Target, inputs: Mapping[str, Json]) -> Message | None:
        if text(inputs, "type") != SCP:
            return message("aws.org.policy_type", type=inputs["type"])
        document = text(inputs, "document")
        if problem := next(iter(scp.problems(document)), None):
            return problem
        return foreign_exemption(self.calls, target.account, exemptions(scp.parse(document)))
