"""The rules about what may never be contained, over random organisations."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twokey.providers.aws.organizations import (
    OrgTree,
    Unit,
    accounts_under,
    is_root,
    may_attach,
    may_contain,
    may_create_in,
    may_move_back,
    may_move_in,
    named_path,
    path_of,
)

ROOT = "r-ab12"
OWN = "000000000000"


def unit_id(number: int) -> str:
    return f"ou-ab12-{number:08d}"


@st.composite
def organizations(draw: st.DrawFn) -> OrgTree:
    """Make a tree of units and accounts; some units are ours, some accounts must never be touched."""
    units: dict[str, Unit] = {}
    for number in range(draw(st.integers(0, 8))):
        parent = draw(st.sampled_from([ROOT, *units]))
        created_by = draw(st.sampled_from(["", "", "plan-1/create_ou"]))
        units[unit_id(number)] = Unit(unit_id(number), parent, f"unit {number}", created_by)
    accounts = {OWN: ROOT}
    for number in range(1, draw(st.integers(1, 12))):
        accounts[f"{number:012d}"] = draw(st.sampled_from([ROOT, *units]))
    some = st.frozensets(st.sampled_from(sorted(accounts)), max_size=3)
    return OrgTree(
        root_id=ROOT,
        management_account=draw(st.sampled_from([*accounts, ""])),
        units=units,
        accounts=accounts,
        delegated=draw(st.one_of(st.none(), some)),
        protected=draw(some) | {OWN},
        never_tagged=draw(some),
    )


def targets(tree: OrgTree) -> st.SearchStrategy[str]:
    """Name anything: the Root in any spelling, units, accounts, wildcards, things that do not exist."""
    odd = ["", "*", "r-*", "R-AB12", " r-ab12", "r-zzzz99", "ou-ab12-99999999", "999999999999", "arn:aws:x"]
    return st.sampled_from([ROOT, *tree.units, *tree.accounts, *odd])


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_never_the_root_never_management_never_own(data: st.DataObject) -> None:
    """S14: whatever the tree and whatever is named, the rules let nothing through that stops others."""
    tree = data.draw(organizations())
    account, target, created = (data.draw(targets(tree)) for _ in range(3))

    if may_contain(tree, account, OWN) is None:
        assert account not in (OWN, tree.management_account)
        assert tree.delegated is not None
        assert account in tree.accounts.keys() - tree.delegated - tree.protected - tree.never_tagged
    if may_attach(tree, target, created) is None:
        assert not is_root(target)
        assert target == created
        assert tree.units[target].created_by
        assert accounts_under(tree, target) == frozenset()
    if may_create_in(tree, target) is None:
        assert not is_root(target)
        assert target in tree.units
    if may_move_in(tree, account, target, OWN) is None:
        assert may_contain(tree, account, OWN) is None
        assert tree.units[target].created_by
        assert accounts_under(tree, target) <= {account}
        moved = replace(tree, accounts={**tree.accounts, account: target})
        assert accounts_under(moved, target) == {account}
    if may_move_back(tree, account, created, target) is None:
        assert tree.units[created].created_by


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_whole_quarantine_reaches_exactly_one_account(data: st.DataObject) -> None:
    """Attach to the new unit, then move: the accounts that the policy reaches are the one, at every moment."""
    tree = data.draw(organizations())
    account = data.draw(st.sampled_from(sorted(tree.accounts)))
    new = "ou-ab12-77777777"
    parent = data.draw(st.sampled_from([ROOT, *tree.units]))
    if may_create_in(tree, parent) or may_contain(tree, account, OWN):
        return
    tree = replace(tree, units={**tree.units, new: Unit(new, parent, "quarantine", "plan-1/create_ou")})
    assert may_attach(tree, new, new) is None
    assert accounts_under(tree, new) == frozenset()
    assert may_move_in(tree, account, new, OWN) is None
    before = tree.accounts[account]
    tree = replace(tree, accounts={**tree.accounts, account: new})
    assert accounts_under(tree, new) == {account}
    assert may_move_back(tree, account, new, before) is None


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_the_root_reaches_everybody_and_a_path_ends_at_its_node(data: st.DataObject) -> None:
    tree = data.draw(organizations())
    assert accounts_under(tree, ROOT) == frozenset(tree.accounts)
    for node in (*tree.units, *tree.accounts):
        assert path_of(tree, node)[0] == ROOT
        assert path_of(tree, node)[-1] == node


def test_a_ring_of_parents_ends() -> None:
    """A tree that was read while it changed may hold one."""
    one, two = unit_id(1), unit_id(2)
    tree = OrgTree(ROOT, OWN, {one: Unit(one, two), two: Unit(two, one)}, {"1" * 12: one})
    assert set(path_of(tree, "1" * 12)) == {"1" * 12, one, two}


def test_a_path_is_told_in_the_names_that_people_gave() -> None:
    tree = OrgTree(ROOT, OWN, {unit_id(1): Unit(unit_id(1), ROOT, "Prod")}, {"1" * 12: unit_id(1)})
    assert named_path(tree, "1" * 12) == f"Root / Prod / {'1' * 12}"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"management_account": ""}, "aws.org.is_management_account"),
        ({"delegated": None}, "aws.org.delegated_unknown"),
        ({"accounts": {}}, "aws.org.account_not_in_organization"),
    ],
)
def test_what_could_not_be_read_is_refused(change: dict[str, object], code: str) -> None:
    tree = OrgTree(ROOT, OWN, {}, {"1" * 12: ROOT}, frozenset(), frozenset({OWN}))
    assert may_contain(tree, "1" * 12, OWN) is None
    refusal = may_contain(replace(tree, **change), "1" * 12, OWN)  # type: ignore[arg-type]
    assert refusal is not None
    assert refusal.code == code


def test_nobody_is_contained_while_our_own_account_is_unknown() -> None:
    tree = OrgTree(ROOT, "2" * 12, {}, {"1" * 12: ROOT}, frozenset())
    refusal = may_contain(tree, "1" * 12, "")
    assert refusal is not None
    assert refusal.code == "aws.org.is_own_account"
