"""The two-person rule, as a table of cases: who may turn a key, when it counts, and how many are needed."""

from dataclasses import replace
from datetime import timedelta

import pytest

from twokey.core.approvals import (
    LEAP_S,
    Approval,
    approval_id,
    approval_status,
    approvals_needed,
    expires_after_s,
    is_asking_over,
    may_end,
    needs_typed_target,
    proposer_counts,
    proposer_needs_code,
    require_approver,
    require_break_glass,
    require_confirmer,
    require_decider,
    require_runnable,
    require_still_held,
)
from twokey.core.errors import Refused
from twokey.core.incidents import State
from twokey.core.people import ChatAccount, ChatIdentity, Person, Role, Roster, identify
from twokey.core.responsibility import Label, by_person
from twokey.core.runbooks import ApprovalProfile, PlanState, Risk, digest_of
from twokey.testing.builders import ACCOUNT, a_person, a_plan, a_roster, an_approval, an_incident, at

ANA, BEN, CHO = a_person("d-ana", "Ana"), a_person("d-ben", "Ben"), a_person("d-cho", "Cho")
TEAM = a_roster(ANA, BEN, CHO)
INCIDENT = an_incident(state=State.INVESTIGATING, commander="")


def plan_of_ana(**changes):
    changes.setdefault("requester", "d-ana")
    return a_plan(**changes)


def keys(plan, *names):
    roles = {"ana": "proposer"}
    return [an_approval(plan, f"d-{name}", roles.get(name, "approver")) for name in names]


def turn(plan, person, approvals=(), incident=INCIDENT, **given):
    said = {"digest": plan.digest, "typed": plan.typed_target, "now": at(10), **given}
    return require_approver(plan, person, incident, approvals, **said)


def refused(code):
    return pytest.raises(Refused, match=f"^{code}")


# how many, and whose


@pytest.mark.parametrize("risk", [Risk.LOW, Risk.MEDIUM, Risk.HIGH])
def test_the_proposer_and_one_approver_are_enough_below_critical(risk):
    plan = plan_of_ana(risk=risk)
    assert not approval_status(plan, keys(plan, "ana"), INCIDENT, TEAM).is_satisfied
    assert approval_status(plan, keys(plan, "ana", "ben"), INCIDENT, TEAM).is_satisfied


def test_the_proposer_of_a_plan_that_asks_for_codes_counts_with_a_code_only():
    plan = plan_of_ana(risk=Risk.HIGH, approval=ApprovalProfile(step_up="totp"), proposer_code=True)
    own, other = keys(plan, "ana", "ben")
    other = replace(other, step_up="d-ben:1")
    status = approval_status(plan, [own, other], INCIDENT, TEAM)
    assert (status.people, status.missing[0].code) == (("d-ben",), "standing.no_step_up")
    assert approval_status(plan, [replace(own, step_up="d-ana:1"), other], INCIDENT, TEAM).is_satisfied


def test_a_plan_of_before_proposers_gave_codes_keeps_the_key_it_has():
    plan = plan_of_ana(risk=Risk.HIGH, approval=ApprovalProfile(step_up="totp"))
    own, other = keys(plan, "ana", "ben")
    assert approval_status(plan, [own, replace(other, step_up="d-ben:1")], INCIDENT, TEAM).is_satisfied


def test_a_code_is_asked_of_a_proposer_whose_key_counts_and_no_other():
    totp = ApprovalProfile(step_up="totp")
    assert proposer_needs_code(plan_of_ana(risk=Risk.HIGH, approval=totp))
    assert not proposer_needs_code(plan_of_ana(risk=Risk.CRITICAL, approval=totp))
    assert not proposer_needs_code(
        plan_of_ana(risk=Risk.HIGH, approval=replace(totp, requester_may_approve=False))
    )
    assert not proposer_needs_code(plan_of_ana(risk=Risk.HIGH, approval=ApprovalProfile()))


def test_critical_needs_three_people_because_the_proposers_key_does_not_count():
    plan = plan_of_ana(risk=Risk.CRITICAL)
    assert not proposer_counts(plan)
    assert not approval_status(plan, keys(plan, "ana", "ben"), INCIDENT, TEAM).is_satisfied
    assert approval_status(plan, keys(plan, "ben", "cho"), INCIDENT, TEAM).is_satisfied


