"""Refusals on record: who wanted what, and which rule said no. Guessing at step-up codes is counted here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from twokey.core.approvals import StepUpUse
from twokey.core.audit import AuditEntry
from twokey.core.errors import NotFound, Refused, TwokeyError, message
from twokey.core.incidents import Incident
from twokey.core.people import Actor, ChatAccount, ChatIdentity, Person, Roster, acting, identify
from twokey.core.runbooks import Plan
from twokey.flow import outbox
from twokey.flow.lookup import canonical_id
from twokey.ports import Clock, Rosters, Snapshot, Store, Transaction

UNKNOWN_PERSON = "unknown"
WRONG_CODES_AN_HOUR = 5
WRONG_CODES_TOLD = 3  # so many are no slip of the finger


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
                entry = tx.append(
                    actor,
                    action,
                    incident_id=incident.id if incident else "",
                    plan_id=plan_id[:80],
                    data={**why.params, "code": why.code},
                )
                if why.code == "refused.step_up_wrong" and actor.id != UNKNOWN_PERSON:
                    count = _count_wrong_code(tx, actor.id, entry.at)
                    _tell_wrong_code(tx, entry, str(why.params.get("person", actor.id)), count)
        raise


def _refused_actor(who: ChatIdentity, rosters: Rosters) -> Actor:
    """Name the one who was refused; where the roster cannot be read, only the account is known."""
    try:
        person = rosters.current().behind(who.account)
    except TwokeyError:
        person = None
    return acting(person, who.account) if person else Actor(UNKNOWN_PERSON, who.account)


def require_tries_left(look: Snapshot, person: Person, now: datetime) -> None:
    """Refuse a person who gave too many wrong codes within an hour: six digits can be guessed, given time."""
    if len(_wrong_codes(look, person.id, now)) >= WRONG_CODES_AN_HOUR:
        raise Refused("refused.step_up_locked", person=person.name, limit=WRONG_CODES_AN_HOUR)


def _wrong_codes(look: Snapshot, person_id: str, now: datetime) -> list[StepUpUse]:
    """Return a person's wrong codes of the last hour: there is room for as many as lock."""
    rows = (look.get(StepUpUse, f"wrong:{person_id}:{n}") for n in range(1, WRONG_CODES_AN_HOUR + 1))
    return [row for row in rows if row and row.at > now - timedelta(hours=1)]


def _count_wrong_code(tx: Transaction, person_id: str, now: datetime) -> int:
    """Keep one more wrong code in place of one that is over an hour old, or of the oldest; return how many count."""
    counted = _wrong_codes(tx, person_id, now)
    taken = {row.id for row in counted}
    places = (f"wrong:{person_id}:{n}" for n in range(1, WRONG_CODES_AN_HOUR + 1))
    place = next((name for name in places if name not in taken), None)
    tx.put(StepUpUse(place or min(counted, key=lambda row: row.at).id, person_id, now))
    return min(len(counted) + 1, WRONG_CODES_AN_HOUR)


def _tell_wrong_code(tx: Transaction, entry: AuditEntry, name: str, count: int) -> None:
    """Tell the one in whose name a wrong code was given; from the third on, whoever minds security too."""
    wrong = message("stepup.wrong_code", person=name, count=count, limit=WRONG_CODES_AN_HOUR)
    locked = message("stepup.locked", person=name, limit=WRONG_CODES_AN_HOUR)
    said = [wrong, locked] if count >= WRONG_CODES_AN_HOUR else [wrong]
    outbox.tell_person(tx, entry, entry.actor.id, said, entry.plan_id)
    if count == WRONG_CODES_TOLD or count >= WRONG_CODES_AN_HOUR:
        outbox.tell_security(tx, f"wrong-codes:{entry.seq}", said[-1], entry.at)
