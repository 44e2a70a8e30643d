"""What may never be contained, as pure rules over a snapshot of the organisation.

Previews, checks and the writes themselves all ask here. The rules exist because a `Deny *` policy that was
meant for a new quarantine unit was once attached to the Root: every account stopped. So a policy may only go
to an empty unit that twokey itself has just created, an account may only be moved into or out of such a unit,
and the Root, the management account, delegated administrators and our own account are never a target.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from twokey.core.errors import Message, message
from twokey.providers.aws.parameters import ACCOUNT_ID, OU_ID, ROOT_ID

CREATED_TAG = "twokey:created-by"
"""The tag that marks a unit as made by one of our plans; its value is the key of the step that made it."""

NEVER_TAG = "twokey:never-contain"
"""The tag by which people keep an account, a user or a bucket out of every containment."""


@dataclass(frozen=True, slots=True)
class Unit:
    """One organisational unit. `created_by` is the step key in its tag, "" when it is not ours."""

    id: str
    parent: str
    name: str = ""
    created_by: str = ""


@dataclass(frozen=True, slots=True)
class OrgTree:
    """The organisation, or as much of it as a question needs. `delegated` None: it was not readable."""

    root_id: str
    management_account: str
    units: Mapping[str, Unit] = field(default_factory=dict)
    accounts: Mapping[str, str] = field(default_factory=dict)  # account id -> parent id
    delegated: frozenset[str] | None = None
    protected: frozenset[str] = frozenset()  # our own account, and what the settings add
    never_tagged: frozenset[str] = frozenset()


def is_root(target_id: str) -> bool:
    """Say whether an id is the Root's, by its form alone: no read can make it anything else."""
    return re.fullmatch(ROOT_ID, target_id.strip(), re.IGNORECASE) is not None


def is_unit(target_id: str) -> bool:
    """Say whether an id has the form of an organisational unit's."""
    return re.fullmatch(OU_ID, target_id) is not None


def accounts_under(tree: OrgTree, target_id: str) -> frozenset[str]:
    """Return every account that a policy on this target would reach."""
    if target_id in tree.accounts:
        return frozenset((target_id,))
    return frozenset(account for account in tree.accounts if target_id in path_of(tree, account))


def path_of(tree: OrgTree, node: str) -> tuple[str, ...]:
    """Return the ids from the top down to this account or unit itself."""
    path, seen = [node], {node}
    while parent := _parent(tree, path[-1]):
        if parent in seen:
            break
        path.append(parent)
        seen.add(parent)
    return tuple(reversed(path))


def named_path(tree: OrgTree, node: str) -> str:
    """Return the path of an account or unit in the names that people gave."""
    names = {step: unit.name or step for step, unit in tree.units.items()}
    return " / ".join("Root" if is_root(step) else names.get(step, step) for step in path_of(tree, node))


def may_contain(tree: OrgTree, account: str, own_account: str) -> Message | None:
    """Say why an account must not be contained, or None when nothing speaks against it."""
    if is_root(account):
        return message("aws.org.is_root", target=account)
    if not re.fullmatch(ACCOUNT_ID, account):
        return message("aws.org.not_an_account", target=account)
    if not own_account or account == own_account:
        return message("aws.org.is_own_account", account=account)
    if not tree.management_account or account == tree.management_account:
        return message("aws.org.is_management_account", account=account)
    if tree.delegated is None:
        return message("aws.org.delegated_unknown", account=account)
    if account in tree.delegated:
        return message("aws.org.is_delegated_administrator", account=account)
    if account in tree.protected:
        return message("aws.org.is_protected", account=account)
    if account in tree.never_tagged:
        return message("aws.org.has_never_tag", account=account, tag=NEVER_TAG)
    if account not in tree.accounts:
        return message("aws.org.account_not_in_organization", account=account)
    return None


def may_create_in(tree: OrgTree, parent_id: str) -> Message | None:
    """Say why no quarantine unit may be made under this parent, or None."""
    if is_root(parent_id) or parent_id == tree.root_id:
        return message("aws.org.is_root", target=parent_id)
    if not is_unit(parent_id):
        return message("aws.org.not_a_unit", target=parent_id)
    if parent_id not in tree.units:
        return message("aws.org.unit_not_found", target=parent_id)
    return None


def may_attach(tree: OrgTree, target_id: str, created_ou: str) -> Message | None:
    """Say why a policy must not be attached to this target, or None.

    `created_ou` is the unit that the same plan created. It must still be empty: the policy goes on first and
    the one account moves in afterwards, so a wrong target shows itself by having accounts under it.
    """
    if is_root(target_id) or target_id == tree.root_id:
        return message("aws.org.is_root", target=target_id)
    if not is_unit(target_id):
        return message("aws.org.not_a_unit", target=target_id)
    unit = tree.units.get(target_id)
    if unit is None:
        return message("aws.org.unit_not_found", target=target_id)
    if not created_ou or target_id != created_ou or not unit.created_by:
        return message("aws.org.unit_not_ours", target=target_id)
    if children := units_under(tree, target_id):
        return message("aws.org.unit_not_empty", target=target_id, count=len(children))
    if accounts := accounts_under(tree, target_id):
        return message("aws.org.unit_not_empty", target=target_id, count=len(accounts))
    return None


def may_move_in(tree: OrgTree, account: str, destination: str, own_account: str) -> Message | None:
    """Say why an account must not be moved into this unit, or None: only into one of ours, and alone."""
    if refusal := may_contain(tree, account, own_account):
        return refusal
    if is_root(destination) or destination == tree.root_id:
        return message("aws.org.is_root", target=destination)
    unit = tree.units.get(destination)
    if unit is None:
        return message("aws.org.unit_not_found", target=destination)
    if not unit.created_by:
        return message("aws.org.unit_not_ours", target=destination)
    others = accounts_under(tree, destination) - {account}
    if others or units_under(tree, destination):
        return message("aws.org.unit_not_empty", target=destination, count=len(others))
    return None


def may_move_back(tree: OrgTree, account: str, source: str, destination: str) -> Message | None:
    """Say why an account must not be moved out of this unit again, or None: only out of one of ours."""
    unit = tree.units.get(source)
    if unit is None:
        return message("aws.org.unit_not_found", target=source)
    if not unit.created_by:
        return message("aws.org.unit_not_ours", target=source)
    if tree.accounts.get(account) not in (source, destination):
        return message("aws.org.parent_differs", account=account, expected=source)
    # The account may have lived directly under the Root: going back there is no containment.
    if destination not in tree.units and destination != tree.root_id:
        return message("aws.org.unit_not_found", target=destination)
    return None


def units_under(tree: OrgTree, unit_id: str) -> frozenset[str]:
    """Return the units below a unit."""
    return frozenset(one for one in tree.units if one != unit_id and unit_id in path_of(tree, one))


def protected_accounts(own: str, added: Iterable[str]) -> frozenset[str]:
    """Return the accounts that no containment may touch whatever the organisation says."""
    return frozenset((own, *added)) - {""}


def _parent(tree: OrgTree, node: str) -> str:
    if node in tree.accounts:
        return tree.accounts[node]
    return tree.units[node].parent if node in tree.units else ""
