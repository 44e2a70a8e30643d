"""S14: whatever the organisation looks like and whatever a runbook says, nobody but the one account is contained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

import pytest

from tests.lab.trials import Proof
from twokey.catalog.library import FileLibrary
from twokey.core.errors import TwokeyError
from twokey.core.incidents import Incident
from twokey.core.runbooks import Plan, PlanState, Runbook, Step
from twokey.flow.planning.planner import Planner
from twokey.ports import Cloud
from twokey.providers.aws import AwsOptions, provider
from twokey.providers.aws.organizations import CREATED_TAG, NEVER_TAG
from twokey.settings import data_folder
from twokey.testing.clocks import SettableClock
from twokey.testing.clouds.organizations_api import MemoryOrganizations, MemoryPolicy, MemoryUnit
from twokey.testing.world import World

QUARANTINE = "aws.quarantine-account"
ENDED = (PlanState.DONE, PlanState.FAILED, PlanState.VOIDED, PlanState.ASKING)
NONSENSE = (
    "*",
    "",
    "r-ab12",
    "all",
    "12345678901",
    "1234567890123",
    "１２３４５６７８９０１２",
    "000000000001\n",
)


@dataclass
class Case:
    """One organisation, what is asked of it, and by which runbook."""

    org: MemoryOrganizations
    account: str
    parent: str
    book: Runbook
    trick: str
    protected: tuple[str, ...] = ()
    given: dict[str, Any] = field(default_factory=dict)

    def forbidden(self) -> set[str]:
        """Return the accounts that must never be touched, from the organisation itself."""
        tagged = {account for account in self.org.accounts if NEVER_TAG in self.org.tagged.get(account, {})}
        delegated = set(self.org.accounts) if self.org.delegated is None else self.org.delegated
        return {self.org.own, self.org.management, *self.protected, *delegated, *tagged}

    def may_be_contained(self) -> bool:
        """Say whether the plain runbook has no reason to refuse: then it must not."""
        org = self.org
        siblings = {unit.name for unit in org.units.values() if unit.parent == self.parent}
        return (
            self.account in org.accounts
            and self.account not in self.forbidden()
            and self.parent in org.units
            and "quarantine-INC-1" not in siblings
            and "twokey-quarantine-INC-1" not in {policy.name for policy in org.policies.values()}
        )


def account_id(number: int) -> str:
    return f"{number + 1:012d}"


def an_organisation(random: Random, clock: SettableClock) -> tuple[MemoryOrganizations, tuple[str, ...]]:
    """Make an organisation of any shape, with the accounts that the settings protect."""
    root = "r-ab12"
    units: dict[str, MemoryUnit] = {}
    for number in range(random.randrange(13)):
        above = random.choice([root, *units])
        name = random.choice(["quarantine-INC-1", "quarantine", "prod"] if random.random() < 0.1 else ["u"])
        units[f"ou-ab12-{number:08d}"] = MemoryUnit(f"{name}{'' if name[0] == 'q' else number}", above)
    where = [root, *units]
    accounts = {account_id(n): random.choice(where) for n in range(random.randint(2, 20))}
    known = sorted(accounts)
    own, management = random.choice(known), random.choice(known)
    if random.random() < 0.7:
        accounts[management] = root  # where it is in most organisations
    delegated = set(random.sample(known, random.randrange(min(4, len(known)))))
    tagged = {account: {NEVER_TAG: ""} for account in known if random.random() < 0.08}
    tagged |= {unit: {CREATED_TAG: "plan-0/create_ou"} for unit in units if random.random() < 0.15}
    protected = tuple(account for account in known if random.random() < 0.05)
    org = MemoryOrganizations(
        AwsOptions(own_account=own, protected_accounts=protected),
        clock,
        own,
        management,
        root,
        units,
        accounts,
        None if random.random() < 0.05 else delegated,
        tagged,
    )
    if random.random() < 0.05:
        org.policies["p-before00001"] = MemoryPolicy("twokey-quarantine-INC-1")
    return org, protected


def with_step(book: Runbook, step_id: str, **inputs: Any) -> Runbook:
    """Return a runbook in which one step says something else and is guarded by nothing."""

    def changed(step: Step) -> Step:
        if step.id != step_id:
            return step
        return replace(step, inputs={**step.inputs, **inputs}, pre=(), verify=None)

    return replace(book, steps=tuple(map(changed, book.steps)), guards=())


def tricked(book: Runbook, random: Random, org: MemoryOrganizations) -> tuple[str, Runbook]:
    """Return what somebody writes who wants more than one account, and got it approved."""
    nodes = [org.root, *org.units, *org.accounts]
    trick = random.choice(
        [
            "no guards",
            "policy elsewhere",
            "moved elsewhere",
            "another account",
            "under the Root",
            "two accounts",
        ]
    )
    if trick == "no guards":
        steps = tuple(replace(step, pre=(), verify=None) for step in book.steps)
        return trick, replace(book, guards=(), steps=steps, blast_max={})
    if trick == "policy elsewhere":
        return trick, with_step(book, "attach_scp", target_id=random.choice(nodes))
    if trick == "moved elsewhere":
        return trick, with_step(
            book, "move_account", destination_parent_id=random.choice([org.root, *org.units])
        )
    if trick == "another account":
        return trick, with_step(book, "move_account", account_id=random.choice(sorted(org.accounts)))
    if trick == "under the Root":
        return trick, with_step(book, "create_ou", parent_id=org.root)
    more = next(step for step in book.steps if step.id == "move_account")
    other = {**more.inputs, "account_id": random.choice(sorted(org.accounts))}
    second = replace(more, id="move_another", inputs=other, pre=(), verify=None, undo=None, irreversible="no")
    return trick, replace(book, steps=(*book.steps, second), guards=(), blast_max={})


def a_case(random: Random, shipped: Runbook, clock: SettableClock) -> Case:
    org, protected = an_organisation(random, clock)
    trick, book = ("", shipped) if random.random() < 0.6 else tricked(shipped, random, org)
    account = random.choice([*org.accounts] * 3 + [account_id(99)])
    if random.random() < 0.04:
        account = random.choice(NONSENSE)
    parent = random.choice([*org.units] * 3 + [org.root, "ou-ab12-99999999"])
    given = {"account_id": account}
    return Case(org, account, parent, book, trick, protected, given)


@pytest.fixture(scope="module")
def shipped() -> Runbook:
    """The runbook as it is shipped and approved."""
    clouds = {"aws": provider(AwsOptions(), SettableClock())}
    return FileLibrary(data_folder("runbooks"), clouds).runbook(QUARANTINE)


@pytest.fixture(scope="module")
def incident() -> Incident:
    world = World()
    return world.incident()


def world_of(case: Case) -> World:
    """Put the real actions, checks and planner over an organisation, with people and a journal around."""
    world = World(case.book)
    world.cloud = provider(case.org.options, world.clock, session=case.org)  # type: ignore[assignment, arg-type]
    world.changes_settings(quarantine_parent_ou=case.parent, role_name="TwokeyResponder")
    return world


def approved(case: Case) -> tuple[World, Plan] | TwokeyError:
    """Let three people agree on the plan, or return why there is none."""
    world = world_of(case)
    world.incident()
    try:
        plan = world.proposes("ana", QUARANTINE, **case.given)
    except TwokeyError as refused:
        return refused
    world.approves("ben", plan)
    world.approves("cho", plan)
    return world, plan


def runs(world: World, plan: Plan) -> Plan:
    for _ in range(60):
        world.works()
        if world.plan(plan).state in ENDED:
            break
        world.clock.advance(2)
    return world.plan(plan)


def touched(plan: Plan) -> set[tuple[str, str]]:
    return {(touch.kind, touch.id) for touch in plan.touches}


def executed(done: list[tuple[str, Mapping[str, Any]]]) -> set[tuple[str, str]]:
    """Return what was changed in the words of a preview."""
    found = set()
    for operation, given in done:
        if operation == "create_organizational_unit":
            found.add(("organizational-unit", f"{given['ParentId']}/{given['Name']}"))
        elif operation == "create_policy":
            found.add(("policy", given["Name"]))
        elif operation == "move_account":
            found.add(("account", given["AccountId"]))
    return found


def assert_nobody_else_was_hit(case: Case, before: dict[str, Any], forbidden: set[str]) -> None:
    """Judge by the organisation's own log and state, not by what twokey says."""
    org, after = case.org, case.org.snapshot()
    made_units = after["units"].keys() - before["units"].keys()
    for operation, given in org.done:
        if operation == "create_organizational_unit":
            assert given["ParentId"] == case.parent != org.root
        if operation == "attach_policy":
            assert given["TargetId"] in made_units, "a policy went to a place that was there before"
            assert given["reached"] == [], "a policy went to a place with accounts under it"
        if operation == "move_account":
            assert given["AccountId"] == case.account
            assert given["AccountId"] not in forbidden
    moved = {a for a, parent in after["accounts"].items() if before["accounts"][a] != parent}
    assert moved <= {case.account}
    assert not moved & forbidden
    for policy, node in after["attached"] - before["attached"]:
        assert node in made_units
        if policy in after["policies"].keys() - before["policies"].keys():
            assert len(org.under(node)) <= 1
            assert not org.under(node) & forbidden
    assert before["attached"] <= after["attached"]
    assert before["units"].items() <= after["units"].items()


