"""The same flow on the real record: what holds in memory holds on disk, also between two connections."""

import pytest

from twokey.core.errors import Refused
from twokey.core.runbooks import PlanState
from twokey.store import open_store
from twokey.testing.clocks import SettableClock
from twokey.testing.clouds import KEY_ID, Killed, die
from twokey.testing.runbooks import PROTECT_BUCKETS, QUARANTINE_ACCOUNT
from twokey.testing.world import World


@pytest.fixture
def world(tmp_path):
    """Return a world whose record is a file."""
    clock = SettableClock()
    store = open_store(f"sqlite:///{tmp_path / 'record.db'}", clock)
    yield World(store=store, queue=store.jobs(), clock=clock)
    store.close()


def test_a_critical_plan_goes_its_whole_way_and_back(world):
    world.incident()
    plan = world.contains(QUARANTINE_ACCOUNT, "ana", "ben", "cho")
    assert plan.state is PlanState.DONE
    undo = world.proposes_undo("cho", plan)
    world.approves("ana", undo)
    world.approves("ben", undo)
    world.works()
    assert world.plan(undo).state is PlanState.DONE
    world.store.verify()


def test_the_digest_survives_the_database(world):
    world.incident()
    plan = world.proposes("ana", PROTECT_BUCKETS)
    assert world.plan(plan) == plan


@pytest.mark.parametrize(
    "checkpoint", ["run:claimed", "deactivate_key:after-intent", "deactivate_key:after-call", "run:finish"]
)
def test_a_run_that_dies_completes_after_the_restart(world, checkpoint):
    world.incident()
    plan = world.proposes("ana")
    world.approves("ben", plan)
    world.stops_at(lambda name: die() if name == checkpoint else None)
    with pytest.raises(Killed):
        world.works()
    world.stops_at(None)
    world.restarts()
    world.works()
    assert world.plan(plan).state is PlanState.DONE
    assert len(world.cloud.effects) == 2


def test_clicks_at_the_same_moment_are_one_key_and_one_run(world, clicks_at_once):
    world.incident()
    plan = world.proposes("ana", PROTECT_BUCKETS)
    ends = clicks_at_once("ben", plan, 6)
    assert ends.count("turned") == 1
    assert len(ends) == 6
    world.works()
    assert len(world.cloud.effects) == 1


def test_break_glass_and_its_confirmation_after_the_run(world):
    world.incident()
    plan = world.breaks_glass("ana", world.previews("ana"))

    def ben_confirms(name):
        if name == "deny_user:after-call":
            with pytest.raises(Refused, match=r"refused.run_not_over"):
                world.confirms("ben", plan)

    world.stops_at(ben_confirms)
    world.works()
    world.confirms("ben", plan)
    assert (world.plan(plan).state, world.plan(plan).confirmed_by) == (PlanState.DONE, "d-ben")
    assert world.cloud.state.keys[KEY_ID].status == "Inactive"


def test_wrong_codes_are_counted_on_the_record(world):
    world.incident()
    plan = world.proposes("ana")
    for _ in range(5):
        with pytest.raises(Refused, match=r"refused.step_up_wrong"):
            world.approves("ben", plan, code="000000")
    with pytest.raises(Refused, match=r"refused.step_up_locked"):
        world.approves("ben", plan)
