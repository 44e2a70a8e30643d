"""Break glass: a run on one approval, told to everybody who could have given the second, confirmed later."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from twokey.core.approvals import (
    CONFIRM_WITHIN_S,
    is_typed,
    owes_confirmation,
    proposer_counts,
    require_break_glass,
    require_confirmer,
    require_glass_settled,
)
from twokey.core.errors import Json, Refused, message
from twokey.core.executions import StepRecord
from twokey.core.people import Person, Role, system
from twokey.core.runbooks import Plan, PlanState
from twokey.flow import outbox
from twokey.flow.containment.approvals import Given, add_approval, use_code, use_given_code
from twokey.flow.containment.showings import showing_data, showing_of
from twokey.flow.execution.journal import journal_of
from twokey.flow.execution.stops import require_may_begin
from twokey.flow.lookup import incident_by_id, plan_by_id
from twokey.flow.plans import (
    as_proposed,
    incident_for,
    move,
    owe_confirmation,
    owe_run,
    proposal_data,
    require_no_duplicate,
    require_own_preview,
)
from twokey.flow.refusals import Caller, require_tries_left
from twokey.ports import Snapshot, StepUp, Transaction


@dataclass(frozen=True, slots=True)
class BreakGlass:
    """What a person gives who runs a plan alone: its target as they typed it, a code, a reason, from which view."""

    typed: str
    code: str
    reason: str
    view: str = ""


def run_on_one_approval(
    tx: Transaction, step_up: StepUp, plan: Plan, caller: Caller, given: BreakGlass, now: datetime
) -> Plan:
    """Store a plan as approved by its one person, owe its run and its confirmation, and tell every approver."""
    person = caller.person
    require_may_begin(tx, plan)
    used = _require_sole_approval(tx, step_up, plan, person, given, now)
    incident = incident_for(tx, plan)
    require_no_duplicate(tx, plan, now)
    showing = showing_of(tx, plan, person, given.view)
    use_code(tx, used, person, now)
    stored = replace(
        as_proposed(tx, plan, person, now),
        state=PlanState.APPROVED,
        break_glass_by=person.id,
        break_glass_reason=given.reason.strip()[:2000],
        why=given.reason.strip()[:2000],
        confirm_by=now + timedelta(seconds=CONFIRM_WITHIN_S),
    )
    tx.add(stored)
    add_approval(tx, stored, caller, role="break-glass", now=now, given=Given(used), showing=showing)
    data = {
        **proposal_data(stored, stored.break_glass_reason, caller.roster, is_key=proposer_counts(stored)),
        **showing_data(showing),
    }
    entry = tx.append(caller.actor, "glass.broken", incident_id=incident.id, plan_id=stored.id, data=data)
    broken = message(
        "containment.glass_broken",
        person=person.name,
        title=plan.title,
        plan=stored.short,
        reason=given.reason,
    )
    outbox.tell_thread(tx, entry, broken, broadcast=True, plan_id=stored.id)
    for approver in caller.roster.holding((Role.APPROVER, Role.COMMANDER), stored.target.account):
        if approver.id != person.id:
            outbox.tell_person(tx, entry, approver.id, [broken], stored.id)
    outbox.redraw_plan(tx, stored, now)
    outbox.send_file(tx, stored, now)
    outbox.redraw_card(tx, incident, now)
    owe_run(tx, stored)
    owe_confirmation(tx, stored)
    return stored


def _require_sole_approval(
    look: Snapshot, step_up: StepUp, plan: Plan, person: Person, given: BreakGlass, now: datetime
) -> str:
    """Return the identity of the code with which this person may run this plan alone, or refuse."""
    require_own_preview(plan, person)
    if not is_typed(plan, given.typed):
        raise Refused("refused.typed_wrong", typed=given.typed.strip()[:80], plan=plan.short)
    require_glass_settled(person, unconfirmed(look), now)
    require_tries_left(look, person, now)
    used = step_up.verify(person.id, given.code, now) or ""
    require_break_glass(plan, person, step_up=used, reason=given.reason)
    return used


def unconfirmed(look: Snapshot) -> list[Plan]:
    """Return every run on one key that waits for its second person."""
    began = tuple(state for state in PlanState if state is not PlanState.PROPOSED)
    found, seen = list[Plan](), 0
    while page := look.find(Plan, state=began, skip=seen):
        found += [plan for plan in page if owes_confirmation(plan)]
        seen += len(page)
    return found


def confirmable(look: Snapshot, plan_id: str, caller: Caller) -> tuple[Plan, list[StepRecord]]:
    """Return a run that this person could confirm now, and what came of each of its steps."""
    plan = plan_by_id(look, plan_id)
    require_confirmer(plan, caller.person, incident_by_id(look, plan.incident_id))
    return plan, list(journal_of(look, plan.id).values())


def confirm_run(
    tx: Transaction, step_up: StepUp, plan_id: str, caller: Caller, code: str, now: datetime
) -> Plan:
    """Keep the second person's yes to a run whose outcome they saw, if it is one that is owed."""
    person = caller.person
    plan, _ = confirmable(tx, plan_id, caller)
    used = use_given_code(tx, step_up, person, code=code, now=now)
    confirmed = replace(plan, confirmed_by=person.id)
    add_approval(tx, plan, caller, role="confirmation", now=now, given=Given(used))
    yes = message("containment.confirmed", person=person.name, plan=plan.short)
    data: dict[str, Json] = {"roster": caller.roster.digest, "state": plan.state.value}
    move(tx, confirmed, caller.actor, "confirmed", yes, now=now, data=data)
    return confirmed


def remind_of_confirmation(tx: Transaction, plan_id: str) -> None:
    """Tell the thread that a run on one approval has not been confirmed in time, if it has not."""
    plan = plan_by_id(tx, plan_id)
    entry = tx.append(system("engine"), "confirmation.checked", incident_id=plan.incident_id, plan_id=plan.id)
    if not plan.confirmed_by:
        owed = message("containment.confirmation_owed", plan=plan.short)
        outbox.tell_thread(tx, entry, owed, broadcast=True)