def planned(cloud: Cloud, case: Case, incident: Incident) -> tuple[Plan | None, str]:
    """Return a plan, or the code of the refusal."""
    try:
        config: dict[str, Any] = {
            "aws": {"quarantine_parent_ou": case.parent, "role_name": "TwokeyResponder"}
        }
        return Planner({"aws": cloud}, config).plan(case.book, incident, case.given), ""
    except TwokeyError as refused:
        return None, refused.message.code


def test_no_organisation_and_no_runbook_makes_a_plan_for_anybody_else(
    shipped: Runbook, incident: Incident, proof: Proof
) -> None:
    clock = SettableClock()
    trials = proof("S14", "a plan hits one account and never a forbidden one", ci=5_000, release=50_000)
    for random in trials:
        case = a_case(random, shipped, clock)
        before, forbidden = case.org.snapshot(), case.forbidden()
        cloud = provider(case.org.options, clock, session=case.org)  # type: ignore[arg-type]
        plan, refused = planned(cloud, case, incident)
        if plan is None:
            assert case.trick or not case.may_be_contained(), (refused, case)
            trials.outcome(f"refused: {refused}")
        else:
            assert case.account not in forbidden
            assert case.parent in case.org.units
            assert plan.blast["accounts"] == 1
            assert {one for kind, one in touched(plan) if kind == "account"} == {case.account}
            assert case.trick or case.may_be_contained()
            trials.outcome(f"planned{': ' if case.trick else ''}{case.trick}")
        assert case.org.snapshot() == before, "a plan reads only"