def test_critical_stays_at_three_people_when_a_runbook_says_that_the_requester_may_approve():
    plan = plan_of_ana(risk=Risk.CRITICAL, approval=ApprovalProfile(requester_may_approve=True))
    assert not approval_status(plan, keys(plan, "ana", "ben"), INCIDENT, TEAM).is_satisfied


def test_a_runbook_can_ask_for_more_keys():
    plan = plan_of_ana(approval=ApprovalProfile(min_approvals=3))
    assert approvals_needed(plan) == 3
    assert not approval_status(plan, keys(plan, "ana", "ben"), INCIDENT, TEAM).is_satisfied
    assert approval_status(plan, keys(plan, "ana", "ben", "cho"), INCIDENT, TEAM).is_satisfied


@pytest.mark.parametrize("wanted", [-1, 0, 1])
def test_a_runbook_cannot_ask_for_fewer_than_two_keys(wanted):
    assert approvals_needed(plan_of_ana(approval=ApprovalProfile(min_approvals=wanted))) == 2


def test_a_runbook_can_keep_the_proposers_key_from_counting():
    plan = plan_of_ana(approval=ApprovalProfile(requester_may_approve=False))
    assert not approval_status(plan, keys(plan, "ana", "ben"), INCIDENT, TEAM).is_satisfied


@pytest.mark.parametrize(
    ("risk", "asked", "seconds"),
    [
        (Risk.CRITICAL, 1800.0, 900.0),
        (Risk.HIGH, 1800.0, 1800.0),
        (Risk.HIGH, 86400.0, 1800.0),
        (Risk.HIGH, 60.0, 60.0),
        (Risk.CRITICAL, 60.0, 60.0),
    ],
)
def test_expiry_can_be_made_shorter_and_never_longer(risk, asked, seconds):
    assert expires_after_s(plan_of_ana(risk=risk, approval=ApprovalProfile(expires_in_s=asked))) == seconds


def test_one_person_counts_once_however_many_rows_there_are():
    plan = plan_of_ana()
    twice = [*keys(plan, "ana"), *keys(plan, "ana")]
    assert approval_status(plan, twice, INCIDENT, TEAM).people == ("d-ana",)


def test_a_proposers_keys_alone_are_never_enough():
    plan = plan_of_ana()
    found = approval_status(plan, keys(plan, "ana"), INCIDENT, TEAM)
    assert [said.code for said in found.missing] == ["standing.more_keys"]


def test_an_empty_roster_means_nobody():
    plan = plan_of_ana()
    assert approval_status(plan, keys(plan, "ana", "ben"), INCIDENT, Roster()).people == ()


def test_a_key_on_another_digest_does_not_count():
    plan = plan_of_ana()
    old = [replace(key, digest="0" * 64) for key in keys(plan, "ben")]
    assert approval_status(plan, [*keys(plan, "ana"), *old], INCIDENT, TEAM).people == ("d-ana",)


@pytest.mark.parametrize("role", ["break-glass", "confirmation"])
def test_a_break_glass_key_and_its_confirmation_are_no_keys_for_two(role):
    plan = plan_of_ana()
    other = an_approval(plan, "d-ben", role)
    assert not approval_status(plan, [*keys(plan, "ana"), other], INCIDENT, TEAM).is_satisfied


def test_a_proposers_key_does_not_become_an_approvers_when_the_row_names_another_requester():
    plan = plan_of_ana()
    given = keys(plan, "ana", "ben")
    for requester in ("d-ben", "d-cho", ""):
        assert not approval_status(replace(plan, requester=requester), given, INCIDENT, TEAM).is_satisfied


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        (None, "standing.left_roster"),
        (replace(BEN, roles=frozenset({Role.RESPONDER})), "standing.lost_role"),
        (replace(BEN, scopes=("999988887777",)), "standing.lost_role"),
    ],
)
def test_a_key_stops_counting_when_its_person_leaves_or_loses_the_role(changed, code):
    plan = plan_of_ana()
    roster = a_roster(ANA, *([changed] if changed else []))
    found = approval_status(plan, keys(plan, "ana", "ben"), INCIDENT, roster)
    assert not found.is_satisfied
    assert code in [said.code for said in found.missing]


