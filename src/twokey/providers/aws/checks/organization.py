"""Checks about accounts and units: the rules of organizations.py, asked of fresh reads."""

from __future__ import annotations

from collections.abc import Mapping

from twokey.core.errors import Json, NotFound, Refused, message
from twokey.core.runbooks import CheckResult, Target
from twokey.providers.aws.checks.asking import Question, answer, equal, equal_lists
from twokey.providers.aws.faults import error_code
from twokey.providers.aws.organizations import (
    NEVER_TAG,
    accounts_under,
    is_root,
    is_unit,
    may_contain,
    named_path,
    units_under,
)
from twokey.providers.aws.orgtree import READ_TREE, OrgReader
from twokey.providers.aws.session import Calls, text

_ACCOUNT = {"account_id": "aws.account_id"}
_UNIT = {"ou_id": "aws.ou_id"}
_NO_ORGANIZATION = ("AWSOrganizationsNotInUseException", "TargetNotFoundException")


def _not_management(calls: Calls, _target: Target, inputs: Mapping[str, Json]) -> CheckResult:
    account = text(inputs, "account_id")
    management = OrgReader(calls).tree().management_account
    if not management or account == management:
        return answer(message("aws.org.is_management_account", account=account), {"management": management})
    return answer(None, {"management": management})


def _not_delegated(calls: Calls, _target: Target, inputs: Mapping[str, Json]) -> CheckResult:
    account = text(inputs, "account_id")
    delegated = OrgReader(calls).tree().delegated
    if delegated is None:
        return answer(message("aws.org.delegated_unknown", account=account), {"delegated": None})
    seen: dict[str, Json] = {"delegated": account in delegated}
    reason = message("aws.org.is_delegated_administrator", account=account)
    return answer(reason if account in delegated else None, seen)


def _not_own(calls: Calls, _target: Target, inputs: Mapping[str, Json]) -> CheckResult:
    account, own = text(inputs, "account_id"), calls.own_account()
    if not own or account == own:
        return answer(message("aws.org.is_own_account", account=account), {"own": own})
    return answer(None, {"own": own})


def _containable(calls: Calls, _target: Target, inputs: Mapping[str, Json]) -> CheckResult:
    account = text(inputs, "account_id")
    tree = OrgReader(calls).tree(account)
    path = named_path(tree, account) if account in tree.accounts else ""
    return answer(may_contain(tree, account, calls.own_account()), {"path": path})


def _not_root(calls: Calls, _target: Target, inputs: Mapping[str, Json]) -> CheckResult:
    unit = text(inputs, "target_id")
    if is_root(unit):
        return answer(message("aws.org.is_root", target=unit), {"kind": "root"})
    if not is_unit(unit):
        return answer(message("aws.org.not_a_unit", target=unit), {"kind": "other"})
    tree = OrgReader(calls).tree(unit)
    if unit not in tree.units:
        return answer(message("aws.org.unit_not_found", target=unit), {"kind": "missing"})
    return answer(None, {"kind": "unit", "path": named_path(tree, unit)})


def _no_tag(calls: Calls, _target: Target, inputs: Mapping[str, Json]) -> CheckResult:
    account, tag = text(inputs, "account_id"), str(inputs.get("tag") or NEVER_TAG)
    there = tag in OrgReader(calls).tags(account)
    return answer(
        message("aws.org.has_never_tag", account=account, tag=tag) if there else None, {"tag": there}
    )


def _not_kept_out(calls: Calls, _target: Target, inputs: Mapping[str, Json]) -> CheckResult:
    """Ask the settings and the account's tags in the organisation, which nobody in the account can write."""
    account, tag = text(inputs, "account_id"), str(inputs.get("tag") or NEVER_TAG)
    options = calls.options
    if account in (*options.never_contain, *options.protected_accounts):
        return answer(message("aws.never_contain", what=account, entry=account), {"tags": "not asked"})
    try:
        there = tag in OrgReader(calls).tags(account)
    except (NotFound, Refused) as fault:
        if error_code(fault) in _NO_ORGANIZATION:
            return answer(None, {"tags": "no organization"})
        if options.organizations_account:
            raise
        # No account of the settings speaks for an organisation, and our own may not ask one.
        note = message("aws.org.tags_not_readable", account=account, why=fault.message)
        return CheckResult(True, {"tags": "not readable"}, warnings=(note,))
    reason = message("aws.org.has_never_tag", account=account, tag=tag)
    return answer(reason if there else None, {"tags": there})


