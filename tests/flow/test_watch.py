"""The register of what is contained, the looks at it, and what people change about it."""

from datetime import timedelta

import pytest

from twokey.core.containments import InForceState, wait_before_next
from twokey.core.errors import NotFound, Refused, RetryAfter
from twokey.core.executions import StepState
from twokey.core.incidents import State
from twokey.core.jobs import Job, JobKind
from twokey.core.notices import NoticeKind
from twokey.core.people import ChatAccount
from twokey.core.runbooks import PlanState
from twokey.testing import runbooks
from twokey.testing.clouds import ACCOUNT, KEY_ID
from twokey.testing.world import World

DAY = 24 * 60


@pytest.fixture
def plan(world):
    world.incident()
    return world.contains()


def undone(world, plan):
    undo = world.proposes_undo("ana", plan)
    world.approves("ben", undo)
    return undo


def states(world):
    return {row.step_id: row.state for row in world.contained()}


def key_on(world):
    world.cloud.state.keys[KEY_ID].status = "Active"


def entries(world, action):
    return [entry for entry in world.trail() if entry.action == action]


# what is entered


def test_a_verified_write_is_entered_with_its_plan_its_keys_and_its_owner(world, plan):
    key, policy = world.contained()
    assert (key.id, policy.id) == (f"{plan.id}/deactivate_key", f"{plan.id}/deny_user")
    assert key.people == ("d-ana", "d-ben")
    assert (key.owner, key.account, key.short) == ("d-ana", ACCOUNT, plan.short)
    assert {touch.id for touch in key.touches} == {"deploy", KEY_ID}
    assert key.since == key.last_seen == world.journal(plan)["deactivate_key"].ended_at


def test_the_commander_of_that_time_is_the_owner(world):
    world.incident()
    world.response.assign("INC-1", "ic", ChatAccount("T1", "U-EVE"), world.who("eve"))
    world.contains()
    assert {row.owner for row in world.contained()} == {"d-eve"}


def test_a_read_and_a_step_that_was_skipped_are_not_entered(world):
    key_on(world)
    world.incident()
    world.cloud.state.keys[KEY_ID].status = "Inactive"
    world.contains()
    assert list(states(world)) == ["deny_user"]


def test_what_a_run_did_that_stopped_to_ask_or_was_stopped_stands(world):
    world.incident()
    plan = world.proposes("ana")
    world.approves("ben", plan)
    world.cloud.refuse_on("apply aws.iam.put_user_policy")
    world.works()
    assert world.plan(plan).state is PlanState.ASKING
    assert list(states(world)) == ["deactivate_key"]
    world.containment.decide(plan.id, world.who("ben"), "stop")
    assert list(states(world)) == ["deactivate_key"]


def test_a_run_that_goes_on_enters_the_rest_and_is_watched_as_one(world):
    world.incident()
    plan = world.proposes("ana")
    world.approves("ben", plan)
    world.cloud.refuse_on("apply aws.iam.put_user_policy")
    world.works()
    world.containment.decide(plan.id, world.who("ben"), "retry")
    world.works_on(90, step_s=60)
    assert set(states(world)) == {"deactivate_key", "deny_user"}
    assert len({row.look for row in world.contained()}) == 1
    world.cloud.state.user_policies.clear()
    world.works_on(60, step_s=60)
    assert states(world)["deny_user"] is InForceState.DRIFTED


def test_a_plan_that_never_ran_leaves_nothing(world):
    world.incident()
    plan = world.proposes("ana")
    world.containment.reject(plan.id, world.who("ben"), "not now")
    world.works_on(60, step_s=60)
    assert world.contained() == []


# an undo


def test_an_undo_takes_out_what_it_took_back_and_nobody_is_alarmed(world, plan):
    undone(world, plan)
    world.works_on(DAY, step_s=300)
    assert world.contained() == []
    assert not entries(world, "containment.drifted")
    assert entries(world, "watch.not_needed")


def test_an_undo_that_stands_in_the_middle_is_no_drift(world, plan):
    undo = undone(world, plan)
    world.cloud.refuse_on("apply aws.iam.update_access_key", times=50)
    world.works_on(3 * 60, step_s=60)
    assert world.plan(undo).state is PlanState.FAILED
    assert list(states(world)) == ["deactivate_key"]
    assert states(world)["deactivate_key"] is InForceState.IN_FORCE