# who may turn one


def test_the_requester_cannot_approve_the_own_plan():
    with refused("refused.own_plan"):
        turn(plan_of_ana(), ANA)


def test_a_person_turns_one_key_a_plan():
    plan = plan_of_ana()
    with refused("refused.key_turned_before"):
        turn(plan, BEN, keys(plan, "ben"))


def test_an_approver_turns_a_key_as_approver():
    assert turn(plan_of_ana(), BEN) == "approver"


@pytest.mark.parametrize(
    "person",
    [
        a_person("d-dia", "Dia", roles=frozenset({Role.RESPONDER})),
        a_person("d-dia", "Dia", scopes=("999988887777",)),
        a_person("d-dia", "Dia", scopes=()),
        a_person("d-dia", "Dia", roles=frozenset()),
        a_person("d-dia", "Dia", roles=frozenset({Role.COMMANDER})),
    ],
)
def test_who_is_no_approver_for_that_account_is_refused(person):
    with refused("refused.not_approver"):
        turn(plan_of_ana(), person)


def test_the_incidents_commander_may_turn_a_key_and_another_commander_may_not():
    eve = a_person("d-eve", "Eve", roles=frozenset({Role.COMMANDER}), scopes=(ACCOUNT,))
    plan = plan_of_ana()
    given = {"digest": plan.digest, "typed": plan.typed_target, "now": at(10)}
    assert require_approver(plan, eve, replace(INCIDENT, commander="d-eve"), (), **given) == "commander"
    with refused("refused.not_approver"):
        require_approver(plan, eve, replace(INCIDENT, commander="d-ben"), (), **given)


def test_the_commanders_key_stops_counting_when_another_takes_command():
    eve = a_person("d-eve", "Eve", roles=frozenset({Role.COMMANDER}))
    roster, plan = a_roster(ANA, eve), plan_of_ana()
    given = keys(plan, "ana", "eve")
    assert approval_status(plan, given, replace(INCIDENT, commander="d-eve"), roster).is_satisfied
    assert not approval_status(plan, given, replace(INCIDENT, commander="d-ana"), roster).is_satisfied


def test_a_key_on_another_digest_than_the_plans_is_refused():
    with refused("refused.plan_changed"):
        turn(plan_of_ana(), BEN, digest="f" * 64)


@pytest.mark.parametrize("risk", [Risk.HIGH, Risk.CRITICAL])
@pytest.mark.parametrize("typed", ["", " ", "nope", "ample", "MPLe"])
def test_a_wrong_typed_target_is_refused_from_high_on(risk, typed):
    plan = plan_of_ana(risk=risk)
    assert needs_typed_target(plan)
    with refused("refused.typed_wrong"):
        turn(plan, BEN, typed=typed)


def test_a_target_that_nobody_can_type_is_never_typed():
    with refused("refused.typed_wrong"):
        turn(plan_of_ana(typed_target=""), BEN, typed="")


def test_a_low_risk_does_not_ask_for_typing_unless_the_runbook_does():
    assert not needs_typed_target(plan_of_ana(risk=Risk.LOW))
    assert needs_typed_target(
        plan_of_ana(risk=Risk.LOW, approval=ApprovalProfile(typed_confirmation="${{ params.account_id }}"))
    )


@pytest.mark.parametrize("state", [s for s in PlanState if s is not PlanState.PROPOSED])
def test_a_plan_that_is_not_waiting_says_how_it_stands(state):
    with refused(f"refused.plan_{state.value}"):
        turn(plan_of_ana(state=state), BEN)


@pytest.mark.parametrize("moment", [at(35), at(36), at(60 * 24)])
def test_silence_is_never_a_yes(moment):
    with refused("refused.plan_expired"):
        turn(plan_of_ana(), BEN, now=moment)


def test_a_plan_without_an_end_was_over_before_it_began():
    with refused("refused.plan_expired"):
        turn(replace(plan_of_ana(), expires_at=None), BEN)


@pytest.mark.parametrize("state", [State.CLOSED, State.CANCELLED])
def test_an_incident_that_is_over_takes_no_keys_but_for_an_undo(state):
    over = replace(INCIDENT, state=state)
    with refused("refused.incident_over"):
        turn(plan_of_ana(), BEN, incident=over)
    assert turn(plan_of_ana(undo_of="plan-0"), BEN, incident=over) == "approver"