def _empty_and_new(calls: Calls, _target: Target, inputs: Mapping[str, Json]) -> CheckResult:
    unit = text(inputs, "ou_id")
    reader = OrgReader(calls)
    tree = reader.tree(unit)
    if unit not in tree.units:
        return answer(message("aws.org.unit_not_found", target=unit), {})
    inside = len(accounts_under(tree, unit)) + len(units_under(tree, unit))
    # Every new unit is born with AWS's own allow-all policy; anything else was there before us.
    others = sorted(set(reader.policies(unit)) - {"p-FullAWSAccess"})
    seen: dict[str, Json] = {
        "created_by": tree.units[unit].created_by,
        "inside": inside,
        "policies": len(others),
    }
    if not tree.units[unit].created_by:
        return answer(message("aws.org.unit_not_ours", target=unit), seen)
    if inside or others:
        return answer(message("aws.org.unit_not_empty", target=unit, count=inside + len(others)), seen)
    return answer(None, seen)


def _no_accounts(calls: Calls, _target: Target, inputs: Mapping[str, Json]) -> CheckResult:
    unit = text(inputs, "ou_id")
    tree = OrgReader(calls).tree(unit)
    if unit not in tree.units:
        return answer(message("aws.org.unit_not_found", target=unit), {})
    count = len(accounts_under(tree, unit)) + len(units_under(tree, unit))
    return answer(
        message("aws.org.unit_not_empty", target=unit, count=count) if count else None, {"inside": count}
    )


def _created_by(calls: Calls, _target: Target, inputs: Mapping[str, Json]) -> CheckResult:
    unit, step = text(inputs, "target_id"), text(inputs, "step")
    if is_root(unit):
        return answer(message("aws.org.is_root", target=unit), {})
    tree = OrgReader(calls).tree(unit)
    created_by = tree.units[unit].created_by if unit in tree.units else ""
    ours = created_by.rpartition("/")[2] == step
    return answer(None if ours else message("aws.org.unit_not_ours", target=unit), {"created_by": created_by})


QUESTIONS: tuple[Question, ...] = (
    Question("aws.org.account_is_not_management", _not_management, READ_TREE, _ACCOUNT),
    Question("aws.org.account_is_not_delegated_admin", _not_delegated, READ_TREE, _ACCOUNT),
    Question("aws.org.account_may_be_contained", _containable, READ_TREE, _ACCOUNT),
    Question("aws.sts.account_is_not_own", _not_own, (), _ACCOUNT),
    Question("aws.org.target_is_not_root", _not_root, READ_TREE, {"target_id": "aws.parent_id"}),
    Question(
        "aws.org.account_has_no_tag",
        _no_tag,
        ("organizations:ListTagsForResource",),
        {**_ACCOUNT, "tag": "text?"},
    ),
    Question(
        "aws.org.account_is_not_kept_out",
        _not_kept_out,
        ("organizations:ListTagsForResource",),
        {**_ACCOUNT, "tag": "text?"},
    ),
    Question("aws.org.ou_is_empty_and_new", _empty_and_new, READ_TREE, _UNIT),
    Question("aws.org.ou_has_no_accounts", _no_accounts, READ_TREE, _UNIT),
    Question(
        "aws.org.target_is_ou_created_by", _created_by, READ_TREE, {"target_id": "aws.ou_id", "step": "text"}
    ),
    Question(
        "aws.org.parent_equals",
        lambda calls, _target, inputs: equal(
            "parent", OrgReader(calls).parent(text(inputs, "account_id")), text(inputs, "parent_id")
        ),
        ("organizations:ListParents",),
        {**_ACCOUNT, "parent_id": "aws.parent_id"},
    ),
    Question(
        "aws.org.accounts_in_ou_equal",
        lambda calls, _target, inputs: equal_lists(
            "accounts", OrgReader(calls).accounts_of(text(inputs, "ou_id")), inputs.get("accounts")
        ),
        ("organizations:ListAccountsForParent",),
        {**_UNIT, "accounts": "list"},
    ),
)
