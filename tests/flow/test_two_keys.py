"""Two different people, or nothing happens: attacks S2, S3 and S5, through the doors that people use."""

import contextlib
import threading
from dataclasses import replace

import pytest

from twokey.core.approvals import Approval
from twokey.core.errors import NotFound, Refused, Unavailable
from twokey.core.incidents import State
from twokey.core.people import ChatAccount, Role
from twokey.core.responsibility import Label
from twokey.core.runbooks import ApprovalProfile, PlanState
from twokey.testing.clouds import KEY_ID
from twokey.testing.people import identity
from twokey.testing.runbooks import PROTECT_BUCKETS, QUARANTINE_ACCOUNT, disable_leaked_key
from twokey.testing.showings import shown_whole
from twokey.testing.world import World


def refused(code):
    return pytest.raises(Refused, match=f"^{code}")


def nothing_happened(world, plan):
    world.works_on(1)
    return world.cloud.effects == [] and world.plan(plan).state is PlanState.PROPOSED


def last_refusal(world):
    return [entry for entry in world.trail() if entry.action.endswith(".refused")][-1]


def test_two_people_and_the_plan_runs(world):
    world.incident()
    plan = world.contains()
    assert plan.state is PlanState.DONE
    assert world.cloud.state.keys[KEY_ID].status == "Inactive"
    assert {key.person_id: key.role for key in world.keys(plan)} == {"d-ana": "proposer", "d-ben": "approver"}


def test_the_proposer_alone_is_not_enough(world):
    world.incident()
    plan = world.proposes("ana")
    with refused("refused.own_plan"):
        world.approves("ana", plan)
    assert nothing_happened(world, plan)


def test_two_slack_accounts_of_one_person_are_one_person(world):
    world.incident()
    ben_2 = identity("U-BEN-2")
    preview = world.containment.preview("INC-1", "aws.disable-leaked-access-key", ben_2)
    plan = world.containment.propose(shown_whole(world.containment, preview, ben_2), ben_2)
    with refused("refused.own_plan"):
        world.approves("ben", plan)
    assert nothing_happened(world, plan)


def test_the_second_account_cannot_give_a_second_approval(world):
    world.incident()
    plan = world.proposes("ana", QUARANTINE_ACCOUNT)
    world.approves("ben", plan)
    with refused("refused.key_turned_before"):
        world.containment.approve(
            plan.id, identity("U-BEN-2"), digest=plan.digest, typed=plan.typed_target, code=world.code()
        )
    assert nothing_happened(world, plan)


def test_two_clicks_at_the_same_moment_are_one_key_and_one_run(world, clicks_at_once):
    world.incident()
    plan = world.proposes("ana", PROTECT_BUCKETS)
    ends = clicks_at_once("ben", plan, 8)
    assert sorted(ends).count("turned") == 1
    assert set(ends) <= {"turned", "refused.key_turned_before", "refused.plan_approved"}
    world.works_on(1)
    assert len(world.cloud.effects) == 1
    assert len(world.keys(plan)) == 2


def test_different_approvers_at_the_same_moment_owe_one_run(world):
    world.incident()
    plan = world.proposes("dia", PROTECT_BUCKETS)
    start = threading.Barrier(3)

    def click(name):
        start.wait()
        with contextlib.suppress(Refused):
            world.approves(name, plan)

    clicks = [threading.Thread(target=click, args=(name,)) for name in ("ana", "ben", "cho")]
    for one in clicks:
        one.start()
    for one in clicks:
        one.join()
    world.works_on(1)
    assert len(world.cloud.effects) == 1
    assert world.actions(plan).count("run.started") == 1


def test_fifty_clicks_of_one_person_are_one_key(world):
    world.incident()
    plan = world.proposes("ana", QUARANTINE_ACCOUNT)
    world.approves("ben", plan)
    for _ in range(50):
        with refused("refused.key_turned_before"):
            world.approves("ben", plan)
    assert [key.person_id for key in world.keys(plan)] == ["d-ben"]
    assert nothing_happened(world, plan)


def test_critical_needs_three_people(world):
    world.incident()
    plan = world.proposes("ana", QUARANTINE_ACCOUNT)
    assert not world.approves("ben", plan).is_satisfied
    assert nothing_happened(world, plan)
    assert world.approves("cho", plan).is_satisfied
    world.works_on(1)
    assert world.plan(plan).state is PlanState.DONE


def test_a_runbook_that_asks_for_three_keys_gets_three():
    world = World(disable_leaked_key(approval=ApprovalProfile(min_approvals=3, typed_confirmation="last4:x")))
    world.incident()
    plan = world.proposes("ana")
    world.approves("ben", plan)
    assert nothing_happened(world, plan)
    world.approves("cho", plan)
    world.works_on(1)
    assert world.plan(plan).state is PlanState.DONE


