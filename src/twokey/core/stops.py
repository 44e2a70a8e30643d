"""Stops: where nothing may act for now, because too much did or because somebody said so."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from twokey.core.approvals import LEAP_S, OTHER_EXPIRES_S
from twokey.core.errors import Refused
from twokey.core.executions import Execution
from twokey.core.people import Person, Role, Roster
from twokey.core.runbooks import Plan

EVERYWHERE = "*"  # the scope for which somebody's roles hold who may stop the whole installation
ALL = "all"  # the same, as people write and read it


class StopKind(StrEnum):
    """Why nothing may act: somebody said so, or too many containing runs began."""

    SWITCH = "switch"  # nothing is approved, begins, or writes
    BREAKER = "breaker"  # nothing that contains begins; what takes back does, and what is under way goes on


@dataclass(frozen=True, slots=True)
class Stop:
    """One account or subscription, or the whole installation, in which no run may begin or go on."""

    id: str
    account: str  # "" for the whole installation
    at: datetime
    kind: StopKind = StopKind.SWITCH
    by: str = ""  # person id; "" where it was no person
    reason: str = ""
    seq: int = 0  # the audit entry that tells of it: people lift the very stop that they were shown
    asked_by: str = ""  # who asks for it to be lifted
    asked_at: datetime | None = None
    is_lifted: bool = False
    counts_from: int = 0  # runs that began before this audit entry are forgiven: two people looked at them

    @property
    def where(self) -> str:
        """Return where it holds, as people write it."""
        return self.account or ALL

    @property
    def scope(self) -> str:
        """Return what somebody's roles must hold for to stop or lift there."""
        return self.account or EVERYWHERE


@dataclass(frozen=True, slots=True)
class Limits:
    """How many containing runs may begin within how long, in the whole installation and in one account."""

    everywhere: int = 20
    in_account: int = 10
    within_s: float = 300.0


def stop_id(account: str) -> str:
    """Name the stop of an account, or with "" of the whole installation: there is one row a place."""
    return account.casefold() or EVERYWHERE


def is_counted(plan: Plan) -> bool:
    """Say whether the breaker counts a run of this plan: it writes, and takes nothing back."""
    return bool(plan.writes) and not plan.undo_of


def holds_back(stop: Stop, plan: Plan) -> bool:
    """Say whether no run of this plan may begin: a switch stops all, a breaker what contains."""
    return not stop.is_lifted and (stop.kind is StopKind.SWITCH or is_counted(plan))


def begun(
    executions: Iterable[Execution], account: str, limits: Limits, counts_from: int, now: datetime
) -> int:
    """Count the containing runs that began in an account, or with "" anywhere, within the limits' time.

    Where a doubt is left it counts: a run that began in the future (the clock went back since), and one of
    an earlier version, which does not say where it was and what it did.
    """
    since = now - timedelta(seconds=limits.within_s)
    return sum(
        run.is_counted
        and run.head_seq >= counts_from
        and run.started_at > since
        and (not account or not run.account or stop_id(run.account) == stop_id(account))
        for run in executions
    )


def asks(stop: Stop, roster: Roster, now: datetime) -> Person | None:
    """Return who asks for a stop to be lifted, while that counts: for half an hour, and with a role there."""
    person = roster.person(stop.asked_by)
    if person is None or stop.asked_at is None or not any(person.is_(role, stop.scope) for role in Role):
        return None
    waited_s = (now - stop.asked_at).total_seconds()
    return person if -LEAP_S <= waited_s < OTHER_EXPIRES_S else None


def require_lifter(stop: Stop, asking: Person, person: Person) -> None:
    """Refuse to lift a stop unless another than who asked for it says so, who is an approver there."""
    if person.id == asking.id:
        raise Refused("refused.lift_alone", person=person.name, where=stop.where)
    if not person.is_(Role.APPROVER, stop.scope):
        raise Refused("refused.not_approver", person=person.name, scope=stop.scope)


def needs_code(stop: Stop, person: Person, roster: Roster) -> bool:
    """Say whether a person must give a code: one who has a second factor, and an approver where any has one."""
    approvers = roster.holding((Role.APPROVER,), stop.scope)
    return person.has_step_up or (person in approvers and any(one.has_step_up for one in approvers))
