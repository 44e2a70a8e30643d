"""Two keys: who may turn one, when it counts, and how many a plan needs. This page is the two-person rule."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from twokey.core.errors import Message, Refused, message
from twokey.core.incidents import Incident
from twokey.core.people import ChatAccount, Person, Role, Roster
from twokey.core.runbooks import Plan, PlanState, Risk, digest_of
from twokey.core.showings import pages
from twokey.core.younger import younger

CRITICAL_EXPIRES_S = 15 * 60.0
OTHER_EXPIRES_S = 30 * 60.0
CONFIRM_WITHIN_S = 24 * 3600.0
_NEVER_BEGAN = (PlanState.VOIDED, PlanState.REFUSED, PlanState.WITHDRAWN, PlanState.EXPIRED)
LEAP_S = 5 * 60.0  # how far a clock may go back: a longer leap would lengthen what people agreed to


@dataclass(frozen=True, slots=True)
class Approval:
    """One person's yes to one digest: a key turned on a plan. The id makes it unique for (plan, person)."""

    id: str  # <plan id>:<person id>
    plan_id: str
    digest: str
    person_id: str
    role: str  # proposer | approver | commander | break-glass | confirmation
    at: datetime
    step_up: str = ""  # the identity of the code that was given
    account: ChatAccount | None = None
    showing: str = younger("")  # the view in which the plan was shown to them
    # What a passkey signed, in hexadecimal digits: credential, nonce, client_data, authenticator_data, signature.
    assertion: Mapping[str, str] = younger(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class StepUpUse:
    """One step-up code that was used: its id is unique, so a code opens one door once."""

    id: str
    person_id: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Showing:
    """One view of one plan that one person was shown: an approval names the one it was given in."""

    id: str
    plan_id: str
    person_id: str
    digest: str
    at: datetime
    view: str = ""  # the chat's own name of the view
    opened: tuple[int, ...] = ()  # which of its pages they had before them
    details: bool = False  # whether they opened all steps and documents too


@dataclass(frozen=True, slots=True)
class ApprovalStatus:
    """Who stands behind exactly this plan, and what is still missing."""

    people: tuple[str, ...]  # person ids
    needed: int
    missing: tuple[Message, ...] = ()

    @property
    def is_satisfied(self) -> bool:
        """Say whether the plan may run."""
        return not self.missing and len(self.people) >= self.needed


def approval_id(plan_id: str, person_id: str) -> str:
    """Name an approval: a second one of the same person for the same plan has the same name."""
    return f"{plan_id}:{person_id}"


def proposer_counts(plan: Plan) -> bool:
    """Say whether confirming the preview was an approval: never for critical, nor where the runbook says no."""
    return plan.risk is not Risk.CRITICAL and plan.approval.requester_may_approve


def proposer_needs_code(plan: Plan) -> bool:
    """Say whether confirming the preview counts only with a code: a session of one person is not a person."""
    return proposer_counts(plan) and bool(plan.approval.step_up)


def needs_signature(plan: Plan) -> bool:
    """Say whether a key of this plan is a signature: then nobody's code, and no row without one, is a key."""
    return plan.approval.step_up == "passkey"


def approvals_needed(plan: Plan) -> int:
    """Return the number of approvals; a runbook can ask for more than two, never for fewer."""
    return max(2, plan.approval.min_approvals)


def expires_after_s(plan: Plan) -> float:
    """Return how long the plan waits for its approvals: 15 min when critical, 30 min else, or what is shorter."""
    limit = CRITICAL_EXPIRES_S if plan.risk is Risk.CRITICAL else OTHER_EXPIRES_S
    return min(limit, plan.approval.expires_in_s)


def needs_typed_target(plan: Plan) -> bool:
    """Say whether an approver must type the target."""
    return plan.risk in (Risk.HIGH, Risk.CRITICAL) or bool(plan.approval.typed_confirmation)


def is_typed(plan: Plan, typed: str) -> bool:
    """Say whether the target was typed; nothing typed is never the target."""
    return bool(plan.typed_target) and typed.strip() == plan.typed_target


def require_open_incident(plan: Plan, incident: Incident) -> None:
    """Refuse a plan of an incident that is over; what was contained can be taken back afterwards too."""
    if not incident.is_open and not plan.undo_of:
        raise Refused("refused.incident_over", incident=incident.id, state=incident.state.value)


def role_for(person: Person, plan: Plan, incident: Incident) -> str:
    """Return the role in which a person may turn a key for another's plan; "" when in none.

    Whoever works an incident can take its command, so for critical only approvers count.
    """
    if person.is_(Role.APPROVER, plan.target.account):
        return "approver"
    return "commander" if plan.risk is not Risk.CRITICAL and _commands(person, plan, incident) else ""


def _commands(person: Person, plan: Plan, incident: Incident) -> bool:
    return incident.commander == person.id and person.is_(Role.COMMANDER, plan.target.account)


def require_role(person: Person, scope: str) -> None:
    """Refuse a person who holds no role for that account or subscription."""
    if not any(person.is_(role, scope) for role in Role):
        raise Refused("refused.not_responder", person=person.name, scope=scope)


def is_out_of_time(plan: Plan, now: datetime) -> bool:
    """Say whether a plan that waits for keys waited too long; one without an end was over before it began.

    So was one that was asked for in the future: the clock went back since, and nobody knows how long it waits.
    """
    if plan.state is not PlanState.PROPOSED:
        return False
    return plan.expires_at is None or now >= plan.expires_at or _is_ahead(plan.requested_at, now)


def _is_ahead(moment: datetime | None, now: datetime) -> bool:
    return moment is not None and moment - now > timedelta(seconds=LEAP_S)


def require_waiting(plan: Plan, now: datetime) -> None:
    """Refuse a plan that is over, saying how it ended. Silence is never a yes: time passing ends it."""
    if plan.state is PlanState.EXPIRED or is_out_of_time(plan, now):
        raise Refused("refused.plan_expired", plan=plan.short)
    if plan.state is not PlanState.PROPOSED:
        raise Refused(f"refused.plan_{plan.state.value}", plan=plan.short)


def require_approver(
    plan: Plan,
    person: Person,
    incident: Incident,
    approvals: Iterable[Approval],
    *,
    digest: str,
    typed: str,
    now: datetime,
) -> str:
    """Return the role in which this person turns a key on this plan now, or refuse with the exact reason.

    The step-up code is the caller's to check: it needs a secret, and this page has none.
    """
    require_waiting(plan, now)
    require_open_incident(plan, incident)
    if person.id == plan.requester:
        raise Refused("refused.own_plan", person=person.name)
    if any(approval.person_id == person.id for approval in approvals):
        raise Refused("refused.key_turned_before", person=person.name, plan=plan.short)
    role = role_for(person, plan, incident)
    if not role:
        raise Refused("refused.not_approver", person=person.name, scope=plan.target.account)
    if digest != plan.digest or digest_of(plan) != digest:  # not what was shown, or changed behind our back
        raise Refused("refused.plan_changed", plan=plan.short)
    if needs_typed_target(plan) and not is_typed(plan, typed):
        raise Refused("refused.typed_wrong", typed=typed.strip()[:80], plan=plan.short)
    return role


def approval_status(
    plan: Plan, approvals: Iterable[Approval], incident: Incident, roster: Roster
) -> ApprovalStatus:
    """Count the distinct people who stand behind exactly this plan, by the roster as it is now.

    An approval does not count when its digest is another, when its person has left the roster or lost the role,
    when it was given as the proposer's by somebody who is not the proposer (or the other way round), without
    the step-up code that the plan asks for, or when the proposer's does not count. The proposer is one person and
    a plan needs two at least: so one key is always an approver's or the incident commander's.
    """
    proposer, others, lost = set[str](), set[str](), []
    for approval in approvals:
        person = roster.person(approval.person_id)
        if approval.digest != plan.digest or approval.role in ("break-glass", "confirmation"):
            continue
        if (approval.role == "proposer") is not (approval.person_id == plan.requester):
            lost.append(message("standing.other_proposer", person=approval.person_id))
        elif person is None:
            lost.append(message("standing.left_roster", person=approval.person_id))
        elif needs_signature(plan) and not approval.assertion:
            lost.append(message("standing.no_signature", person=person.name))
        elif approval.person_id == plan.requester:
            if plan.proposer_code and not approval.step_up:
                lost.append(message("standing.no_step_up", person=person.name))
            elif proposer_counts(plan) and any(person.is_(role, plan.target.account) for role in Role):
                proposer.add(approval.person_id)
        elif plan.approval.step_up and not approval.step_up:
            lost.append(message("standing.no_step_up", person=person.name))
        elif role_for(person, plan, incident):
            others.add(approval.person_id)
        else:
            lost.append(message("standing.lost_role", person=person.name))
    needed = approvals_needed(plan)
    people = tuple(sorted(proposer | others))
    missing = list(lost)
    if len(people) < needed:
        missing.append(message("standing.more_keys", missing=needed - len(people), needed=needed))
    return ApprovalStatus(people, needed, tuple(missing))


def shown_as(plan: Plan) -> str:
    """Return under which name a plan is shown: its id, and as long as it is a preview only, its digest."""
    return plan.id or f"preview:{plan.digest}"


def require_shown(plan: Plan, person: Person, showings: Iterable[Showing], view: str) -> Showing:
    """Return the showing in which this person saw this plan whole, in the view they answer from, or refuse.

    A view of "" is any of theirs: who does not answer from one, cannot mix one up with another.
    """
    theirs = [
        one
        for one in showings
        if (one.person_id, one.plan_id, one.digest) == (person.id, shown_as(plan), plan.digest)
        and view in ("", one.view)
    ]
    if not theirs:
        raise Refused("refused.not_shown", person=person.name, plan=plan.short)
    best = max(theirs, key=lambda one: (len(one.opened), one.at))
    count = len(pages(plan))
    missing = [str(page) for page in range(1, count + 1) if page not in best.opened]
    if missing:
        raise Refused("refused.not_shown_whole", plan=plan.short, missing=", ".join(missing), pages=count)
    return best


def require_break_glass(plan: Plan, person: Person, *, step_up: str, reason: str) -> None:
    """Refuse the one-person path unless the runbook allows it, the risk is not critical, the person is an
    approver, a step-up code was given and a reason is written down."""
    if not plan.break_glass_allowed or plan.risk is Risk.CRITICAL or needs_signature(plan):
        raise Refused("refused.no_break_glass", runbook=plan.runbook_id)
    if not person.is_(Role.APPROVER, plan.target.account):
        raise Refused("refused.not_approver", person=person.name, scope=plan.target.account)
    if not step_up:
        raise Refused("refused.step_up_wrong", person=person.name)
    if len(reason.strip()) < 10:
        raise Refused("refused.reason_missing")


def owes_confirmation(plan: Plan) -> bool:
    """Say whether a run on one key waits for its second person; one that never began does not."""
    return bool(plan.break_glass_by) and not plan.confirmed_by and plan.state not in _NEVER_BEGAN


def require_glass_settled(person: Person, unconfirmed: Iterable[Plan], now: datetime) -> None:
    """Refuse to break glass while one's own run has no second person behind it, or anybody's is overdue."""
    for plan in unconfirmed:
        if plan.break_glass_by == person.id:
            raise Refused("refused.glass_unconfirmed", person=person.name, plan=plan.short)
        if plan.confirm_by is None or now >= plan.confirm_by:
            raise Refused("refused.glass_overdue", plan=plan.short, incident=plan.incident_id)


def require_confirmer(plan: Plan, person: Person, incident: Incident) -> None:
    """Refuse a retrospective confirmation that is not owed, is not another approver's, or knows no outcome yet."""
    if not plan.break_glass_by or plan.confirmed_by:
        raise Refused("refused.nothing_to_confirm", plan=plan.short)
    if person.id == plan.break_glass_by:
        raise Refused("refused.own_plan", person=person.name)
    if not role_for(person, plan, incident):
        raise Refused("refused.not_approver", person=person.name, scope=plan.target.account)
    if plan.state in (PlanState.APPROVED, PlanState.RUNNING):
        raise Refused("refused.run_not_over", plan=plan.short)


def require_confirmed(plan: Plan, approvals: Iterable[Approval], digest_now: str) -> None:
    """Refuse a plan whose content is not, to the letter, what its approvals were given to."""
    digests = {approval.digest for approval in approvals}
    if not digests:
        raise Refused("refused.keys_void", plan=plan.short, why="-")
    if digest_now != plan.digest or digests != {plan.digest}:
        raise Refused("refused.plan_changed", plan=plan.short)


def require_runnable(
    plan: Plan,
    approvals: Iterable[Approval],
    incident: Incident,
    roster: Roster,
    digest_now: str,
    *,
    now: datetime | None = None,
) -> None:
    """Refuse a run unless the keys hold now: by this roster, for this digest, turned not too long ago.

    Break-glass needs its one. Keys grow old like the plan they were turned on: an engine that was down over
    night does not begin in the morning with what people confirmed in the evening. Keys from the future are of a
    clock that went back, and as good as old.
    """
    given = tuple(one for one in approvals if one.role != "confirmation")
    if plan.state not in (PlanState.APPROVED, PlanState.RUNNING):
        raise Refused(f"refused.plan_{plan.state.value}", plan=plan.short)
    require_open_incident(plan, incident)
    require_confirmed(plan, given, digest_now)
    newest = max(one.at for one in given)
    if now is not None and (
        now >= newest + timedelta(seconds=expires_after_s(plan)) or _is_ahead(newest, now)
    ):
        raise Refused("refused.plan_expired", plan=plan.short)
    if plan.break_glass_by:
        person = roster.person(plan.break_glass_by)
        alone = next((one for one in given if one.role == "break-glass"), None)
        if person is None or alone is None or alone.digest != plan.digest or alone.person_id != person.id:
            raise Refused("refused.keys_void", plan=plan.short, why="break-glass")
        require_break_glass(plan, person, step_up=alone.step_up, reason=plan.break_glass_reason)
        return
    status = approval_status(plan, given, incident, roster)
    if not status.is_satisfied:
        # The first reason is the one that says who: that keys are missing now only follows from it.
        raise Refused("refused.keys_void", plan=plan.short, why=status.missing[0])


def may_end(person: Person, plan: Plan, incident: Incident) -> bool:
    """Say whether a person's no ends a plan: its proposer's, a commander's whatever the risk, and an approver's."""
    return (
        person.id == plan.requester
        or bool(role_for(person, plan, incident))
        or _commands(person, plan, incident)
    )


def require_decider(person: Person, plan: Plan, incident: Incident) -> None:
    """Refuse who may not say how a run goes on: it is an act with a key, and a critical plan's proposer has none."""
    if not role_for(person, plan, incident):
        raise Refused("refused.not_approver", person=person.name, scope=plan.target.account)
    if plan.risk is Risk.CRITICAL and person.id == plan.requester:
        raise Refused("refused.proposer_decides", person=person.name, plan=plan.short)


def is_asking_over(plan: Plan, now: datetime) -> bool:
    """Say whether a run has asked for too long: as long as its plan would wait for keys, after which it only stops.

    A question without an end was over before it began, and so was one that a clock which went back began later.
    """
    until = plan.asking_until
    if plan.state is not PlanState.ASKING:
        return False
    return until is None or now >= until or _is_ahead(until - timedelta(seconds=expires_after_s(plan)), now)


def require_still_held(
    plan: Plan, approvals: Iterable[Approval], incident: Incident, roster: Roster, digest_now: str
) -> None:
    """Refuse a run that has written to go on writing unless its keys would hold now, whatever their age.

    Who led the incident when they turned their key may have handed it over since: that takes no key away.
    """
    given = tuple(approvals)
    leader = next((one.person_id for one in given if one.role == "commander"), incident.commander)
    require_runnable(plan, given, replace(incident, commander=leader), roster, digest_now)
    if not plan.undo_of and not incident.verdict.is_contained_by_us:
        raise Refused("refused.provider_side", incident=incident.id, label=incident.verdict.label.value)
