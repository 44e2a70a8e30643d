"""Word for word what is put on record and told about plans and keys: an auditor reads nothing else.

A mutation tester walks over `flow/containment/` and `core/approvals.py`; what these tables leave out, it finds.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from twokey.core.errors import NotFound, Refused, RetryAfter, TwokeyError
from twokey.core.incidents import State
from twokey.core.notices import NoticeKind
from twokey.core.responsibility import Label
from twokey.core.runbooks import PlanState
from twokey.testing.clouds import ACCOUNT
from twokey.testing.runbooks import LEAKED_KEY, PROTECT_BUCKETS, QUARANTINE_ACCOUNT


def last(world):
    return world.trail()[-1]


def stands(world, action, actor, *, on="", incident="INC-1", **data):
    """Say that the last entry of this action says exactly this, by this person's account."""
    entry = [one for one in world.trail() if one.action == action][-1]
    account = "" if actor.startswith("system:") else f"U-{actor.removeprefix('d-').upper()}"
    assert (entry.actor.id, entry.actor.account.user if entry.actor.account else "") == (actor, account)
    assert (entry.incident_id, entry.plan_id) == (incident, on)
    assert dict(entry.data) == data
    return entry


def told_about(world, entry):
    """Return what the thread is told about an entry: codes with parameters, and what it hangs on."""
    (notice,) = [one for one in world.notices() if one.context.get("audit_seq") == str(entry.seq)]
    assert notice.context["audit_hash"] == entry.hash
    assert notice.incident_id == entry.incident_id
    assert notice.created_at == entry.at
    return notice.plan_id, [(said.code, dict(said.params)) for said in notice.messages]


def redrawn(world, kind, name):
    """Say that a card is owed, and since when."""
    (notice,) = [one for one in world.notices() if one.kind is kind and one.id.endswith(name)]
    return notice


# what is done


def test_a_proposal_and_both_keys(world):
    world.incident()
    plan = world.asks_for("ana", world.previews("ana"), reason="seen in the wild")
    entry = stands(
        world,
        "proposed",
        "d-ana",
        on=plan.id,
        runbook=LEAKED_KEY,
        digest=plan.digest,
        risk=plan.risk.value,
        needed=2,
        proposer_counts=True,
        expires_at=plan.expires_at.isoformat(),
        undo_of="",
        roster="r" * 64,
        reason="seen in the wild",
        showing=f"V-WHOLE:d-ana:preview:{plan.digest[:32]}",
        pages_shown=[1],
        details_shown=False,
    )
    said = ("containment.proposed", {"person": "Ana", "title": plan.title, "plan": plan.short})
    assert told_about(world, entry) == (plan.id, [said])
    (first,) = world.keys(plan)
    assert (first.role, first.person_id, first.at) == ("proposer", "d-ana", world.clock.now())
    assert (first.account.user, first.digest, first.step_up) == ("U-ANA", plan.digest, "totp:d-ana:000017")
    assert redrawn(world, NoticeKind.APPROVAL, plan.id).plan_id == plan.id

    stand = world.approves("ben", plan)
    entry = stands(
        world,
        "approved",
        "d-ben",
        on=plan.id,
        digest=plan.digest,
        role="approver",
        keys=2,
        needed=2,
        roster="r" * 64,
        showing=f"V-WHOLE:d-ben:{plan.id}:{plan.digest[:32]}",
        pages_shown=[1],
        details_shown=False,
    )
    said = ("containment.approved", {"person": "Ben", "plan": plan.short, "keys": "2", "needed": "2"})
    assert told_about(world, entry) == (plan.id, [said])
    assert stand.is_satisfied
    assert world.plan(plan).state is PlanState.APPROVED


def test_what_was_no_reason_is_kept_as_none(world):
    world.incident()
    plan = world.proposes("ana")
    assert world.trail(plan)[0].data["reason"] == ""


def test_a_no_is_kept_with_its_reason_cut_to_2000_characters(world):
    world.incident()
    plan = world.proposes("ana")
    world.containment.reject(plan.id, world.who("ben"), "  " + "x" * 3000 + "  ")
    entry = stands(world, "refused", "d-ben", on=plan.id, reason="x" * 2000)
    said = ("containment.refused", {"person": "Ben", "plan": plan.short, "reason": "x" * 2000})
    assert told_about(world, entry) == (plan.id, [said])
    assert redrawn(world, NoticeKind.APPROVAL, plan.id).created_at == world.clock.now()


def test_what_is_taken_back_is_kept_without_a_reason(world):
    world.incident()
    plan = world.proposes("ana")
    world.containment.withdraw(plan.id, world.who("ana"))
    entry = stands(world, "withdrawn", "d-ana", on=plan.id, reason="")
    said = ("containment.withdrawn", {"person": "Ana", "plan": plan.short, "reason": ""})
    assert told_about(world, entry) == (plan.id, [said])