def test_a_look_while_an_undo_is_at_work_alarms_nobody(world, plan):
    looks = []

    def look():
        assert not world.cloud.state.user_policies  # it is away, and its undo is not over
        with pytest.raises(RetryAfter):
            world.watch.look(plan.id, "0")
        looks.append(states(world))

    undo = undone(world, plan)
    world.cloud.fault_on("find aws.iam.delete_user_policy", look)
    world.works()
    assert world.plan(undo).state is PlanState.DONE
    assert [set(one.values()) for one in looks] == [{InForceState.IN_FORCE}]
    assert not entries(world, "containment.drifted")


# looks


def test_ten_minutes_of_looks_leave_no_entry(world, plan):
    looks, told = len(world.trail()), len(world.told())
    calls = len(world.cloud.calls)
    world.works_on(10)
    assert len(world.cloud.calls) > calls
    assert len(world.trail()) == looks
    assert len(world.told()) == told


@pytest.mark.parametrize(
    ("is_open", "quiet_h", "wait"),
    [
        (True, 0, timedelta(minutes=5)),
        (True, 0.25, timedelta(minutes=15)),
        (True, 100, timedelta(hours=1)),
        (False, 0, timedelta(hours=1)),
        (False, 30, timedelta(hours=30)),
        (False, 10_000, timedelta(days=7)),
    ],
)
def test_the_longer_it_is_quiet_the_longer_until_the_next_look(world, is_open, quiet_h, wait):
    now = world.clock.now()
    assert wait_before_next(now - timedelta(hours=quiet_h), now, is_open=is_open) == wait


def test_after_the_incident_looks_grow_rare_and_go_on(world, plan):
    world.response.change_state("INC-1", State.RESOLVED, world.who("dia"))
    world.works_on(20 * DAY, step_s=900)
    seen = entries(world, "containment.seen")
    assert 5 <= len(seen) <= 12
    assert world.contained()[0].last_seen > world.clock.now() - timedelta(days=8)


def test_drift_is_told_once_and_being_back_is_told(world, plan):
    key_on(world)
    world.works_on(3 * 60, step_s=60)
    assert len(entries(world, "containment.drifted")) == 1
    assert states(world)["deactivate_key"] is InForceState.DRIFTED
    world.contains(runbooks.LEAKED_KEY)
    world.works_on(3 * 60, step_s=60)
    assert len(entries(world, "containment.back")) == 1
    assert set(states(world).values()) == {InForceState.IN_FORCE}
    assert world.incidents()[0].state is State.CONTAINED


def test_a_cloud_that_does_not_answer_for_a_while_changes_nothing(world, plan):
    seen = world.contained()[0].last_seen
    world.cloud.fault_on("find aws.iam.update_access_key", times=3)
    world.works_on(20, step_s=60)
    assert (world.contained()[0].state, world.contained()[0].last_seen) == (InForceState.IN_FORCE, seen)


def test_a_cloud_that_lets_nobody_look_is_told_at_once_and_once(world, plan):
    world.cloud.refuse_on("find aws.iam.update_access_key", times=10_000)
    world.works_on(3 * 60, step_s=60)
    assert states(world)["deactivate_key"] is InForceState.UNSEEN
    assert [entry.data["code"] for entry in entries(world, "containment.unseen")] == ["cloud.access_denied"]
    assert world.incidents()[0].state is State.CONTAINED


def test_a_cloud_that_is_silent_is_told_after_some_hours_and_once(world, plan):
    world.cloud.fault_on("find aws.iam.update_access_key", times=10_000)
    world.works_on(60, step_s=60)
    assert "watch.unseen" not in world.told()
    world.works_on(6 * 60, step_s=60)
    assert states(world) == {"deactivate_key": InForceState.UNSEEN, "deny_user": InForceState.IN_FORCE}
    assert len(entries(world, "containment.unseen")) == 1
    assert world.incidents()[0].state is State.CONTAINED
    world.cloud._on.clear()
    world.works_on(60, step_s=60)
    assert set(states(world).values()) == {InForceState.IN_FORCE}


def test_a_look_of_before_is_stale(world, plan):
    world.works_on(3 * 60, step_s=60)
    before = world.contained()
    world.handle(Job("again", JobKind.WATCH, {"plan_id": plan.id, "look": "0"}))
    assert world.contained() == before
    assert world.trail()[-1].action == "watch.not_needed"


def test_the_looks_hold_up_no_run(world, plan):
    assert all(owed.job.lock == "" for owed in world.queue._owed.values() if owed.job.kind is JobKind.WATCH)


# the review