@pytest.mark.parametrize(
    ("flags", "code"),
    [
        ({"exists": False}, "refused.unknown_identity"),
        ({"is_guest": True}, "refused.guest"),
        ({"is_bot": True}, "refused.bot"),
        ({"is_deactivated": True}, "refused.deactivated"),
        ({"is_foreign": True}, "refused.foreign_workspace"),
        ({"channel_is_shared": True}, "refused.shared_channel"),
    ],
)
@pytest.mark.parametrize("door", ["approve", "refuse", "withdraw", "preview", "note", "pending"])
def test_no_door_opens_for_who_is_not_a_member_of_ours(world, flags, code, door):
    world.incident()
    plan, who = world.proposes("ana"), world.who("ben", **flags)
    doors = {
        "approve": lambda: world.containment.approve(
            plan.id, who, digest=plan.digest, typed=plan.typed_target, code=world.code()
        ),
        "refuse": lambda: world.containment.reject(plan.id, who, "no"),
        "withdraw": lambda: world.containment.withdraw(plan.id, who),
        "preview": lambda: world.containment.preview("INC-1", PROTECT_BUCKETS, who),
        "note": lambda: world.response.note("INC-1", "hello", who),
        "pending": lambda: world.containment.pending(who),
    }
    with refused(code):
        doors[door]()
    assert nothing_happened(world, plan)


def test_an_account_that_the_roster_does_not_know_is_refused_and_put_on_record(world):
    world.incident()
    plan = world.proposes("ana")
    with refused("refused.unknown_identity"):
        world.containment.approve(plan.id, identity("U-NOBODY"), digest=plan.digest, typed="", code="")
    entry = last_refusal(world)
    assert (entry.actor.id, entry.actor.account) == ("unknown", ChatAccount("T1", "U-NOBODY"))
    assert (entry.action, entry.plan_id) == ("approval.refused", plan.id)


def test_an_empty_roster_means_nobody(world):
    world.incident()
    plan = world.proposes("ana")
    for person in ("d-ana", "d-ben", "d-cho", "d-dia", "d-eve", "d-far"):
        world.rosters.without(person)
    with refused("refused.roster_empty"):
        world.approves("ben", plan)
    assert nothing_happened(world, plan)


@pytest.mark.parametrize(
    "fault",
    [Refused("refused.roster_unreadable", reason="line 3"), Unavailable("store.unavailable", reason="away")],
)
def test_an_unreadable_roster_means_nobody_and_is_put_on_record(world, fault):
    world.incident()
    plan = world.proposes("ana")
    world.rosters.fault = fault
    with pytest.raises(type(fault)):
        world.approves("ben", plan)
    assert nothing_happened(world, plan)


def test_a_refusal_while_the_roster_is_unreadable_is_on_record_with_the_account(world):
    world.incident()
    plan = world.proposes("ana")
    world.rosters.unreadable()
    with refused("refused.roster_unreadable"):
        world.approves("ben", plan)
    assert last_refusal(world).actor.account == ChatAccount("T1", "U-BEN")


def test_an_approver_for_another_account_is_refused(world):
    world.incident()
    plan = world.proposes("ana")
    with refused("refused.not_approver"):
        world.approves("far", plan)
    with refused("refused.not_responder"):
        world.previews("far")
    assert nothing_happened(world, plan)


def test_a_responder_proposes_and_does_not_approve(world):
    world.incident()
    plan = world.proposes("dia")
    other = world.proposes("ana", PROTECT_BUCKETS)
    with refused("refused.not_approver"):
        world.approves("dia", other)
    assert world.approves("ben", plan).is_satisfied


def test_the_commander_of_the_incident_turns_a_key_and_no_other_commander_does(world):
    world.incident()
    plan = world.proposes("ana")
    with refused("refused.not_approver"):
        world.approves("eve", plan)
    world.response.assign("INC-1", "ic", ChatAccount("T1", "U-EVE"), world.who("ana"))
    assert world.approves("eve", plan).is_satisfied
    assert [key.role for key in world.keys(plan)] == ["proposer", "commander"]


def test_a_key_is_turned_on_the_digest_that_was_shown(world):
    world.incident()
    plan = world.proposes("ana")
    with refused("refused.plan_changed"):
        world.approves("ben", plan, digest="0" * 64)
    assert nothing_happened(world, plan)


@pytest.mark.parametrize("typed", ["", "XXXX", KEY_ID])
def test_a_wrong_typed_target_is_refused_and_does_not_use_the_code_up(world, typed):
    world.incident()
    plan, code = world.proposes("ana"), world.code()
    with refused("refused.typed_wrong"):
        world.approves("ben", plan, typed=typed, code=code)
    assert nothing_happened(world, plan)
    assert world.approves("ben", plan, code=code).is_satisfied


@pytest.mark.parametrize("code", ["", "123456", "12345a", "0000007", " "])
def test_a_wrong_code_is_refused(world, code):
    world.incident()
    plan = world.proposes("ana")
    with refused("refused.step_up_wrong"):
        world.approves("ben", plan, code=code)
    assert nothing_happened(world, plan)