def test_what_nobody_answered_ends_by_the_engine(world):
    world.incident()
    plan = world.proposes("ana")
    world.clock.set(plan.expires_at)
    world.containment.expire(plan.id)
    entry = stands(world, "expired", "system:engine", on=plan.id)
    assert told_about(world, entry) == (plan.id, [("containment.expired", {"plan": plan.short})])
    world.containment.expire(plan.id)
    stands(world, "expiry.checked", "system:engine", on=plan.id, incident="")


def test_an_expiry_that_comes_too_early_says_when_to_come_again(world):
    world.incident()
    plan = world.proposes("ana")
    world.clock.set(plan.expires_at - timedelta(seconds=90))
    with pytest.raises(RetryAfter) as later:
        world.containment.expire(plan.id)
    assert later.value.seconds == 90
    assert later.value.message.params["plan"] == plan.short
    assert world.plan(plan).state is PlanState.PROPOSED


def test_an_expiry_of_no_plan_is_kept_and_ends_nothing(world):
    world.containment.expire("plan-none")
    stands(world, "expiry.checked", "system:engine", on="plan-none", incident="")


# what is refused


def refusal(call):
    with pytest.raises(TwokeyError) as no:
        call()
    return no.value.message.code, dict(no.value.message.params)


def is_refused(world, call, action, actor, code, on, **params):
    assert refusal(call) == (code, params)
    stands(world, action, actor, on=on, code=code, **params)


def test_every_refusal_stands_on_record_with_all_that_it_said(world):
    world.incident()
    plan = world.proposes("ana")
    flow, short = world.containment, plan.short
    for call, action, code, actor, params in (
        (lambda: flow.reject(plan.id, world.who("ben"), " "), "refusal", "reason_missing", "d-ben", {}),
        (
            lambda: flow.withdraw(plan.id, world.who("ben")),
            "withdrawal",
            "not_requester",
            "d-ben",
            {"person": "Ben"},
        ),
        (
            lambda: flow.reject(plan.id, world.who("dia"), "no"),
            "refusal",
            "not_approver",
            "d-dia",
            {"person": "Dia", "scope": ACCOUNT},
        ),
        (
            lambda: flow.confirm(plan.id, world.who("ben"), code=world.code()),
            "confirmation",
            "nothing_to_confirm",
            "d-ben",
            {"plan": short},
        ),
        (
            lambda: flow.preview_undo(plan.id, world.who("ben")),
            "preview",
            "not_undoable",
            "d-ben",
            {"plan": short, "state": "proposed"},
        ),
        (
            lambda: flow.preview_undo(plan.id, world.who("far")),
            "preview",
            "not_responder",
            "d-far",
            {"person": "Far", "scope": ACCOUNT},
        ),
        (lambda: world.approves("ana", plan), "approval", "own_plan", "d-ana", {"person": "Ana"}),
        (
            lambda: world.approves("ben", plan, digest="0" * 64),
            "approval",
            "plan_changed",
            "d-ben",
            {"plan": short},
        ),
        (
            lambda: world.approves("ben", plan, typed="wrong"),
            "approval",
            "typed_wrong",
            "d-ben",
            {"typed": "wrong", "plan": short},
        ),
        (
            lambda: world.approves("dia", plan),
            "approval",
            "not_approver",
            "d-dia",
            {"person": "Dia", "scope": ACCOUNT},
        ),
    ):
        is_refused(world, call, f"{action}.refused", actor, f"refused.{code}", plan.id, **params)


def test_what_is_refused_before_there_is_a_plan_hangs_on_the_incident(world):
    world.incident()
    mine, hers = world.previews("ben"), world.previews("ana")
    for call, action, actor, code, params in (
        (
            lambda: world.previews("far"),
            "preview",
            "d-far",
            "not_responder",
            {"person": "Far", "scope": ACCOUNT},
        ),
        (
            lambda: world.containment.propose(hers, world.who("ben")),
            "proposal",
            "d-ben",
            "plan_changed",
            {"plan": hers.short},
        ),
        (
            lambda: world.breaks_glass("ben", mine, reason="too short"),
            "break_glass",
            "d-ben",
            "reason_missing",
            {},
        ),
    ):
        is_refused(world, call, f"{action}.refused", actor, f"refused.{code}", "", **params)


