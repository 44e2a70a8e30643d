"""One person's yes to one digest: the approval that is kept, and the step-up code that goes with it."""

from __future__ import annotations

from datetime import datetime

from twokey.core.approvals import Approval, StepUpUse, approval_id
from twokey.core.errors import Conflict, Refused
from twokey.core.people import Person
from twokey.core.runbooks import Plan
from twokey.flow.refusals import Caller, require_tries_left
from twokey.flow.roster_changes import note_roster
from twokey.ports import StepUp, Transaction


def add_approval(
    tx: Transaction, plan: Plan, caller: Caller, *, role: str, now: datetime, used: str = ""
) -> Approval:
    """Keep one person's yes to exactly this plan; a second one of the same person is refused by the store."""
    person, account = caller.person, caller.account
    note_roster(tx, caller.roster, now)
    approval = Approval(
        approval_id(plan.id, person.id), plan.id, plan.digest, person.id, role, now, used, account
    )
    try:
        tx.add(approval)
    except Conflict as twice:
        raise Refused("refused.key_turned_before", person=person.name, plan=plan.short) from twice
    return approval


def use_required_code(
    tx: Transaction, step_up: StepUp, plan: Plan, person: Person, *, code: str, now: datetime
) -> str:
    """Return the identity of the code that was given, used up; "" where the runbook asks for none."""
    if plan.approval.step_up != "totp":
        return ""
    return use_given_code(tx, step_up, person, code=code, now=now)


def use_given_code(tx: Transaction, step_up: StepUp, person: Person, *, code: str, now: datetime) -> str:
    """Return the identity of the code that was given, used up, or refuse a wrong one."""
    require_tries_left(tx, person, now)
    used = step_up.verify(person.id, code, now)
    if not used:
        raise Refused("refused.step_up_wrong", person=person.name)
    use_code(tx, used, person, now)
    return used


def use_code(tx: Transaction, used: str, person: Person, now: datetime) -> None:
    """Use a code up: it opens one door once."""
    try:
        tx.add(StepUpUse(used, person.id, now))
    except Conflict as twice:
        raise Refused("refused.step_up_used", person=person.name) from twice
