"""Breaking the glass: a run on one key, told to everybody who could have turned the second, confirmed later."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from twokey.core.approvals import CONFIRM_WITHIN_S, is_typed, may_break_glass, may_confirm
from twokey.core.errors import Refused, message
from twokey.core.people import ChatIdentity, Person, Role, Roster, acting, system
from twokey.core.runbooks import Plan, PlanState
from twokey.flow import outbox
from twokey.flow.containment.keys import turn_key, use_code
from twokey.flow.lookup import incident_by_id, plan_by_id
from twokey.flow.plans import (
    as_proposed,
    asked_for,
    incident_for,
    is_own_preview,
    no_twin,
    owe_confirmation,
    owe_run,
)
from twokey.flow.refusals import may_try_codes
from twokey.ports import StepUp, Store, Transaction


def run_on_one_key(
    store: Store,
    step_up: StepUp,
    roster: Roster,
    plan: Plan,
    who: ChatIdentity,
    person: Person,
    *,
    typed: str,
    code: str,
    reason: str,
    now: datetime,
) -> Plan:
    """Store a plan as approved by its one key, owe its run and its confirmation, and tell every approver."""
    is_own_preview(plan, person)
    used = _one_key(store, step_up, plan, person, typed=typed, code=code, reason=reason, now=now)
    with store.change() as tx:
        incident = incident_for(tx, plan)
        no_twin(tx, plan, now)
        use_code(tx, used, person, now)
        stored = replace(
            as_proposed(tx, plan, person, now),
            state=PlanState.APPROVED,
            break_glass_by=person.id,
            break_glass_reason=reason.strip()[:2000],
            confirm_by=now + timedelta(seconds=CONFIRM_WITHIN_S),
        )
        tx.add(stored)
        turn_key(tx, stored, person, who, role="break-glass", now=now, used=used)
        _tell_everybody(tx, stored, who, person, roster, reason)
        outbox.redraw_plan(tx, stored, now)
        outbox.redraw_card(tx, incident, now)
        owe_run(tx, stored)
        owe_confirmation(tx, stored)
    return stored


def _one_key(
    store: Store,
    step_up: StepUp,
    plan: Plan,
    person: Person,
    *,
    typed: str,
    code: str,
    reason: str,
    now: datetime,
) -> str:
    """Return the identity of the code with which this person may run this plan alone, or refuse."""
    if not is_typed(plan, typed):
        raise Refused("refused.typed_wrong", typed=typed.strip()[:80], plan=plan.short)
    with store.read() as look:
        may_try_codes(look, person, now)
    used = step_up.verify(person.id, code, now) or ""
    may_break_glass(plan, person, step_up=used, reason=reason)
    return used


def _tell_everybody(
    tx: Transaction, plan: Plan, who: ChatIdentity, person: Person, roster: Roster, reason: str
) -> None:
    entry = tx.append(
        acting(person, who.account),
        "glass.broken",
        incident_id=plan.incident_id,
        plan_id=plan.id,
        data=asked_for(plan, plan.break_glass_reason),
    )
    told = message(
        "containment.glass_broken", person=person.name, title=plan.title, plan=plan.short, reason=reason
    )
    outbox.tell_thread(tx, entry, told, broadcast=True, plan_id=plan.id)
    for approver in roster.holding((Role.APPROVER, Role.COMMANDER), plan.target.account):
        if approver.id != person.id:
            outbox.tell_person(tx, entry, approver.id, [told], plan.id)


def confirm_run(store: Store, plan_id: str, who: ChatIdentity, person: Person, now: datetime) -> Plan:
    """Keep the second person's yes to a run that is over, if it is one that is owed."""
    with store.change() as tx:
        plan = plan_by_id(tx, plan_id)
        incident = incident_by_id(tx, plan.incident_id)
        may_confirm(plan, person, incident)
        confirmed = replace(plan, confirmed_by=person.id)
        tx.put(confirmed)
        turn_key(tx, plan, person, who, role="confirmation", now=now)
        entry = tx.append(acting(person, who.account), "confirmed", incident_id=incident.id, plan_id=plan.id)
        said = message("containment.confirmed", person=person.name, plan=plan.short)
        outbox.tell_thread(tx, entry, said, plan_id=plan.id)
        outbox.redraw_plan(tx, confirmed, now)
    return confirmed


def remind_of_confirmation(store: Store, plan_id: str) -> None:
    """Tell the thread that a run on one key has not been confirmed in time, if it has not."""
    with store.change() as tx:
        plan = plan_by_id(tx, plan_id)
        entry = tx.append(
            system("engine"), "confirmation.checked", incident_id=plan.incident_id, plan_id=plan.id
        )
        if not plan.confirmed_by:
            said = message("containment.confirmation_owed", plan=plan.short)
            outbox.tell_thread(tx, entry, said, broadcast=True)