def test_a_button_of_a_plan_that_is_over_is_put_on_record(world):
    world.incident()
    plan = world.proposes("ana")
    assert world.containment.review(plan.id, world.who("ben"))[1].id == "d-ben"
    world.containment.withdraw(plan.id, world.who("ana"))
    for call, action in (
        (lambda: world.containment.review(plan.id, world.who("ben")), "review.refused"),
        (lambda: world.containment.rejectable(plan.id, world.who("ben")), "refusal.refused"),
    ):
        is_refused(world, call, action, "d-ben", "refused.plan_withdrawn", plan.id, plan=plan.short)


def test_an_incident_that_is_over_and_a_provider_side_are_named(world):
    incident = world.incident(label=Label.PROVIDER_OUTAGE)
    assert refusal(lambda: world.containment.suggestions(incident.id)) == (
        "refused.provider_side",
        {"incident": "INC-1", "label": "provider-outage"},
    )
    world.tampers(replace(incident, state=State.CANCELLED))
    assert refusal(lambda: world.containment.suggestions(incident.id)) == (
        "refused.incident_over",
        {"incident": "INC-1", "state": "cancelled"},
    )
    assert refusal(lambda: world.containment.suggestions("INC-9"))[0] == "response.no_such_incident"


def test_no_code_at_all_breaks_no_glass_and_nothing_typed_is_not_the_target(world):
    world.incident()
    preview = world.previews("ben")
    assert refusal(lambda: world.breaks_glass("ben", preview, code="")) == (
        "refused.step_up_wrong",
        {"person": "Ben"},
    )
    assert (
        refusal(
            lambda: world.containment.break_glass(
                preview, world.who("ben"), code=world.code(), reason="nobody else is awake", typed=""
            )
        )[0]
        == "refused.typed_wrong"
    )


def test_pending_is_only_what_waits(world):
    world.incident()
    plan = world.proposes("ana")
    assert [one.id for one in world.containment.pending(world.who("ben"))] == [plan.id]
    world.containment.withdraw(plan.id, world.who("ana"))
    assert world.containment.pending(world.who("ben")) == []


def test_an_unknown_incident_or_plan_is_not_found(world):
    with pytest.raises(NotFound):
        world.containment.approval_status("plan-none")
    with pytest.raises((NotFound, Refused)):
        world.containment.preview("INC-7", LEAKED_KEY, world.who("ana"))
    assert (last(world).action, last(world).incident_id) == ("preview.refused", "")


def test_a_card_is_drawn_although_nobody_may_turn_a_key(world):
    world.incident()
    plan = world.proposes("ana")
    world.rosters.unreadable()
    stand = world.containment.approval_status(plan.id)
    assert (stand.people, stand.is_satisfied) == ((), False)


def test_a_critical_plan_says_three_people_and_the_proposer_does_not_count(world):
    world.incident()
    plan = world.proposes("ana", QUARANTINE_ACCOUNT)
    assert world.keys(plan) == []
    data = world.trail(plan)[0].data
    assert (data["proposer_counts"], data["risk"]) == (False, "critical")
    stand = world.approves("ben", plan)
    assert (stand.people, stand.needed, [said.params for said in stand.missing]) == (
        ("d-ben",),
        2,
        [{"missing": "1", "needed": "2"}],
    )


def test_who_stands_behind_a_plan_is_counted_from_its_own_keys_and_its_incident(world):
    world.incident()
    first, other = world.proposes("ana"), world.proposes("ana", PROTECT_BUCKETS)
    world.approves("ben", other)
    assert world.containment.approval_status(first.id).people == ("d-ana",)
    assert world.containment.approval_status(other.id).people == ("d-ana", "d-ben")


def test_a_key_on_another_plan_does_not_count_even_with_this_ones_digest(world):
    world.incident()
    other, plan = world.proposes("ana"), world.proposes("ana", PROTECT_BUCKETS)
    world.approves("ben", other)
    bens = next(key for key in world.keys(other) if key.person_id == "d-ben")
    world.tampers(replace(bens, digest=plan.digest))
    stand = world.containment.approval_status(plan.id)
    assert (stand.people, [said.code for said in stand.missing]) == (("d-ana",), ["standing.more_keys"])


def test_a_commanders_key_stands_by_the_incident_that_is_theirs(world):
    incident = world.incident()
    world.tampers(replace(incident, commander="d-eve"))
    plan = world.proposes("ana")
    world.approves("eve", plan)
    assert world.containment.approval_status(plan.id).people == ("d-ana", "d-eve")


def test_who_holds_a_role_in_just_this_account_previews_and_takes_back_there(world):
    world.incident()
    for name in ("d-ana", "d-ben"):
        world.rosters.change(name, scopes=(ACCOUNT,))
    plan = world.contains()
    assert plan.state is PlanState.DONE
    assert world.containment.preview_undo(plan.id, world.who("ana")).undo_of == plan.id
