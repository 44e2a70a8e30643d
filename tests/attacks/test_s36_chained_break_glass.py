"""S36: nobody runs one plan after the other alone: a second person, with a code, stands behind each in turn."""

from __future__ import annotations

import pytest

from tests.lab.trials import Proof
from twokey.core.approvals import Approval
from twokey.core.errors import Refused
from twokey.core.people import ChatAccount, Role
from twokey.core.runbooks import Plan, PlanState
from twokey.testing.clouds import ACCOUNT
from twokey.testing.runbooks import LEAKED_KEY, protect_buckets
from twokey.testing.world import World

DAY_S = 24 * 3600.0


def in_a_crisis() -> World:
    """Return a world with an incident and a runbook for buckets that one person may run."""
    world = World(protect_buckets(break_glass=True))
    for name in ("acme-logs", "acme-backups"):
        world.cloud.state.buckets[name] = ACCOUNT
        world.cloud.state.bucket_policies[name] = []
    world.incident()
    return world


def alone(world: World, name: str, bucket: str) -> Plan:
    """Let a person run a plan over one bucket alone, to its end."""
    plan = world.breaks_glass(name, world.previews(name, "aws.protect-buckets", buckets=[bucket]))
    world.works_on(1)
    return world.plan(plan)


def test_s36_one_person_runs_one_plan_alone_until_another_confirms_it(proof: Proof) -> None:
    """The script of the review: a loop over buckets by one person, none of them confirmed."""
    for _ in (trials := proof("S36", "a person has one unconfirmed run at a time")):
        world = in_a_crisis()
        first = alone(world, "ana", "acme-invoices")
        assert first.state is PlanState.DONE
        with pytest.raises(Refused, match=r"refused\.glass_unconfirmed"):
            alone(world, "ana", "acme-logs")
        assert len(world.cloud.effects) == 1
        assert alone(world, "ben", "acme-logs").state is PlanState.DONE, "another person has their own"
        world.confirms("ben", first)
        assert alone(world, "ana", "acme-backups").state is PlanState.DONE
        trials.outcome("refused")


def test_s36_an_overdue_confirmation_stops_everybody_from_breaking_glass(proof: Proof) -> None:
    for _ in (trials := proof("S36", "nobody breaks glass while a confirmation is overdue")):
        world = in_a_crisis()
        first = alone(world, "ana", "acme-invoices")
        world.clock.advance(DAY_S + 2 * 3600)
        for name in ("ana", "ben", "cho"):
            with pytest.raises(Refused, match=r"refused\.glass_(unconfirmed|overdue)"):
                alone(world, name, "acme-logs")
        assert len(world.cloud.effects) == 1
        world.confirms("cho", first)
        assert alone(world, "ben", "acme-logs").state is PlanState.DONE
        trials.outcome("refused", 3)


def test_s36_only_an_approver_breaks_glass(proof: Proof) -> None:
    """A commander's role is self-service, and the command of the incident makes no approver either."""
    for _ in (trials := proof("S36", "only an approver breaks glass")):
        world = in_a_crisis()
        for command in (False, True):
            if command:
                world.response.assign("INC-1", "ic", ChatAccount("T1", "U-EVE"), world.who("eve"))
            with pytest.raises(Refused, match=r"refused\.not_approver"):
                alone(world, "eve", "acme-invoices")
        assert world.cloud.effects == []
        trials.outcome("refused", 2)


def test_s36_an_approver_who_only_commands_when_the_run_starts_is_alone_no_more() -> None:
    world = in_a_crisis()
    plan = world.breaks_glass("ana", world.previews("ana", "aws.protect-buckets", buckets=["acme-invoices"]))
    world.rosters.change("d-ana", roles=frozenset({Role.RESPONDER, Role.COMMANDER}))
    world.works_on(1)
    assert world.plan(plan).state is PlanState.VOIDED
    assert world.cloud.effects == []


def test_s36_a_run_is_confirmed_with_a_code_and_with_its_outcome_known(proof: Proof) -> None:
    for _ in (trials := proof("S36", "a run is confirmed with a code, when its outcome is known")):
        world = World()
        world.incident()
        plan = world.breaks_glass("ana", world.previews("ana", LEAKED_KEY))
        with pytest.raises(Refused, match=r"refused\.run_not_over"):
            world.confirms("ben", plan)
        world.works_on(1)
        for code in ("", "000000"):
            with pytest.raises(Refused, match=r"refused\.step_up_wrong"):
                world.confirms("ben", plan, code=code)
        seen, journal = world.containment.confirmable(plan.id, world.who("ben"))
        assert seen.state is PlanState.DONE
        assert {row.step_id for row in journal} == {step.id for step in plan.steps}
        world.confirms("ben", plan)
        with world.store.read() as look:
            (kept,) = [one for one in look.find(Approval, plan_id=plan.id) if one.role == "confirmation"]
        assert kept.step_up
        trials.outcome("refused", 3)


def test_s36_a_run_that_never_began_owes_nobody_anything() -> None:
    world = in_a_crisis()
    plan = world.breaks_glass("ana", world.previews("ana", "aws.protect-buckets", buckets=["acme-invoices"]))
    world.containment.reject(plan.id, world.who("cho"), "that bucket is public on purpose")
    world.works_on(1)
    assert alone(world, "ana", "acme-logs").state is PlanState.DONE