def test_what_was_previewed_is_what_is_executed_and_nothing_else(shipped: Runbook, proof: Proof) -> None:
    trials = proof(
        "S14", "the previewed set is the executed set, with one account in it", ci=400, release=5_000
    )
    for random in trials:
        case = a_case(random, shipped, SettableClock())
        while not case.may_be_contained():
            case = a_case(random, shipped, SettableClock())
        before, forbidden = case.org.snapshot(), case.forbidden()
        made = approved(case)
        if isinstance(made, TwokeyError):
            assert case.trick, made
            assert case.org.snapshot() == before
            trials.outcome("refused before anybody was asked")
            continue
        world, plan = made
        ended = runs(world, plan)
        assert_nobody_else_was_hit(case, before, forbidden)
        if ended.state is PlanState.DONE:
            assert executed(case.org.done) == touched(plan)
            unit = case.org.accounts[case.account]
            assert case.org.under(unit) == {case.account}
        else:
            assert case.trick, (ended, case.org.done)
        trials.outcome(f"{ended.state.value}{': ' if case.trick else ''}{case.trick}")


def meanwhile(random: Random, case: Case) -> str:
    """Let somebody else change the organisation after the last key was turned."""
    org, account = case.org, case.account
    what = random.choice(
        [
            "delegated",
            "tagged",
            "unreadable",
            "moved",
            "management",
            "unit taken",
            "policy taken",
            "parent gone",
        ]
    )
    if what == "delegated" and org.delegated is not None:
        org.delegated.add(account)
    elif what == "tagged":
        org.tagged[account] = {NEVER_TAG: "yes"}
    elif what == "unreadable":
        org.delegated = None
    elif what == "moved":
        org.accounts[account] = random.choice([org.root, *org.units])
    elif what == "management":
        org.management = account
    elif what == "unit taken":
        org.units["ou-ab12-77777777"] = MemoryUnit("quarantine-INC-1", case.parent)
        org.attached["ou-ab12-77777777"] = set()
    elif what == "policy taken":
        org.policies["p-meanwhile01"] = MemoryPolicy("twokey-quarantine-INC-1")
    elif what == "parent gone":
        org.units[case.parent].parent = "r-ab12"
    return what


def test_an_organisation_that_changes_after_the_keys_voids_them(shipped: Runbook, proof: Proof) -> None:
    trials = proof("S14", "an organisation that changed after the keys is not touched", ci=200, release=3_000)
    for random in trials:
        case = a_case(random, shipped, SettableClock())
        while case.trick or not case.may_be_contained():
            case = a_case(random, shipped, SettableClock())
        made = approved(case)
        assert not isinstance(made, TwokeyError), made
        world, plan = made
        seen = case.org.snapshot()
        what = meanwhile(random, case)
        before, forbidden = case.org.snapshot(), case.forbidden()
        ended = runs(world, plan)
        assert_nobody_else_was_hit(case, before, forbidden)
        is_same = seen == before and what in ("moved", "parent gone")  # it was moved to where it was
        if not is_same:
            assert ended.state is PlanState.VOIDED, (what, ended.state, ended.reason)
            assert case.org.done == []
        trials.outcome(f"{ended.state.value}: {what}")


def test_the_organisation_in_memory_would_let_the_disaster_happen(shipped: Runbook) -> None:
    """A double that refuses what AWS allows would prove nothing."""
    org = MemoryOrganizations(
        AwsOptions(), SettableClock(), "000000000001", "000000000002", accounts={"000000000001": "r-ab12"}
    )
    case = Case(org, "000000000001", "ou-ab12-00000001", shipped, "")
    before = org.snapshot()
    tags = [{"Key": "a", "Value": "b"}]
    made = org.call(
        "organizations", "create_policy", "", Name="n", Description="", Type="", Content="{}", Tags=tags
    )
    policy = made["Policy"]["PolicySummary"]["Id"]
    org.call("organizations", "attach_policy", "", PolicyId=policy, TargetId=org.root)
    assert org.under(org.root) == {"000000000001"}
    with pytest.raises(AssertionError, match="there before"):
        assert_nobody_else_was_hit(case, before, case.forbidden())