def test_the_owner_is_asked_on_the_day_and_then_ever_more_rarely(world, plan):
    world.works_on(29 * DAY, step_s=900)
    assert not entries(world, "containment.review_due")
    world.works_on(3 * DAY, step_s=900)
    assert len(entries(world, "containment.review_due")) == 2  # on the day, and a day later
    private = [one for one in world.notices() if one.kind is NoticeKind.PRIVATE and one.person_id == "d-ana"]
    assert [m.code for m in private[-1].messages] == ["watch.review_due"]
    world.works_on(30 * DAY, step_s=900)
    assert len(entries(world, "containment.review_due")) <= 8
    assert world.containment.preview_undo(plan.id, world.who("ana")).undo_of == plan.id


def test_the_review_is_put_off_and_comes_on_its_new_day(world, plan):
    world.works_on(20 * DAY, step_s=900)
    day = world.clock.now() + timedelta(days=2)
    world.watch.set_review(plan.short, f"{day:%Y-%m-%d}", world.who("ben"))
    assert world.told()[-1] == "watch.review_set"
    world.works_on(3 * DAY, step_s=900)
    assert entries(world, "containment.review_due")


@pytest.mark.parametrize("day", ["", "tomorrow", "2020-01-01", "2999-01-01", "24.12.2026"])
def test_a_review_that_is_no_day_ahead_is_refused_and_on_record(world, plan, day):
    with pytest.raises(Refused, match=r"refused\.review_day"):
        world.watch.set_review(plan.short, day, world.who("ana"))
    assert world.trail()[-1].action == "containment.review_set.refused"


def test_the_owner_is_changed_to_somebody_with_a_role_there(world, plan):
    world.watch.give_owner(plan.short, ChatAccount("T1", "U-CHO"), world.who("ana"))
    assert {row.owner for row in world.contained()} == {"d-cho"}
    with pytest.raises(Refused, match=r"refused\.unknown_identity"):
        world.watch.give_owner(plan.short, ChatAccount("T1", "U-NOBODY"), world.who("ana"))
    assert world.trail()[-1].action == "containment.owned.refused"


def test_who_holds_no_role_there_changes_nothing(world, plan):
    stranger = world.who("mallory")
    with pytest.raises(Refused):
        world.watch.give_owner(plan.short, ChatAccount("T1", "U-CHO"), stranger)
    with pytest.raises(NotFound):
        world.watch.set_review("no-such-plan", "2026-12-24", world.who("ana"))


# the list, and records of before


def test_what_is_contained_is_listed_whole_by_incident_and_by_account(world, plan):
    assert len(world.contained()) == len(world.contained("inc-1")) == len(world.contained(ACCOUNT)) == 2
    assert world.contained("INC-9") == world.contained("999900001111") == []


def without_register(world):
    """Return the world as a version without a register left it."""
    nouns = dict(world.store.nouns)
    world.store.nouns = {kind: rows for kind, rows in nouns.items() if kind.__name__ != "InForce"}
    world.queue._owed = {k: v for k, v in world.queue._owed.items() if v.job.kind is not JobKind.WATCH}


def test_what_ran_before_there_was_a_register_is_entered_once(world, plan):
    without_register(world)
    assert world.watch.catch_up() == 1
    assert world.watch.catch_up() == 0
    assert len(world.contained()) == 2
    assert entries(world, "containments.entered")[0].data == {"steps": ["deactivate_key", "deny_user"]}
    key_on(world)
    world.works_on(30, step_s=60)
    assert entries(world, "containment.drifted")


def test_what_was_undone_before_is_not_entered(world, plan):
    undone(world, plan)
    world.works()
    assert world.journal(plan)["deny_user"].state is StepState.UNDONE
    without_register(world)
    assert world.watch.catch_up() == 0


def test_what_was_lifted_long_ago_in_an_incident_that_is_over_opens_nothing(world, plan):
    for state in (State.RESOLVED, State.POSTMORTEM, State.CLOSED):
        world.response.change_state("INC-1", state, world.who("dia"))
    without_register(world)
    key_on(world)
    world.watch.catch_up()
    told = len(world.notices())
    world.works_on(120, step_s=60)
    assert world.incidents()[0].state is State.CLOSED
    news = [n for n in world.notices()[told:] if n.kind not in (NoticeKind.CARD, NoticeKind.APPROVAL)]
    assert [(n.kind, n.messages[0].code) for n in news] == [(NoticeKind.THREAD, "watch.gone_before")]


def test_the_register_is_the_same_on_a_second_world_over_the_record(world, plan):
    again = World(store=world.store, queue=world.queue, clock=world.clock)
    assert again.contained() == world.contained()
