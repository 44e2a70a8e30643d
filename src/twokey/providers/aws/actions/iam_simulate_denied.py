"""aws.iam.simulate_denied: prove that what was done in an account can be done there no more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from twokey.core.errors import Json, Refused, TwokeyError
from twokey.core.runbooks import Target
from twokey.providers.aws import scp
from twokey.providers.aws.actions.reads import Reads
from twokey.providers.aws.orgtree import READ_TREE, OrgReader
from twokey.providers.aws.session import text


class SimulateDenied(Reads):
    """Ask for each action whether the organisation's policies deny it to somebody in the account.

    With a `principal_arn` AWS's own simulator is asked first; where it does not tell what the organisation
    decides, our evaluator reads the policies on the account's path. `used` says which one answered.
    """

    name = "aws.iam.simulate_denied"
    permissions: tuple[str, ...] = (
        *READ_TREE,
        "iam:SimulatePrincipalPolicy",
        "organizations:DescribePolicy",
    )
    inputs: Mapping[str, str] = {
        "account_id": "aws.account_id",
        "actions": "list",
        "principal_arn": "text?",
    }
    outputs: tuple[str, ...] = ("denied", "used")

    def apply(self, target: Target, inputs: Mapping[str, Json], key: str) -> Mapping[str, Json]:
        """Return what is denied; Refused when anything is still allowed or cannot be told."""
        account = text(inputs, "account_id")
        actions = [str(action) for action in cast("list[Json]", inputs.get("actions") or [])]
        principal = str(inputs.get("principal_arn") or "")
        answers = self._simulated(account, actions, principal) if principal else None
        used = "iam.simulate_principal_policy" if answers is not None else "twokey.scp"
        if answers is None:
            reader = OrgReader(self.calls)
            tree = reader.tree(account)
            if account not in tree.accounts:
                raise Refused("aws.org.account_not_in_organization", account=account)
            levels = reader.levels(tree, account)
            # Without a principal, one that no exemption was written for.
            caller = principal or f"arn:aws:iam::{account}:role/anybody-else"
            answers = {one: scp.decide(levels, scp.Request(one, caller)).answer for one in actions}
        still = sorted(action for action, answer in answers.items() if answer is not scp.Answer.DENIED)
        if still or not actions:
            raise Refused("aws.scp.not_denied", account=account, actions=", ".join(still) or "-", used=used)
        return {"denied": cast("Json", sorted(actions)), "used": used}

    def _simulated(
        self, account: str, actions: Sequence[str], principal: str
    ) -> dict[str, scp.Answer] | None:
        """Ask AWS's simulator; None when its answer does not cover every action."""
        try:
            results = self.calls.listed(
                "iam",
                "simulate_principal_policy",
                "EvaluationResults",
                account,
                PolicySourceArn=principal,
                ActionNames=list(actions),
            )
        except TwokeyError:
            return None
        answers: dict[str, scp.Answer] = {}
        for result in results:
            organization = result.get("OrganizationsDecisionDetail")
            if not organization or "AllowedByOrganizations" not in organization:
                return None
            allowed = bool(organization["AllowedByOrganizations"])
            answers[str(result["EvalActionName"])] = scp.Answer.ALLOWED if allowed else scp.Answer.DENIED
        return answers if set(answers) == set(actions) else None
