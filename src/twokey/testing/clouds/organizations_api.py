"""AWS Organizations in memory, call by call: it allows every disaster that AWS allows, and keeps what was done."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from twokey.ports import Clock
from twokey.providers.aws.faults import of_response
from twokey.providers.aws.options import AwsOptions

FULL_ACCESS = "p-FullAWSAccess"
_ALLOW_ALL = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}'


@dataclass(slots=True)
class MemoryUnit:
    """One organisational unit."""

    name: str
    parent: str


@dataclass(slots=True)
class MemoryPolicy:
    """One service control policy."""

    name: str
    content: str = _ALLOW_ALL


@dataclass
class MemoryOrganizations:
    """One organisation, seen from the account `own`; stands where `AwsSession` stands (see its `Calls`).

    It refuses only what AWS refuses: a policy on the Root or on an account is fine with it. Other services
    answer as in an account where nothing happens. Who may call Organizations is not asked.
    """

    options: AwsOptions
    clock: Clock
    own: str
    management: str
    root: str = "r-ab12"
    units: dict[str, MemoryUnit] = field(default_factory=dict)
    accounts: dict[str, str] = field(default_factory=dict)  # account -> parent
    delegated: set[str] | None = field(default_factory=set)  # None: may not be listed
    tagged: dict[str, dict[str, str]] = field(default_factory=dict)  # account, unit or policy -> tags
    policies: dict[str, MemoryPolicy] = field(default_factory=dict)
    attached: dict[str, set[str]] = field(default_factory=dict)  # Root, unit or account -> policies
    done: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)  # what had an effect
    sleep: Callable[[float], object] = lambda _seconds: None
    _made: int = 0

    def __post_init__(self) -> None:
        self.policies.setdefault(FULL_ACCESS, MemoryPolicy("FullAWSAccess"))
        for node in (self.root, *self.units, *self.accounts):
            self.attached.setdefault(node, set()).add(FULL_ACCESS)

    # what actions and checks call

    def own_account(self) -> str:
        """Return the account that the caller belongs to."""
        return self.own

    def own_access_key_id(self) -> str:
        """Return the id of the caller's key: a role has none."""
        return ""

    def call(
        self, service: str, operation: str, account: str, *, region: str = "", **given: Any
    ) -> dict[str, Any]:
        """Answer one call, or raise what the real error becomes."""
        if service == "organizations":
            answer: dict[str, Any] = getattr(self, f"_{operation}")(**given)
            return answer
        if operation == "get_caller_identity":
            return {"Arn": f"arn:aws:sts::{account}:assumed-role/{self.options.role_name}/twokey"}
        quiet = {
            "describe_instances": "Reservations",
            "lookup_events": "Events",
            "validate_policy": "findings",
        }
        return {quiet[operation]: []}

    def listed(
        self, service: str, operation: str, field: str, account: str, *, region: str = "", **given: Any
    ) -> list[Any]:
        """Answer a listing call in one page."""
        return list(self.call(service, operation, account, region=region, **given)[field])

    # what a test looks at

    def under(self, node: str) -> set[str]:
        """Return every account that a policy on this node reaches."""
        if node in self.accounts:
            return {node}
        return {account for account in self.accounts if node in self.path(account)}

    def path(self, node: str) -> list[str]:
        """Return the node and everything above it."""
        found = [node]
        while found[-1] != self.root:
            above = self.units.get(found[-1])
            found.append(above.parent if above else self.accounts[found[-1]])
        return found

    def snapshot(self) -> dict[str, Any]:
        """Return all that exists, to compare with later."""
        return {
            "units": {unit: (has.name, has.parent) for unit, has in self.units.items()},
            "accounts": dict(self.accounts),
            "policies": {policy: (has.name, has.content) for policy, has in self.policies.items()},
            "attached": {(policy, node) for node, found in self.attached.items() for policy in found},
        }

    # reads

    def _describe_organization(self) -> dict[str, Any]:
        return {"Organization": {"MasterAccountId": self.management}}

    def _describe_organizational_unit(self, *, OrganizationalUnitId: str) -> dict[str, Any]:  # noqa: N803
        self._must_be(OrganizationalUnitId in self.units, "OrganizationalUnitNotFoundException")
        return {"OrganizationalUnit": self._unit(OrganizationalUnitId)}

    def _describe_account(self, *, AccountId: str) -> dict[str, Any]:  # noqa: N803
        self._must_be(AccountId in self.accounts, "AccountNotFoundException")
        return {"Account": {"Id": AccountId, "Name": f"account {AccountId[-3:]}"}}

    def _describe_policy(self, *, PolicyId: str) -> dict[str, Any]:  # noqa: N803
        self._must_be(PolicyId in self.policies, "PolicyNotFoundException")
        return {"Policy": {"Content": self.policies[PolicyId].content}}

    def _list_parents(self, *, ChildId: str) -> dict[str, Any]:  # noqa: N803
        unit = self.units.get(ChildId)
        parent = unit.parent if unit else self.accounts.get(ChildId)
        self._must_be(parent is not None, "ChildNotFoundException")
        return {"Parents": [{"Id": parent, "Type": "ROOT" if parent == self.root else "ORGANIZATIONAL_UNIT"}]}

    def _list_accounts_for_parent(self, *, ParentId: str) -> dict[str, Any]:  # noqa: N803
        self._must_be(ParentId in (self.root, *self.units), "ParentNotFoundException")
        found = [account for account, parent in self.accounts.items() if parent == ParentId]
        return {"Accounts": [{"Id": account} for account in found]}

    def _list_organizational_units_for_parent(self, *, ParentId: str) -> dict[str, Any]:  # noqa: N803
        self._must_be(ParentId in (self.root, *self.units), "ParentNotFoundException")
        found = [unit for unit, has in self.units.items() if has.parent == ParentId]
        return {"OrganizationalUnits": [self._unit(unit) for unit in found]}

    def _list_delegated_administrators(self) -> dict[str, Any]:
        if self.delegated is None:
            raise self._fault("AccessDeniedException")
        return {"DelegatedAdministrators": [{"Id": account} for account in sorted(self.delegated)]}

    def _list_tags_for_resource(self, *, ResourceId: str) -> dict[str, Any]:  # noqa: N803
        known = (self.root, *self.units, *self.accounts, *self.policies)
        self._must_be(ResourceId in known, "TargetNotFoundException")
        return {"Tags": [{"Key": key, "Value": has} for key, has in self.tagged.get(ResourceId, {}).items()]}

    def _list_policies(self, *, Filter: str) -> dict[str, Any]:  # noqa: N803
        return {"Policies": [{"Id": policy, "Name": has.name} for policy, has in self.policies.items()]}

    def _list_policies_for_target(self, *, TargetId: str, Filter: str) -> dict[str, Any]:  # noqa: N803
        self._must_be(TargetId in (self.root, *self.units, *self.accounts), "TargetNotFoundException")
        found = sorted(self.attached.get(TargetId, ()))
        return {"Policies": [{"Id": policy, "Name": self.policies[policy].name} for policy in found]}

    def _list_targets_for_policy(self, *, PolicyId: str) -> dict[str, Any]:  # noqa: N803
        self._must_be(PolicyId in self.policies, "PolicyNotFoundException")
        found = [node for node, policies in self.attached.items() if PolicyId in policies]
        return {"Targets": [{"TargetId": node} for node in found]}

    # writes

    def _create_organizational_unit(
        self,
        *,
        ParentId: str,  # noqa: N803
        Name: str,  # noqa: N803
        Tags: list[dict[str, str]],  # noqa: N803
    ) -> dict[str, Any]:
        self._must_be(ParentId in (self.root, *self.units), "ParentNotFoundException")
        twin = any((has.name, has.parent) == (Name, ParentId) for has in self.units.values())
        self._must_be(not twin, "DuplicateOrganizationalUnitException")
        unit = f"ou-ab12-new{self._number():05d}"
        self.units[unit] = MemoryUnit(Name, ParentId)
        self.attached[unit] = {FULL_ACCESS}
        self._tag(unit, Tags)
        self.done.append(("create_organizational_unit", {"ParentId": ParentId, "Name": Name, "made": unit}))
        return {"OrganizationalUnit": self._unit(unit)}

    def _create_policy(
        self,
        *,
        Name: str,  # noqa: N803
        Description: str,  # noqa: N803
        Type: str,  # noqa: N803
        Content: str,  # noqa: N803
        Tags: list[dict[str, str]],  # noqa: N803
    ) -> dict[str, Any]:
        self._must_be(Name not in {has.name for has in self.policies.values()}, "DuplicatePolicyException")
        policy = f"p-new{self._number():07d}"
        self.policies[policy] = MemoryPolicy(Name, Content)
        self._tag(policy, Tags)
        self.done.append(("create_policy", {"Name": Name, "made": policy}))
        return {"Policy": {"PolicySummary": {"Id": policy, "Name": Name}}}

    def _attach_policy(self, *, PolicyId: str, TargetId: str) -> dict[str, Any]:  # noqa: N803
        self._must_be(PolicyId in self.policies, "PolicyNotFoundException")
        self._must_be(TargetId in (self.root, *self.units, *self.accounts), "TargetNotFoundException")
        self._must_be(PolicyId not in self.attached[TargetId], "DuplicatePolicyAttachmentException")
        reached = sorted(self.under(TargetId))
        self.attached[TargetId].add(PolicyId)
        self.done.append(("attach_policy", {"PolicyId": PolicyId, "TargetId": TargetId, "reached": reached}))
        return {}

    def _detach_policy(self, *, PolicyId: str, TargetId: str) -> dict[str, Any]:  # noqa: N803
        self._must_be(PolicyId in self.attached.get(TargetId, ()), "PolicyNotAttachedException")
        self.attached[TargetId].discard(PolicyId)
        self.done.append(("detach_policy", {"PolicyId": PolicyId, "TargetId": TargetId}))
        return {}

    def _move_account(
        self,
        *,
        AccountId: str,  # noqa: N803
        SourceParentId: str,  # noqa: N803
        DestinationParentId: str,  # noqa: N803
    ) -> dict[str, Any]:
        self._must_be(AccountId in self.accounts, "AccountNotFoundException")
        self._must_be(DestinationParentId in (self.root, *self.units), "DestinationParentNotFoundException")
        self._must_be(self.accounts[AccountId] == SourceParentId, "SourceParentNotFoundException")
        self._must_be(SourceParentId != DestinationParentId, "DuplicateAccountException")
        self.accounts[AccountId] = DestinationParentId
        self.done.append(("move_account", {"AccountId": AccountId, "to": DestinationParentId}))
        return {}

    def _delete_organizational_unit(self, *, OrganizationalUnitId: str) -> dict[str, Any]:  # noqa: N803
        self._must_be(OrganizationalUnitId in self.units, "OrganizationalUnitNotFoundException")
        inside = {has.parent for has in self.units.values()} | set(self.accounts.values())
        self._must_be(OrganizationalUnitId not in inside, "OrganizationalUnitNotEmptyException")
        del self.units[OrganizationalUnitId], self.attached[OrganizationalUnitId]
        self.done.append(("delete_organizational_unit", {"unit": OrganizationalUnitId}))
        return {}

    def _delete_policy(self, *, PolicyId: str) -> dict[str, Any]:  # noqa: N803
        self._must_be(PolicyId in self.policies, "PolicyNotFoundException")
        is_used = any(PolicyId in policies for policies in self.attached.values())
        self._must_be(not is_used, "PolicyInUseException")
        del self.policies[PolicyId]
        self.done.append(("delete_policy", {"policy": PolicyId}))
        return {}

    def _unit(self, unit: str) -> dict[str, str]:
        return {"Id": unit, "Name": self.units[unit].name}

    def _tag(self, resource: str, tags: list[dict[str, str]]) -> None:
        self.tagged[resource] = {tag["Key"]: tag["Value"] for tag in tags}

    def _number(self) -> int:
        self._made += 1
        return self._made

    def _must_be(self, holds: bool, code: str) -> None:
        if not holds:
            raise self._fault(code)

    @staticmethod
    def _fault(code: str) -> Exception:
        return of_response(code, 400, action="organizations", account="memory")
