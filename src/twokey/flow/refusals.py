"""Refusals on record: who wanted what, and which rule said no. Guessing at step-up codes is counted here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from twokey.core.approvals import StepUpUse
from twokey.core.errors import NotFound, Refused, TwokeyError
from twokey.core.incidents import Incident
from twokey.core.people import Actor, ChatAccount, ChatIdentity, Person, Roster, acting, identify
from twokey.core.runbooks import Plan
from twokey.flow.lookup import canonical_id
from twokey.ports import Clock, Rosters, Snapshot, Store, Transaction

UNKNOWN_PERSON = "unknown"
WRONG_CODES_AN_HOUR = 5


@dataclass(frozen=True, slots=True)
class Caller:
    """The person who asks for something, and the roster as it was read for this one request."""

    person: Person
    account: ChatAccount
    roster: Roster

    @property
    def actor(self) -> Actor:
        """Return who the audit trail says it was."""
        return acting(self.person, self.account)


class Stage(Protocol):
    """A stage that people ask things of: it has the record, the time and the people."""

    @property
    def store(self) -> Store: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def rosters(self) -> Rosters: ...


@contextmanager
def on_record(
    stage: Stage, action: str, who: ChatIdentity, *, incident_id: str = "", plan_id: str = ""
) -> Iterator[Caller]:
    """Say who asks, and let a refusal through having put it on record; a form that is not filled in is none.

    What belongs to another workspace is refused before anything else is looked at.
    """
    with stage.store.read() as look:
        plan = look.get(Plan, plan_id) if plan_id else None
        incident = look.get(Incident, plan.incident_id if plan else canonical_id(incident_id))
    try:
        if incident and incident.workspace and who.workspace and incident.workspace != who.workspace:
            raise Refused("refused.foreign_workspace", user=who.account.user, team=who.workspace)
        roster = stage.rosters.current()
        yield Caller(identify(who, roster), who.account, roster)
    except (Refused, NotFound) as refusal:
        why = refusal.message
        if why.code != "refused.param_missing":
            with stage.store.change() as tx:
                actor = _refused_actor(who, stage.rosters)
                if why.code == "refused.step_up_wrong" and actor.id != UNKNOWN_PERSON:
                    _count_wrong_code(tx, actor.id, stage.clock.now())
                tx.append(
                    actor,
                    action,
                    incident_id=incident.id if incident else "",
                    plan_id=plan_id[:80],
                    data={**why.params, "code": why.code},
                )
        raise


def _refused_actor(who: ChatIdentity, rosters: Rosters) -> Actor:
    """Name the one who was refused; where the roster cannot be read, only the account is known."""
    try:
        person = rosters.current().behind(who.account)
    except TwokeyError:
        person = None
    return acting(person, who.account) if person else Actor(UNKNOWN_PERSON, who.account)


def require_tries_left(look: Snapshot, person: Person, now: datetime) -> None:
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
