"""Reads of AWS Organizations: as much of the tree as a question needs, always fresh."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from twokey.core.errors import NotFound, Refused, TwokeyError
from twokey.providers.aws.faults import error_code
from twokey.providers.aws.organizations import (
    CREATED_TAG,
    NEVER_TAG,
    OrgTree,
    Unit,
    is_root,
    is_unit,
    path_of,
    protected_accounts,
)
from twokey.providers.aws.scp import Statement, parse
from twokey.providers.aws.session import Calls

SCP = "SERVICE_CONTROL_POLICY"

READ_TREE = (
    "organizations:DescribeOrganization",
    "organizations:DescribeOrganizationalUnit",
    "organizations:ListAccountsForParent",
    "organizations:ListDelegatedAdministrators",
    "organizations:ListOrganizationalUnitsForParent",
    "organizations:ListParents",
    "organizations:ListPoliciesForTarget",
    "organizations:ListTagsForResource",
)
"""What reading a part of the tree takes."""


@dataclass(frozen=True, slots=True)
class OrgReader:
    """Organizations as seen from the account that may call it."""

    calls: Calls

    @property
    def account(self) -> str:
        """Return the account that Organizations is called in."""
        return self.calls.options.organizations_account or self.calls.own_account()

    def call(self, operation: str, **given: Any) -> dict[str, Any]:
        """Call one operation of Organizations."""
        return self.calls.call("organizations", operation, self.account, **given)

    def ensure(self, operation: str, done: str, **given: Any) -> None:
        """Call an operation whose error code `done` says that its effect is already there."""
        try:
            self.call(operation, **given)
        except Refused as refused:
            if error_code(refused) != done:
                raise

    def tree(self, *nodes: str) -> OrgTree:
        """Return the part of the organisation that these accounts and units stand in.

        For each node: its path to the top; for a unit also what is directly under it. Ids that do not exist
        are simply not in it, and the rules refuse what is not in it.
        """
        organization = self.calls.call("organizations", "describe_organization", self.account)["Organization"]
        tree = OrgTree(
            root_id="",
            management_account=str(organization.get("MasterAccountId", "")),
            delegated=self._delegated(),
            protected=protected_accounts(
                self.calls.own_account(),
                (*self.calls.options.protected_accounts, *self.calls.options.never_contain),
            ),
        )
        for node in nodes:
            tree = self._with_path(tree, node)
            if node in tree.units:
                units = {str(u["Id"]): Unit(str(u["Id"]), node, str(u["Name"])) for u in self._units_of(node)}
                accounts = {**tree.accounts, **dict.fromkeys(self.accounts_of(node), node)}
                tree = replace(tree, units={**units, **tree.units}, accounts=accounts)
        return tree

    def tags(self, resource_id: str) -> dict[str, str]:
        """Return the tags of an account, unit or policy."""
        found = self.calls.listed(
            "organizations", "list_tags_for_resource", "Tags", self.account, ResourceId=resource_id
        )
        return {str(tag["Key"]): str(tag.get("Value", "")) for tag in found}

    def parent(self, child_id: str) -> str:
        """Return the one parent of an account or unit; NotFound when there is no such child."""
        found = self.calls.listed("organizations", "list_parents", "Parents", self.account, ChildId=child_id)
        if not found:
            raise NotFound("aws.not_found", action="organizations:ListParents", account=child_id, error="")
        return str(found[0]["Id"])

    def policies(self, target_id: str) -> dict[str, str]:
        """Return the service control policies attached directly to a target: id -> name."""
        found = self.calls.listed(
            "organizations",
            "list_policies_for_target",
            "Policies",
            self.account,
            TargetId=target_id,
            Filter=SCP,
        )
        return {str(policy["Id"]): str(policy["Name"]) for policy in found}

    def targets(self, policy_id: str) -> frozenset[str]:
        """Return what a policy is attached to."""
        found = self.calls.listed(
            "organizations", "list_targets_for_policy", "Targets", self.account, PolicyId=policy_id
        )
        return frozenset(str(target["TargetId"]) for target in found)

    def document(self, policy_id: str) -> str:
        """Return the text of a policy."""
        found = self.calls.call("organizations", "describe_policy", self.account, PolicyId=policy_id)
        return str(found["Policy"]["Content"])

    def policy_named(self, name: str) -> str:
        """Return the id of the service control policy with this name, "" when there is none."""
        found = self.calls.listed("organizations", "list_policies", "Policies", self.account, Filter=SCP)
        return next((str(policy["Id"]) for policy in found if policy["Name"] == name), "")

    def units_named(self, parent_id: str, name: str) -> list[str]:
        """Return the ids of the units with this name under a parent (an emulator may hold two)."""
        found = self._units_of(parent_id)
        return [str(unit["Id"]) for unit in found if unit["Name"] == name]

    def accounts_of(self, parent_id: str) -> list[str]:
        """Return the accounts directly under a parent."""
        found = self.calls.listed(
            "organizations", "list_accounts_for_parent", "Accounts", self.account, ParentId=parent_id
        )
        return sorted(str(account["Id"]) for account in found)

    def account_name(self, account: str) -> str:
        """Return what people call an account."""
        found = self.calls.call("organizations", "describe_account", self.account, AccountId=account)
        return str(found["Account"].get("Name", ""))

    def _units_of(self, parent_id: str) -> list[dict[str, str]]:
        return self.calls.listed(
            "organizations",
            "list_organizational_units_for_parent",
            "OrganizationalUnits",
            self.account,
            ParentId=parent_id,
        )

    def _delegated(self) -> frozenset[str] | None:
        try:
            found = self.calls.listed(
                "organizations", "list_delegated_administrators", "DelegatedAdministrators", self.account
            )
        except TwokeyError:
            return None  # the rules refuse what they cannot know
        return frozenset(str(account["Id"]) for account in found)

    def _with_path(self, tree: OrgTree, node: str) -> OrgTree:
        if is_root(node):
            return replace(tree, root_id=node)
        try:
            parent = self.parent(node)
            if is_unit(node):
                found = self.call("describe_organizational_unit", OrganizationalUnitId=node)
                name = str(found["OrganizationalUnit"].get("Name", ""))
                unit = Unit(node, parent, name, self.tags(node).get(CREATED_TAG, ""))
                tree = replace(tree, units={**tree.units, node: unit})
            else:
                tree = replace(tree, accounts={**tree.accounts, node: parent})
                if NEVER_TAG in self.tags(node):
                    tree = replace(tree, never_tagged=tree.never_tagged | {node})
        except NotFound:
            return tree
        return tree if parent in tree.units else self._with_path(tree, parent)

    def levels(self, tree: OrgTree, node: str) -> tuple[tuple[str, dict[str, tuple[Statement, ...]]], ...]:
        """Return the policies on every level from the Root to an account, as the evaluator takes them."""
        documents: dict[str, tuple[Statement, ...]] = {}

        def statements(policy: str) -> tuple[Statement, ...]:
            if policy not in documents:
                documents[policy] = parse(self.document(policy))
            return documents[policy]

        return tuple(
            (level, {policy: statements(policy) for policy in self.policies(level)})
            for level in path_of(tree, node)
        )