def test_a_code_opens_one_door_once(world):
    world.incident()
    one, two = world.proposes("ana"), world.proposes("ana", QUARANTINE_ACCOUNT)
    world.approves("ben", one, code="000007")
    with refused("refused.step_up_used"):
        world.approves("ben", two, code="000007")
    assert world.keys(two) == []


def test_codes_cannot_be_guessed(world):
    world.incident()
    plan = world.proposes("ana")
    for _ in range(5):
        with refused("refused.step_up_wrong"):
            world.approves("ben", plan, code="111111")
    with refused("refused.step_up_locked"):
        world.approves("ben", plan)  # with the right code
    assert world.approves("cho", plan).is_satisfied  # and nobody else is locked out


def test_the_lock_on_codes_ends_with_the_hour(world):
    world.incident()
    plan = world.proposes("ana")
    for _ in range(5):
        with refused("refused.step_up_wrong"):
            world.approves("ben", plan, code="111111")
    world.clock.advance(3600)
    plan = world.proposes("ana")
    assert world.approves("ben", plan).is_satisfied


def test_an_unknown_plan_id_is_not_found_and_put_on_record(world):
    world.incident()
    with pytest.raises(NotFound, match=r"containment.no_such_plan"):
        world.containment.approve("plan-from-elsewhere", world.who("ben"), digest="x", typed="", code="")
    assert last_refusal(world).plan_id == "plan-from-elsewhere"


def test_a_button_of_another_plan_does_not_turn_a_key_on_this_one(world):
    """A copied value with this plan's digest is another plan's id with a digest that is not its."""
    world.incident()
    one, two = world.proposes("ana"), world.proposes("ana", PROTECT_BUCKETS)
    with refused("refused.plan_changed"):
        world.containment.approve(
            two.id, world.who("ben"), digest=one.digest, typed=one.typed_target, code=world.code()
        )
    assert nothing_happened(world, two)


def test_the_same_plan_is_not_proposed_twice(world):
    world.incident()
    plan = world.proposes("ana")
    with refused("refused.same_plan_waiting"):
        world.proposes("ben")
    world.clock.advance(1801)
    again = world.proposes("ben")
    assert again.id != plan.id


def test_a_plan_can_be_proposed_again_at_the_same_moment_when_the_first_was_withdrawn(world):
    world.incident()
    first = world.proposes("ana")
    world.containment.withdraw(first.id, world.who("ana"))
    assert world.proposes("ana").id != first.id


def test_a_preview_stores_nothing_and_confirms_nothing(world):
    world.incident()
    before = len(world.trail())
    world.previews("ana")
    assert len(world.trail()) == before
    assert world.containment.pending(world.who("ben")) == []
    assert world.cloud.effects == []


def test_a_preview_that_was_edited_is_not_proposed(world):

    world.incident()
    plan = world.previews("ana")
    edits = (
        replace(plan, params={**plan.params, "contain_user": False}),
        replace(plan, requester="d-ben"),
        replace(plan, digest="0" * 64),
    )
    for edited in edits:
        with refused("refused.plan_changed"):
            world.containment.propose(edited, world.who("ana"))


def test_somebody_elses_preview_is_not_proposed(world):
    world.incident()
    with refused("refused.plan_changed"):
        world.containment.propose(world.previews("ana"), world.who("ben"))


def test_a_provider_incident_has_nothing_to_contain(world):

    world.incident(label=Label.PROVIDER_OUTAGE)
    with refused("refused.provider_side"):
        world.previews("ana")
    with refused("refused.provider_side"):
        world.containment.suggestions("INC-1")


def test_pending_lists_what_a_person_can_turn_a_key_on_now(world):
    world.incident()
    plan = world.proposes("ana", QUARANTINE_ACCOUNT)
    pending = {name: world.containment.pending(world.who(name)) for name in ("ana", "ben", "dia", "far")}
    assert [p.id for p in pending["ben"]] == [plan.id]
    assert pending["ana"] == pending["dia"] == pending["far"] == []
    world.approves("ben", plan)
    assert world.containment.pending(world.who("ben")) == []
    world.clock.advance(901)  # over, whether or not the engine has noticed
    assert world.containment.pending(world.who("cho")) == []


def test_pending_leaves_out_plans_of_incidents_that_are_over(world):
    world.incident()
    world.proposes("ana")
    world.response.change_state("INC-1", State.CANCELLED, world.who("ana"), "benign")
    assert world.containment.pending(world.who("ben")) == []


def test_every_key_is_kept_with_its_account_and_the_code_that_was_given(world):
    world.incident()
    plan = world.proposes("ana")
    world.approves("ben", plan, code="123457")
    with world.store.read() as look:
        key = look.get(Approval, f"{plan.id}:d-ben")
    assert (key.account, key.step_up, key.digest) == (
        ChatAccount("T1", "U-BEN"),
        "totp:d-ben:123457",
        plan.digest,
    )


def test_a_person_who_lost_the_role_is_refused_at_the_click(world):
    world.incident()
    plan = world.proposes("ana")
    world.rosters.change("d-ben", roles=frozenset({Role.RESPONDER}))
    with refused("refused.not_approver"):
        world.approves("ben", plan)