def test_a_plan_that_was_edited_under_its_old_digest_takes_no_key():
    plan = plan_of_ana()
    with refused("refused.plan_changed"):
        turn(replace(plan, params={**plan.params, "one_more": "parameter"}), BEN)


# break-glass


def glass(plan=None, person=ANA, step_up="totp:1", reason="key in use, nobody awake"):
    require_break_glass(plan or plan_of_ana(break_glass_allowed=True), person, step_up=step_up, reason=reason)


def test_break_glass_opens_for_an_approver_with_code_and_reason():
    glass()


@pytest.mark.parametrize(
    ("code", "changes"),
    [
        ("refused.no_break_glass", {"plan": plan_of_ana(break_glass_allowed=False)}),
        ("refused.no_break_glass", {"plan": plan_of_ana(break_glass_allowed=True, risk=Risk.CRITICAL)}),
        ("refused.not_approver", {"person": a_person("d-dia", roles=frozenset({Role.RESPONDER}))}),
        ("refused.not_approver", {"person": a_person("d-dia", scopes=("999988887777",))}),
        ("refused.step_up_wrong", {"step_up": ""}),
        ("refused.reason_missing", {"reason": ""}),
        ("refused.reason_missing", {"reason": " now!     "}),
    ],
)
def test_break_glass_is_refused_with_the_exact_reason(code, changes):
    with refused(code):
        glass(**changes)


def test_the_retrospective_confirmation_is_another_approvers():
    plan = plan_of_ana(break_glass_by="d-ana")
    require_confirmer(plan, BEN, INCIDENT)
    for person, code in (
        (ANA, "refused.own_plan"),
        (a_person("d-dia", roles=frozenset({Role.RESPONDER})), "refused.not_approver"),
    ):
        with refused(code):
            require_confirmer(plan, person, INCIDENT)
    for done in (replace(plan, confirmed_by="d-ben"), replace(plan, break_glass_by="")):
        with refused("refused.nothing_to_confirm"):
            require_confirmer(done, BEN, INCIDENT)


# when the run starts


def approved(**changes):
    return plan_of_ana(state=PlanState.APPROVED, **changes)


SOON = at(12)


def run(plan, given=None, *, incident=INCIDENT, roster=TEAM, now=SOON):
    given = keys(plan, "ana", "ben") if given is None else given
    require_runnable(plan, given, incident, roster, digest_of(plan), now=now)


def test_two_keys_that_hold_let_a_plan_run():
    run(approved())


def test_keys_from_the_future_do_not_hold_beyond_the_leap_that_clocks_make():
    """The clock went back behind them: how old they are, nobody can say."""
    plan = approved()
    given = keys(plan, "ana", "ben")
    newest = max(key.at for key in given)
    run(plan, given, now=newest - timedelta(seconds=LEAP_S))
    with refused("refused.plan_expired"):
        run(plan, given, now=newest - timedelta(seconds=LEAP_S + 1))


def test_a_plan_from_the_future_takes_no_key():
    plan = plan_of_ana(requested_at=at(10))
    now = at(10) - timedelta(seconds=LEAP_S)
    assert turn(plan, BEN, keys(plan, "ana"), now=now) == "approver"
    with refused("refused.plan_expired"):
        turn(plan, BEN, keys(plan, "ana"), now=now - timedelta(seconds=1))


@pytest.mark.parametrize("state", [s for s in PlanState if s not in (PlanState.APPROVED, PlanState.RUNNING)])
def test_only_an_approved_plan_runs(state):
    with refused(f"refused.plan_{state.value}"):
        run(plan_of_ana(state=state))


def test_a_plan_that_was_changed_after_the_keys_does_not_run():
    plan = approved()
    with refused("refused.plan_changed"):
        run(replace(plan, blast={"principals": 2}), given=keys(plan, "ana", "ben"))


def test_a_plan_whose_digest_was_made_to_fit_does_not_run_on_the_old_keys():
    plan = approved()
    other = replace(plan, blast={"principals": 2})
    other = replace(other, digest=digest_of(other))
    with refused("refused.plan_changed"):
        run(other, given=keys(plan, "ana", "ben"))


