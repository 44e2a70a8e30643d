"""Stopping and letting go on: one person stops all acting at a place, and it takes two to lift that, or a breaker."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime

from twokey.core.approvals import require_role
from twokey.core.errors import Json, Refused, message
from twokey.core.incidents import Incident
from twokey.core.people import ChatIdentity, Person
from twokey.core.runbooks import Plan, PlanState
from twokey.core.stops import (
    ALL,
    EVERYWHERE,
    Stop,
    StopKind,
    asks,
    needs_code,
    require_lifter,
    stop_id,
)
from twokey.flow import outbox
from twokey.flow.containment.approvals import use_given_code
from twokey.flow.execution.stops import was_held_back
from twokey.flow.plans import owe_run
from twokey.flow.refusals import Caller, on_record
from twokey.ports import Clock, Rosters, Snapshot, StepUp, Store, Transaction

_ALIVE = (PlanState.PROPOSED, PlanState.APPROVED, PlanState.RUNNING, PlanState.ASKING)
_LONGEST_REASON = 500


@dataclass(frozen=True)
class Stops:
    """What people do about stops; `places` are the clouds' patterns of accounts and subscriptions."""

    store: Store
    clock: Clock
    rosters: Rosters
    step_up: StepUp
    places: tuple[str, ...]

    def stop(self, named: str, who: ChatIdentity, reason: str) -> Stop:
        """Stop all acting in an account, or everywhere, at once: one person may, for stopping is safe."""
        now = self.clock.now()
        with on_record(self, "stop.refused", who) as caller, self.store.change() as tx:
            account, why = self._account(named), reason.strip()[:_LONGEST_REASON]
            require_role(caller.person, account or EVERYWHERE)
            if not why:
                raise Refused("refused.reason_missing")
            return _stop(tx, account, caller, why, now)

    def resume(self, named: str, who: ChatIdentity, *, shown: int, code: str) -> Stop:
        """Ask for a stop to be lifted, or as another, an approver, lift it: the one that was shown."""
        now = self.clock.now()
        with on_record(self, "resume.refused", who) as caller, self.store.change() as tx:
            found = self._stop_at(tx, named)
            require_role(caller.person, found.scope)
            if found.seq != shown:
                raise Refused("refused.stop_changed", where=found.where)
            asking = asks(found, caller.roster, now)
            if asking:
                require_lifter(found, asking, caller.person)
            self._use_code(tx, found, caller, code, now)
            return _lift(tx, found, asking, caller, now) if asking else _ask(tx, found, caller, now)

    def to_lift(self, named: str, who: ChatIdentity) -> tuple[Stop, Person | None]:
        """Show a stop, and who asks for it to be lifted, to somebody with a role there."""
        with on_record(self, "resume.refused", who) as caller, self.store.read() as look:
            found = self._stop_at(look, named)
            require_role(caller.person, found.scope)
            return found, asks(found, caller.roster, self.clock.now())

    def listed(self) -> list[Stop]:
        """Return every stop that is in force, oldest first."""
        with self.store.read() as look:
            return stops_in_force(look)

    def over(self, account: str) -> list[Stop]:
        """Return the stops in force over an account, the whole installation's first."""
        with self.store.read() as look:
            found = [look.get(Stop, one) for one in dict.fromkeys((stop_id(""), stop_id(account)))]
            return [stop for stop in found if stop and not stop.is_lifted]

    def is_known(self, account: str) -> bool:
        """Say whether any incident is about an account: a mistyped one stops nothing."""
        with self.store.read() as look:
            return not account or look.count(Incident, account=account) > 0

    def _account(self, named: str) -> str:
        """Return the account that was named, "" for the whole installation; refuse what is neither."""
        typed = named.strip().strip("`").lower()
        if typed in (ALL, EVERYWHERE):
            return ""
        if not any(re.fullmatch(pattern, typed) for pattern in self.places):
            raise Refused("refused.no_such_place", where=named.strip()[:80] or "-")
        return typed

    def _stop_at(self, look: Snapshot, named: str) -> Stop:
        account = self._account(named)
        found = look.get(Stop, stop_id(account))
        if found is None or found.is_lifted:
            raise Refused("refused.not_stopped", where=account or ALL)
        return found

    def _use_code(self, tx: Transaction, stop: Stop, caller: Caller, code: str, now: datetime) -> None:
        if needs_code(stop, caller.person, caller.roster):
            use_given_code(tx, self.step_up, caller.person, code=code, now=now)


def stops_in_force(look: Snapshot) -> list[Stop]:
    """Return every stop that is in force, oldest first."""
    return [stop for stop in look.find(Stop) if not stop.is_lifted]


def _stop(tx: Transaction, account: str, caller: Caller, why: str, now: datetime) -> Stop:
    made = Stop(stop_id(account), account, now, by=caller.person.id, reason=why)
    data: dict[str, Json] = {"where": made.where, "reason": why}
    entry = tx.append(caller.actor, "acting.stopped", data=data)
    # In the place of a breaker that is open there: the same two people lift both at once.
    stop = replace(made, seq=entry.seq)
    tx.put(stop)
    told = message("stops.stopped", person=caller.person.name, where=stop.where, place=stop.where, reason=why)
    outbox.tell_security(tx, f"stop:{entry.seq}", told, now)
    _redraw(tx, stop, now)
    return stop


def _ask(tx: Transaction, stop: Stop, caller: Caller, now: datetime) -> Stop:
    is_breaker, person = stop.kind is StopKind.BREAKER, caller.person
    data: dict[str, Json] = {"where": stop.where, "stop": stop.seq}
    entry = tx.append(caller.actor, "breaker.lift_asked" if is_breaker else "acting.lift_asked", data=data)
    asked = replace(stop, asked_by=person.id, asked_at=now)
    tx.put(asked)
    told = message("stops.lift_asked", person=person.name, where=stop.where, place=stop.where)
    outbox.tell_security(tx, f"stop:{entry.seq}", told, now)
    return asked


def _lift(tx: Transaction, stop: Stop, asking: Person, caller: Caller, now: datetime) -> Stop:
    is_breaker, person = stop.kind is StopKind.BREAKER, caller.person
    data: dict[str, Json] = {"where": stop.where, "stop": stop.seq, "asked_by": asking.id}
    entry = tx.append(caller.actor, "breaker.lifted" if is_breaker else "acting.lifted", data=data)
    lifted = replace(stop, is_lifted=True, counts_from=entry.seq)
    tx.put(lifted)
    told = message("stops.lifted", person=person.name, asking=asking.name, where=stop.where)
    outbox.tell_security(tx, f"stop:{entry.seq}", told, now)
    for plan in _redraw(tx, stop, now):
        if was_held_back(plan):
            owe_run(tx, plan, again=str(entry.seq))
    return lifted


def _redraw(tx: Transaction, stop: Stop, now: datetime) -> list[Plan]:
    """Draw the cards of what is on its way there anew; return those plans. Other cards say it when drawn next."""
    plans = [
        plan
        for plan in tx.find(Plan, state=_ALIVE)
        if not stop.account or stop_id(plan.target.account) == stop.id
    ]
    incidents = {plan.incident_id: tx.get(Incident, plan.incident_id) for plan in plans}
    for plan in plans:
        outbox.redraw_plan(tx, plan, now)
    for incident in incidents.values():
        if incident:
            outbox.redraw_card(tx, incident, now)
    return plans
