"""One person's yes to one digest: the approval that is kept, and the step-up code that goes with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from twokey.core.approvals import Approval, Showing, StepUpUse, approval_id, needs_signature
from twokey.core.errors import Conflict, Refused
from twokey.core.passkeys import is_signed
from twokey.core.people import Person
from twokey.core.runbooks import Plan
from twokey.flow.refusals import Caller, require_tries_left
from twokey.flow.roster_changes import note_roster
from twokey.ports import Passkeys, StepUp, Transaction


@dataclass(frozen=True, slots=True)
class Given:
    """The second factor as a key keeps it: the identity of a code or passkey, and what a passkey signed."""

    used: str = ""
    assertion: Mapping[str, str] = field(default_factory=dict)


def add_approval(
    tx: Transaction,
    plan: Plan,
    caller: Caller,
    *,
    role: str,
    now: datetime,
    given: Given | None = None,
    showing: Showing | None = None,
) -> Approval:
    """Keep one person's yes to exactly this plan; a second one of the same person is refused by the store."""
    person, account, given = caller.person, caller.account, given or Given()
    note_roster(tx, caller.roster, now)
    approval = Approval(
        approval_id(plan.id, person.id),
        plan.id,
        plan.digest,
        person.id,
        role,
        now,
        given.used,
        account,
        showing.id if showing else "",
        given.assertion,
    )
    try:
        tx.add(approval)
    except Conflict as twice:
        raise Refused("refused.key_turned_before", person=person.name, plan=plan.short) from twice
    return approval


def use_required_code(
    tx: Transaction, step_up: StepUp, plan: Plan, person: Person, *, code: str, now: datetime
) -> Given:
    """Return the code that was given, used up; nothing where the runbook asks for none, Refused where it wants
    a signature."""
    if not plan.approval.step_up:
        return Given()
    if needs_signature(plan):
        raise Refused("refused.passkey_needed", person=person.name)
    return Given(use_given_code(tx, step_up, person, code=code, now=now))


def use_given_code(tx: Transaction, step_up: StepUp, person: Person, *, code: str, now: datetime) -> str:
    """Return the identity of the code that was given, used up, or refuse a wrong one."""
    require_tries_left(tx, person, now)
    used = step_up.verify(person.id, code, now)
    if not used:
        raise Refused("refused.step_up_wrong", person=person.name)
    use_code(tx, used, person, now)
    return used


def use_signature(
    tx: Transaction,
    passkeys: Passkeys,
    plan: Plan,
    person: Person,
    assertion: Mapping[str, str],
    now: datetime,
) -> Given:
    """Return a signature of this plan by one of this person's passkeys, used up."""
    key = Approval("", plan.id, plan.digest, person.id, "", now, assertion=assertion)
    if not is_signed(plan, key, person, passkeys.signs):
        raise Refused("refused.passkey_wrong")
    use_code(tx, f"passkey:{assertion['nonce']}", person, now)
    return Given(f"passkey:{assertion['credential']}", assertion)


def use_code(tx: Transaction, used: str, person: Person, now: datetime) -> None:
    """Use a code up: it opens one door once."""
    try:
        tx.add(StepUpUse(used, person.id, now))
    except Conflict as twice:
        raise Refused("refused.step_up_used", person=person.name) from twice