@pytest.mark.parametrize("given", [(), ("ana",), ("ben",)])
def test_a_row_that_says_approved_does_not_run_without_its_keys(given):
    plan = approved()
    with refused("refused.keys_void"):
        run(plan, given=keys(plan, *given))


def test_keys_are_counted_again_by_the_roster_at_the_start_of_the_run():
    with refused("refused.keys_void"):
        run(approved(), roster=a_roster(ANA, CHO))


def test_keys_grow_old_like_the_plan():
    plan = approved()
    run(plan, now=at(11) + timedelta(seconds=1799))
    with refused("refused.plan_expired"):
        run(plan, now=at(11) + timedelta(seconds=1800))


@pytest.mark.parametrize("state", [State.CLOSED, State.CANCELLED])
def test_a_plan_does_not_run_when_its_incident_is_over_meanwhile(state):
    with refused("refused.incident_over"):
        run(approved(), incident=replace(INCIDENT, state=state))


def test_a_break_glass_plan_runs_on_its_one_key_while_that_person_may():
    plan = approved(
        break_glass_allowed=True, break_glass_by="d-ana", break_glass_reason="nobody awake, key in use"
    )
    one = [an_approval(plan, "d-ana", "break-glass", step_up="totp:1")]
    run(plan, given=one)
    for roster in (a_roster(BEN), a_roster(replace(ANA, roles=frozenset({Role.RESPONDER})), BEN)):
        with pytest.raises(Refused):
            run(plan, given=one, roster=roster)
    with refused("refused.keys_void"):
        run(replace(plan, break_glass_by="d-ben"), given=one)
    with pytest.raises(Refused):
        run(plan, given=[replace(one[0], step_up="")])


# who is behind an account


def who(**flags):
    return ChatIdentity(BEN.accounts[0], **flags)


def test_two_accounts_of_one_person_are_one_person():
    second = ChatAccount("T2", "UOTHER")
    roster = a_roster(ANA, replace(BEN, accounts=(*BEN.accounts, second)))
    assert identify(ChatIdentity(second), roster).id == identify(who(), roster).id == "d-ben"


@pytest.mark.parametrize(
    ("flags", "code"),
    [
        ({"exists": False}, "refused.unknown_identity"),
        ({"is_foreign": True}, "refused.foreign_workspace"),
        ({"is_bot": True}, "refused.bot"),
        ({"is_deactivated": True}, "refused.deactivated"),
        ({"is_guest": True}, "refused.guest"),
        ({"channel_is_shared": True}, "refused.shared_channel"),
    ],
)
def test_an_identity_that_is_not_a_member_of_ours_is_refused(flags, code):
    with refused(code):
        identify(who(**flags), TEAM)


def test_an_unknown_account_is_refused_and_so_is_everybody_when_the_roster_is_empty():
    with refused("refused.unknown_identity"):
        identify(ChatIdentity(ChatAccount("T0ACME", "UNOBODY")), TEAM)
    with refused("refused.roster_empty"):
        identify(who(), Roster())


def test_the_same_user_id_in_another_workspace_is_another_account():
    with refused("refused.unknown_identity"):
        identify(ChatIdentity(ChatAccount("T0OTHER", BEN.accounts[0].user)), TEAM)


def test_a_name_is_never_compared():
    namesake = Person("d-zoe", "Ben", (ChatAccount("T0ACME", "UZOE"),), frozenset({Role.APPROVER}), ("*",))
    assert turn(replace(plan_of_ana(), requester="d-ben"), namesake) == "approver"


def test_a_key_without_the_code_that_the_plan_asks_for_does_not_count() -> None:
    """A row that was put into the database by hand has no code, and opens nothing."""
    plan = replace(a_plan(), approval=replace(a_plan().approval, step_up="totp"), requester="p-ana")
    keys = [
        Approval(approval_id(plan.id, "p-ana"), plan.id, plan.digest, "p-ana", "proposer", at(0)),
        Approval(approval_id(plan.id, "p-ben"), plan.id, plan.digest, "p-ben", "approver", at(0)),
    ]
    people = tuple(
        Person(name, name, (ChatAccount("T1", name),), frozenset({Role.APPROVER}), ("*",))
        for name in ("p-ana", "p-ben")
    )
    missing = approval_status(plan, keys, an_incident(), Roster(people))
    assert not missing.is_satisfied
    assert missing.missing[0].code == "standing.no_step_up"
    with_code = [keys[0], replace(keys[1], step_up="p-ben:1")]
    assert approval_status(plan, with_code, an_incident(), Roster(people)).is_satisfied


