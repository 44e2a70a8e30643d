"""Keeping every no: who wanted what, and which rule said no. Guessing at codes is counted here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from twokey.core.approvals import StepUpUse
from twokey.core.errors import NotFound, Refused, TwokeyError
from twokey.core.incidents import Incident
from twokey.core.people import Actor, ChatIdentity, Person, acting
from twokey.core.runbooks import Plan
from twokey.flow.lookup import canonical_id
from twokey.ports import Clock, Reading, Rosters, Store, Transaction

UNKNOWN_PERSON = "unknown"
WRONG_CODES_AN_HOUR = 5


@contextmanager
def on_record(
    store: Store,
    clock: Clock,
    rosters: Rosters,
    who: ChatIdentity,
    action: str,
    *,
    incident_id: str = "",
    plan_id: str = "",
) -> Iterator[None]:
    """Let a refusal through, having put it on record; a form that is not filled in is none.

    What belongs to another workspace is refused before anything else is looked at.
    """
    try:
        _is_here(store, who, incident_id, plan_id)
        yield
    except (Refused, NotFound) as refusal:
        if refusal.message.code != "refused.param_missing":
            with store.change() as tx:
                plan = tx.get(Plan, plan_id) if plan_id else None
                incident = tx.get(Incident, plan.incident_id if plan else canonical_id(incident_id))
                said, actor = refusal.message, whoever(who, rosters)
                if said.code == "refused.step_up_wrong" and actor.id != UNKNOWN_PERSON:
                    _count_wrong_code(tx, actor.id, clock.now())
                tx.append(
                    actor,
                    action,
                    incident_id=incident.id if incident else "",
                    plan_id=plan_id[:80],
                    data={**said.params, "code": said.code},
                )
        raise


def _is_here(store: Store, who: ChatIdentity, incident_id: str, plan_id: str) -> None:
    with store.read() as look:
        plan = look.get(Plan, plan_id) if plan_id else None
        incident = look.get(Incident, plan.incident_id if plan else canonical_id(incident_id))
    if incident and incident.workspace and who.workspace and incident.workspace != who.workspace:
        raise Refused("refused.foreign_workspace", user=who.account.user, team=who.workspace)


def whoever(who: ChatIdentity, rosters: Rosters) -> Actor:
    """Name whoever was refused; where the roster cannot be read, only the account is known."""
    try:
        person = rosters.current().behind(who.account)
    except TwokeyError:
        person = None
    return acting(person, who.account) if person else Actor(UNKNOWN_PERSON, who.account)


def may_try_codes(look: Reading, person: Person, now: datetime) -> None:
    """Refuse a person who gave too many wrong codes this hour: six digits can be guessed, given time."""
    if look.get(StepUpUse, _wrong_code(person.id, now, WRONG_CODES_AN_HOUR)):
        raise Refused("refused.step_up_locked", person=person.name, limit=WRONG_CODES_AN_HOUR)


def _count_wrong_code(tx: Transaction, person_id: str, now: datetime) -> None:
    for number in range(1, WRONG_CODES_AN_HOUR + 1):
        use = StepUpUse(_wrong_code(person_id, now, number), person_id, now)
        if tx.get(StepUpUse, use.id) is None:
            tx.add(use)
            return


def _wrong_code(person_id: str, now: datetime, number: int) -> str:
    return f"wrong:{person_id}:{now:%Y%m%d%H}:{number}"
