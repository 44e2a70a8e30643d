"""aws.organizations.move_account: move one account into a unit of ours, or out of it again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from twokey.core.errors import Json, Message, NotFound, Refused, TwokeyError, message
from twokey.core.executions import Found, Lookup
from twokey.core.runbooks import Effect, Preview, Reversibility, Risk, Target, Touch
from twokey.providers.aws.faults import error_code
from twokey.providers.aws.organizations import (
    CREATED_TAG,
    OrgTree,
    accounts_under,
    may_contain,
    may_move_back,
    may_move_in,
    named_path,
    path_of,
)
from twokey.providers.aws.orgtree import READ_TREE, OrgReader
from twokey.providers.aws.session import Calls, is_later, text


class MoveAccount:
    """Move. The account that goes in must be alone there, and never ours, the management account, a delegated
    administrator, or one that people have tagged. `destination_under` is where a unit that is yet to be made
    will stand: with it the preview can say which policies the move takes away."""

    name = "aws.organizations.move_account"
    effect = Effect.MODIFY
    reversibility = Reversibility.ONLY_IF_UNCHANGED
    permissions: tuple[str, ...] = (
        *READ_TREE,
        "ec2:DescribeInstances",
        "organizations:DescribeAccount",
        "organizations:MoveAccount",
    )
    inputs: Mapping[str, str] = {
        "account_id": "aws.account_id",
        "source_parent_id": "aws.parent_id",
        "destination_parent_id": "aws.parent_id",
        "destination_under": "aws.ou_id?",
    }
    outputs: tuple[str, ...] = ("account_id", "parent_id")

    def __init__(self, calls: Calls) -> None:
        self.calls = calls
        self.org = OrgReader(calls)

    def least_risk(self, inputs: Mapping[str, Json]) -> Risk:
        """Count as critical, as all that changes the organisation."""
        return Risk.CRITICAL

    def preview(self, target: Target, inputs: Mapping[str, Json]) -> Preview:
        """Say where the account stands, where it goes, and what it loses on the way."""
        account = text(inputs, "account_id")
        later = is_later(inputs.get("destination_parent_id"))
        under = inputs.get("destination_under")
        nodes = [account, *self._known(inputs), *([under] if isinstance(under, str) and under else [])]
        tree = self.org.tree(*nodes)
        if refusal := self._account_refusal(target, account):
            return Preview(refusal=refusal)
        refusal = (
            may_contain(tree, account, self.calls.own_account()) if later else self._refusal(tree, inputs)
        )
        if refusal:
            return Preview(refusal=refusal)
        before = self._policies(tree, account)
        name = self.org.account_name(account)
        warnings = [message("aws.org.moves", account=account, name=name, path=named_path(tree, account))]
        if later and isinstance(under, str) and under:
            warnings.append(_policies_change(before, self._policies(tree, under)))
        if later:
            warnings.append(self._running(account, target.region))
        destination = str(inputs["destination_parent_id"])
        reached = {account} if later else accounts_under(tree, destination) | {account}
        going_back = not later and not tree.units.get(destination)  # to where many others live
        return Preview(
            # The account may change its own name; ids are what is confirmed.
            touches=(Touch("account", account),),
            shown={"account_name": name},
            observed={
                "path": cast("Json", list(path_of(tree, account))),
                "policies": cast("Json", {level: sorted(found) for level, found in before.items()}),
            },
            counts={"accounts": 1 if going_back or self._is_back(tree, inputs) else len(reached)},
            warnings=tuple(warnings),
        )

    def capture(self, target: Target, inputs: Mapping[str, Json]) -> Mapping[str, Json]:
        """Keep the parent that the account has now."""
        return {"parent_id": self.org.parent(text(inputs, "account_id"))}

    def apply(self, target: Target, inputs: Mapping[str, Json], key: str) -> Mapping[str, Json]:
        """Move, unless it is there already."""
        account, destination = text(inputs, "account_id"), text(inputs, "destination_parent_id")
        if refusal := self._account_refusal(target, account):
            raise Refused(refusal.code, **refusal.params)
        tree = self.org.tree(account, *self._known(inputs))
        if tree.accounts.get(account) != destination:
            if refusal := self._refusal(tree, inputs):
                raise Refused(refusal.code, **refusal.params)
            source = text(inputs, "source_parent_id")
            if tree.accounts.get(account) != source:
                raise Refused("aws.org.parent_differs", account=account, expected=source)
            # Without it the unit has fewer guardrails than where the account stands: less than no containment.
            if not self._is_back(tree, inputs) and not self._is_behind_our_policy(destination):
                raise Refused("aws.org.unit_has_no_policy", target=destination)
            try:
                self.org.call(
                    "move_account",
                    AccountId=account,
                    SourceParentId=source,
                    DestinationParentId=destination,
                )
            except (Refused, NotFound) as refused:
                # SourceParentNotFound or Duplicate: the call was repeated and the first had moved it already.
                if (
                    error_code(refused) == "AccountNotFoundException"
                    or self.org.parent(account) != destination
                ):
                    raise
        return {"account_id": account, "parent_id": destination}

    def find(self, target: Target, inputs: Mapping[str, Json], key: str) -> Lookup:
        """Read the account's parent."""
        account, destination = text(inputs, "account_id"), text(inputs, "destination_parent_id")
        if self.org.parent(account) != destination:
            return Lookup(Found.NOT_DONE)
        return Lookup(Found.DONE, {"account_id": account, "parent_id": destination})

    def _known(self, inputs: Mapping[str, Json]) -> list[str]:
        names = ("source_parent_id", "destination_parent_id")
        return [text(inputs, name) for name in names if not is_later(inputs.get(name))]

    def _account_refusal(self, target: Target, account: str) -> Message | None:
        if account == target.account:
            return None
        return message("aws.org.not_the_target", account=account, target=target.account)

    def _refusal(self, tree: OrgTree, inputs: Mapping[str, Json]) -> Message | None:
        account, source, destination = (
            text(inputs, name) for name in ("account_id", "source_parent_id", "destination_parent_id")
        )
        if self._is_back(tree, inputs):
            return may_move_back(tree, account, source, destination)
        return may_move_in(tree, account, destination, self.calls.own_account())

    @staticmethod
    def _is_back(tree: OrgTree, inputs: Mapping[str, Json]) -> bool:
        """Say whether a unit of ours is what is left: such a move ends a containment and is none."""
        source, destination = (
            tree.units.get(str(inputs.get(n))) for n in ("source_parent_id", "destination_parent_id")
        )
        return bool(source and source.created_by and not (destination and destination.created_by))

    def _is_behind_our_policy(self, unit: str) -> bool:
        """Say whether a policy of ours, which denies by how it was made, is attached to the unit itself."""
        return any(CREATED_TAG in self.org.tags(policy) for policy in self.org.policies(unit))

    def _policies(self, tree: OrgTree, node: str) -> dict[str, dict[str, str]]:
        return {level: self.org.policies(level) for level in path_of(tree, node)}

    def _running(self, account: str, region: str) -> Message:
        region = region or self.calls.options.region
        running = [{"Name": "instance-state-name", "Values": ["running"]}]
        try:
            found = self.calls.listed(
                "ec2", "describe_instances", "Reservations", account, region=region, Filters=running
            )
        except TwokeyError as error:
            return message("aws.org.running_unknown", account=account, region=region, why=error.message)
        instances = [instance for group in found for instance in group.get("Instances", [])]
        public = sum(1 for instance in instances if instance.get("PublicIpAddress"))
        return message("aws.org.running", account=account, region=region, count=len(instances), public=public)


def _policies_change(
    before: Mapping[str, Mapping[str, str]], after: Mapping[str, Mapping[str, str]]
) -> Message:
    """Say which policies the move takes away and which it adds, by their names."""
    old = {name for policies in before.values() for name in policies.values()}
    new = {name for policies in after.values() for name in policies.values()}
    lost, gained = sorted(old - new), sorted(new - old)
    return message("aws.org.policies_change", lost=", ".join(lost) or "-", gained=", ".join(gained) or "-")