# after the keys

DIA = a_person("d-dia", "Dia", roles=frozenset({Role.RESPONDER}))


@pytest.mark.parametrize("risk", list(Risk))
def test_a_run_is_decided_by_those_who_could_turn_a_key_and_not_by_a_critical_plans_proposer(risk):
    plan = plan_of_ana(risk=risk)
    require_decider(BEN, plan, INCIDENT)
    with refused("refused.not_approver"):
        require_decider(DIA, plan, INCIDENT)
    if risk is Risk.CRITICAL:
        with refused("refused.proposer_decides"):
            require_decider(ANA, plan, INCIDENT)
    else:
        require_decider(ANA, plan, INCIDENT)


def test_a_plan_is_ended_by_its_proposer_and_by_those_who_could_turn_a_key():
    plan = a_plan(requester="d-dia")
    assert may_end(DIA, plan, INCIDENT)
    assert may_end(BEN, plan, INCIDENT)
    assert not may_end(DIA, plan_of_ana(), INCIDENT)


@pytest.mark.parametrize(
    ("until", "minute", "is_over"),
    [
        (at(40), 39, False),
        (at(40), 40, True),
        (at(40), 10, False),  # it began now
        (at(40), 5, False),  # a clock that is a little behind
        (at(40), 4, True),  # it would have begun in the future
        (None, 10, True),
    ],
)
def test_a_question_ends_as_its_plan_would_have(until, minute, is_over):
    plan = plan_of_ana(state=PlanState.ASKING, asking_until=until)
    assert expires_after_s(plan) == 30 * 60
    assert is_asking_over(plan, at(minute)) is is_over
    assert not is_asking_over(replace(plan, state=PlanState.RUNNING), at(minute))


def test_keys_that_have_grown_old_still_hold_for_a_run_that_was_begun():
    plan = plan_of_ana(state=PlanState.RUNNING)
    given = keys(plan, "ana", "ben")
    require_still_held(plan, given, INCIDENT, TEAM, plan.digest)
    with refused("refused.keys_void"):
        require_still_held(plan, given, INCIDENT, a_roster(ANA, CHO), plan.digest)
    with refused("refused.plan_changed"):
        require_still_held(plan, given, INCIDENT, TEAM, "0" * 64)
    with refused("refused.incident_over"):
        require_still_held(plan, given, replace(INCIDENT, state=State.CLOSED), TEAM, plan.digest)


def test_a_begun_run_of_an_incident_that_is_the_providers_by_now_does_not_go_on_but_its_undo_does():
    theirs = replace(INCIDENT, verdict=by_person(Label.PROVIDER_OUTAGE, "it is", INCIDENT.verdict))
    plan = plan_of_ana(state=PlanState.RUNNING)
    with refused("refused.provider_side"):
        require_still_held(plan, keys(plan, "ana", "ben"), theirs, TEAM, plan.digest)
    undo = plan_of_ana(state=PlanState.RUNNING, undo_of="plan-0")
    require_still_held(undo, keys(undo, "ana", "ben"), theirs, TEAM, undo.digest)


def test_who_led_when_they_turned_their_key_may_have_handed_over_since():
    eve = a_person("d-eve", "Eve", roles=frozenset({Role.COMMANDER}))
    plan = plan_of_ana(state=PlanState.RUNNING)
    given = [*keys(plan, "ana"), an_approval(plan, "d-eve", "commander")]
    handed_over = replace(INCIDENT, commander="d-ben")
    with refused("refused.keys_void"):
        require_runnable(plan, given, handed_over, a_roster(ANA, eve), plan.digest)
    require_still_held(plan, given, handed_over, a_roster(ANA, eve), plan.digest)
    with refused("refused.keys_void"):
        require_still_held(plan, given, handed_over, a_roster(ANA), plan.digest)
