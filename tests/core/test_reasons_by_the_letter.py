"""Every no of the two-person rule and of the audit trail with all that it says, and the edges of its numbers."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from twokey.core.approvals import (
    Showing,
    approval_status,
    may_end,
    owes_confirmation,
    require_approver,
    require_break_glass,
    require_confirmer,
    require_glass_settled,
    require_role,
    require_runnable,
    require_shown,
    require_still_held,
    role_for,
)
from twokey.core.audit import SHOWN, content, is_head, verify
from twokey.core.errors import TwokeyError
from twokey.core.incidents import State
from twokey.core.people import Actor, ChatAccount, Role
from twokey.core.runbooks import ApprovalProfile, PlanState, Risk, Touch
from twokey.testing.builders import (
    ACCOUNT,
    a_person,
    a_plan,
    a_roster,
    an_approval,
    an_incident,
    at,
    the_story,
)

ANA, BEN, CHO = a_person("d-ana", "Ana"), a_person("d-ben", "Ben"), a_person("d-cho", "Cho")
TEAM = a_roster(ANA, BEN, CHO)
INCIDENT = an_incident(state=State.INVESTIGATING, commander="")
ELSEWHERE = ("000011112222",)
NOW = at(60)


def plan_of_ana(**changes):
    return a_plan(**{"requester": "d-ana", "target": a_plan().target, **changes})


def says(call, code, **params):
    with pytest.raises(TwokeyError) as no:
        call()
    assert (no.value.message.code, dict(no.value.message.params)) == (code, params)


def missing(plan, *keys, roster=TEAM):
    return [(said.code, dict(said.params)) for said in approval_status(plan, keys, INCIDENT, roster).missing]


# who stands behind a plan


def test_every_key_that_does_not_count_says_why_and_the_others_are_still_counted():
    plan = plan_of_ana(approval=replace(a_plan().approval, step_up="totp"))
    ben = an_approval(plan, "d-ben", step_up="code-1")
    old = an_approval(plan, "d-cho", digest="0" * 64)
    assert approval_status(
        plan, [old, an_approval(plan, "d-ana", "proposer"), ben], INCIDENT, TEAM
    ).is_satisfied
    more = ("standing.more_keys", {"missing": "2", "needed": "2"})
    assert missing(plan, an_approval(plan, "d-cho", "proposer")) == [
        ("standing.other_proposer", {"person": "d-cho"}),
        more,
    ]
    assert missing(plan, an_approval(plan, "d-gone", step_up="c")) == [
        ("standing.left_roster", {"person": "d-gone"}),
        more,
    ]
    assert missing(plan, an_approval(plan, "d-ben", step_up="")) == [
        ("standing.no_step_up", {"person": "Ben"}),
        more,
    ]
    responder = a_roster(ANA, replace(BEN, roles=frozenset((Role.RESPONDER,))))
    assert missing(plan, ben, roster=responder) == [("standing.lost_role", {"person": "Ben"}), more]


def test_a_proposer_of_another_account_does_not_count():
    plan = plan_of_ana()
    roster = a_roster(replace(ANA, scopes=ELSEWHERE), BEN)
    keys = [an_approval(plan, "d-ana", "proposer"), an_approval(plan, "d-ben")]
    assert approval_status(plan, keys, INCIDENT, roster).people == ("d-ben",)


def test_a_proposer_of_just_this_account_counts():
    plan = plan_of_ana()
    roster = a_roster(replace(ANA, scopes=(ACCOUNT,)), BEN)
    keys = [an_approval(plan, "d-ana", "proposer"), an_approval(plan, "d-ben")]
    assert approval_status(plan, keys, INCIDENT, roster).people == ("d-ana", "d-ben")


def test_what_was_typed_is_repeated_up_to_eighty_characters():
    plan = plan_of_ana(risk=Risk.HIGH)
    says(
        lambda: require_approver(
            plan, BEN, INCIDENT, (), digest=plan.digest, typed=" " + "x" * 100 + " ", now=at(10)
        ),
        "refused.typed_wrong",
        typed="x" * 80,
        plan=plan.short,
    )


# alone, and afterwards


def glass(**changes):
    return a_plan(**{"break_glass_allowed": True, "risk": Risk.HIGH, "requester": "d-ben", **changes})


def test_alone_only_where_the_runbook_and_the_risk_allow_it():
    alone = {"step_up": "c", "reason": "nobody is awake"}
    for plan in (glass(break_glass_allowed=False), glass(risk=Risk.CRITICAL)):
        says(
            lambda plan=plan: require_break_glass(plan, BEN, **alone),
            "refused.no_break_glass",
            runbook=plan.runbook_id,
        )


def test_alone_goes_who_may_approve_there():
    one = replace(BEN, roles=frozenset((Role.APPROVER,)))
    require_break_glass(glass(), one, step_up="c", reason="nobody is awake")
    for other in (replace(one, scopes=ELSEWHERE), replace(one, roles=frozenset((Role.COMMANDER,)))):
        says(
            lambda other=other: require_break_glass(glass(), other, step_up="c", reason="nobody is awake"),
            "refused.not_approver",
            person="Ben",
            scope=ACCOUNT,
        )
    in_account = replace(one, scopes=(ACCOUNT,))
    require_break_glass(glass(), in_account, step_up="c", reason="nobody is awake")


def test_a_run_that_goes_on_alone_is_not_confirmed_yet_and_nobody_else_goes_alone_when_it_is_overdue():
    alone = glass(break_glass_by="d-ana", confirm_by=NOW, state=PlanState.RUNNING)
    says(lambda: require_confirmer(alone, BEN, INCIDENT), "refused.run_not_over", plan=alone.short)
    says(
        lambda: require_glass_settled(BEN, [alone], NOW),
        "refused.glass_overdue",
        plan=alone.short,
        incident=alone.incident_id,
    )
    require_glass_settled(BEN, [replace(alone, confirm_by=NOW + timedelta(seconds=1))], NOW)
    own = replace(alone, break_glass_by=BEN.id, confirm_by=NOW + timedelta(hours=1))
    says(
        lambda: require_glass_settled(BEN, [own], NOW),
        "refused.glass_unconfirmed",
        person="Ben",
        plan=own.short,
    )


def test_alone_needs_a_code_and_ten_characters_of_reason():
    says(
        lambda: require_break_glass(glass(), BEN, step_up="", reason="nobody is awake"),
        "refused.step_up_wrong",
        person="Ben",
    )
    require_break_glass(glass(), BEN, step_up="c", reason=" " + "x" * 10 + " ")
    says(lambda: require_break_glass(glass(), BEN, step_up="c", reason="x" * 9), "refused.reason_missing")


def test_the_second_person_afterwards_is_another_who_may_approve():
    plan = glass(break_glass_by="d-ben")
    require_confirmer(plan, CHO, INCIDENT)
    says(lambda: require_confirmer(plan, BEN, INCIDENT), "refused.own_plan", person="Ben")
    for done in (glass(), glass(break_glass_by="d-ben", confirmed_by="d-cho")):
        says(
            lambda done=done: require_confirmer(done, CHO, INCIDENT),
            "refused.nothing_to_confirm",
            plan=done.short,
        )
    says(
        lambda: require_confirmer(plan, replace(CHO, scopes=ELSEWHERE), INCIDENT),
        "refused.not_approver",
        person="Cho",
        scope=ACCOUNT,
    )


def test_an_approver_turns_keys_of_just_the_accounts_that_are_theirs():
    assert role_for(replace(BEN, scopes=(ACCOUNT,)), a_plan(), INCIDENT) == "approver"
    assert role_for(replace(BEN, scopes=ELSEWHERE), a_plan(), INCIDENT) == ""


def test_a_role_in_just_this_account_is_enough_to_propose_there_and_nowhere_else():
    one = replace(BEN, scopes=(ACCOUNT,))
    require_role(one, ACCOUNT)
    says(lambda: require_role(one, ELSEWHERE[0]), "refused.not_responder", person="Ben", scope=ELSEWHERE[0])


def test_a_commander_turns_keys_of_the_incident_that_is_theirs_alone():
    eve = a_person("d-eve", "Eve", roles=frozenset((Role.COMMANDER,)))
    theirs = an_incident(state=State.INVESTIGATING, commander="d-eve")
    assert role_for(eve, a_plan(), theirs) == "commander"
    assert role_for(eve, a_plan(), INCIDENT) == ""
    assert role_for(replace(eve, scopes=ELSEWHERE), a_plan(), theirs) == ""
    assert role_for(replace(eve, roles=frozenset((Role.RESPONDER,))), a_plan(), theirs) == ""


# what may run


def approved(**changes):
    return plan_of_ana(**{"state": PlanState.APPROVED, **changes})


def test_a_run_names_what_is_wrong_with_its_keys():
    plan = approved()
    keys = [an_approval(plan, "d-ana", "proposer"), an_approval(plan, "d-ben", step_up="c")]
    require_runnable(plan, keys, INCIDENT, TEAM, plan.digest, now=at(12))
    says(
        lambda: require_runnable(plan, [], INCIDENT, TEAM, plan.digest),
        "refused.keys_void",
        plan=plan.short,
        why="-",
    )
    says(
        lambda: require_runnable(plan, keys, INCIDENT, TEAM, "0" * 64),
        "refused.plan_changed",
        plan=plan.short,
    )
    says(
        lambda: require_runnable(
            plan, [keys[0], replace(keys[1], digest="0" * 64)], INCIDENT, TEAM, plan.digest
        ),
        "refused.plan_changed",
        plan=plan.short,
    )
    proposed = replace(plan, state=PlanState.PROPOSED)
    says(
        lambda: require_runnable(proposed, keys, INCIDENT, TEAM, plan.digest),
        "refused.plan_proposed",
        plan=plan.short,
    )
    with pytest.raises(TwokeyError) as no:
        require_runnable(plan, keys, INCIDENT, a_roster(ANA), plan.digest)
    assert no.value.message.nested["why"].code == "standing.left_roster"


def test_a_broken_glass_runs_on_its_own_key_and_no_other():
    plan = glass(break_glass_by="d-ben", state=PlanState.APPROVED, break_glass_reason="nobody is awake")
    key = an_approval(plan, "d-ben", "break-glass", step_up="c")
    require_runnable(plan, [key], INCIDENT, TEAM, plan.digest)
    void = {"plan": plan.short, "why": "break-glass"}
    for keys, roster in (
        ([an_approval(plan, "d-ben", "approver", step_up="c")], TEAM),
        ([replace(key, person_id="d-cho")], TEAM),
        ([key], a_roster(ANA)),
    ):
        says(
            lambda keys=keys, roster=roster: require_runnable(plan, keys, INCIDENT, roster, plan.digest),
            "refused.keys_void",
            **void,
        )
    says(
        lambda: require_runnable(plan, [replace(key, step_up="")], INCIDENT, TEAM, plan.digest),
        "refused.step_up_wrong",
        person="Ben",
    )
    hasty = replace(plan, break_glass_reason="short")
    says(lambda: require_runnable(hasty, [key], INCIDENT, TEAM, plan.digest), "refused.reason_missing")


def test_a_profile_of_fewer_than_two_is_two():
    assert (
        approval_status(approved(approval=ApprovalProfile(min_approvals=1)), [], INCIDENT, TEAM).needed == 2
    )


def test_a_confirmation_afterwards_is_no_key_of_the_run():
    """It comes later, on a digest that the record may no longer have: it neither helps nor hinders a run."""
    plan = approved()
    keys = [an_approval(plan, "d-ana", "proposer"), an_approval(plan, "d-ben", step_up="c")]
    late = an_approval(plan, "d-cho", "confirmation", digest="0" * 64, at=at(9999))
    require_runnable(plan, [*keys, late], INCIDENT, TEAM, plan.digest, now=at(12))


# the trail


def test_each_break_of_the_chain_names_its_entry():
    story = list(the_story())
    seq, digest = verify(story)
    assert (seq, digest) == (len(story), story[-1].hash)
    says(lambda: verify(story[1:]), "audit.gap", seq="1", found="2")
    says(lambda: verify([story[0], story[2]]), "audit.gap", seq="2", found="3")
    other = replace(story[1], previous="f" * 64)
    says(lambda: verify([story[0], other]), "audit.broken_link", seq="2")
    says(lambda: verify([story[0], replace(story[1], action="moved")]), "audit.changed", seq="2")
    says(lambda: verify(story, head=(2, "f" * 64)), "audit.head_differs", seq="2")
    cut = len(story) + 5
    says(lambda: verify(story, head=(cut, "f" * 64)), "audit.cut", seq=str(len(story) + 1), head=str(cut))


def test_a_posted_head_counts_from_as_many_characters_as_are_shown():
    digest = "abcdef0123456789" * 4
    assert is_head(digest, digest)
    assert is_head(digest, digest[:SHOWN])
    assert not is_head(digest, digest[: SHOWN - 1])
    assert not is_head(digest, "f" + digest[1:SHOWN])


def test_a_line_of_the_export_says_who_by_the_directory_and_by_the_chat():
    with_account = content(replace(the_story()[0], actor=Actor("d-ben", ChatAccount("T1", "UBEN"))))
    assert (with_account["actor"], with_account["team"], with_account["user"]) == ("d-ben", "T1", "UBEN")
    without = content(replace(the_story()[0], actor=Actor("system:intake")))
    assert (without["actor"], without["team"], without["user"]) == ("system:intake", "", "")


# what came after the keys


def test_a_key_of_a_plan_that_is_signed_counts_with_what_a_passkey_signed_and_else_says_why():
    plan = plan_of_ana(approval=replace(a_plan().approval, step_up="passkey"))
    signed = [
        an_approval(plan, f"d-{name}", step_up="k", assertion={"nonce": "0"}) for name in ("ben", "cho")
    ]
    assert approval_status(plan, signed, INCIDENT, TEAM).is_satisfied
    bare = an_approval(plan, "d-ben", step_up="k")
    assert missing(plan, bare) == [
        ("standing.no_signature", {"person": "Ben"}),
        ("standing.more_keys", {"missing": "2", "needed": "2"}),
    ]


@pytest.mark.parametrize(
    ("changes", "owed"),
    [
        ({"break_glass_by": "d-ana", "state": PlanState.DONE}, True),
        ({"break_glass_by": "d-ana", "state": PlanState.APPROVED}, True),
        ({"break_glass_by": "d-ana", "state": PlanState.VOIDED}, False),
        ({"break_glass_by": "d-ana", "confirmed_by": "d-ben", "state": PlanState.DONE}, False),
        ({"state": PlanState.DONE}, False),
    ],
)
def test_a_run_on_one_key_waits_for_its_second_person_unless_it_never_began(changes, owed):
    assert owes_confirmation(plan_of_ana(**changes)) is owed


def test_who_commands_ends_a_critical_plan_on_which_they_turn_no_key():
    leads = replace(BEN, roles=frozenset((Role.COMMANDER,)))
    plan = plan_of_ana(risk=Risk.CRITICAL)
    assert may_end(leads, plan, replace(INCIDENT, commander="d-ben"))
    assert not may_end(leads, plan, INCIDENT)


def test_who_commands_now_keeps_a_key_that_they_turned_as_an_approver():
    """A run goes on by whoever may stand behind it today; who leads it today may."""
    plan = plan_of_ana(state=PlanState.RUNNING)
    given = [an_approval(plan, "d-ana", "proposer"), an_approval(plan, "d-ben")]
    team = a_roster(ANA, replace(BEN, roles=frozenset((Role.COMMANDER,))))
    require_still_held(plan, given, replace(INCIDENT, commander="d-ben"), team, plan.digest)


def test_of_several_views_the_one_in_which_most_was_seen_counts():
    plan = plan_of_ana(id="plan-1", touches=tuple(Touch("bucket", f"b-{number}") for number in range(11)))
    views = [
        Showing(f"s-{view}", plan.id, "d-ben", plan.digest, at(minute), view=view, opened=opened)
        for view, opened, minute in (("V1", (1,), 3), ("V2", (1, 2), 1), ("V3", (1, 2), 2))
    ]
    for order in (views, views[::-1]):
        assert require_shown(plan, BEN, order, "").view == "V3"
        assert require_shown(plan, BEN, order, "V2").view == "V2"
        says(
            lambda order=order: require_shown(plan, BEN, order, "V1"),
            "refused.not_shown_whole",
            plan=plan.short,
            missing="2",
            pages="2",
        )
