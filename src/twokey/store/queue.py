"""Owed jobs as a queue: take one, keep it, settle it. Only the last hand may settle."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import (
    ColumnClause,
    Integer,
    and_,
    bindparam,
    exists,
    literal_column,
    or_,
    select,
    true,
    update,
)

from twokey.core.jobs import Job, JobKind
from twokey.store.databases import Database
from twokey.store.tables import JOB
from twokey.store.types import storable

_other = JOB.alias("other")
_j = JOB.c
# Written out, not bound: a database uses a partial index only for a condition that it can read.
_WAITING: ColumnClause[str] = literal_column("'waiting'")
_RUNNING: ColumnClause[str] = literal_column("'running'")

# A kind that only a newer version knows waits for that version.
_KNOWN = _j.kind.in_([bindparam(f"kind_{kind.value}", kind.value) for kind in JobKind])
_DUE = and_(_j.state == _WAITING, _j.due <= bindparam("now"), _KNOWN)
_ITS_TURN = or_(
    _j.lock == "",
    ~exists().where(
        _other.c.lock == _j.lock,
        or_(
            _other.c.state == _RUNNING,
            and_(
                _other.c.state == _WAITING,
                _other.c.position < _j.position,
                or_(_other.c.holds == true(), _other.c.due <= bindparam("now")),
            ),
        ),
        # Said again for the partial index of jobs that are not settled.
        _other.c.state.in_((_WAITING, _RUNNING)),
    ),
)
_KEPT = (_j.id, _j.kind, _j.payload, _j.lock, _j.not_before, _j.attempts)
# What people wait for goes ahead of a storm that waits to be sorted.
_AHEAD = _j.kind != literal_column("'sort'")
_NEXT = select(_j.position).where(_DUE, _ITS_TURN).order_by(_j.due, _j.position).limit(1)
_RUN_OUT = and_(_j.state == _RUNNING, _j.lease_until <= bindparam("now"))
# A process does not take from itself: its clock may have jumped, or it may have stood still.
_ABANDONED = and_(_RUN_OUT, _j.worker != bindparam("by"))
_IS_ANY = select(exists().where(_DUE, _AHEAD), exists().where(_DUE), exists().where(_ABANDONED))
_GIVE_BACK = (
    update(JOB)
    .where(_ABANDONED)
    .values(state="waiting", attempts=_j.attempts + 1, error="its worker stopped in the middle", worker="")
)
_TAKE, _TAKE_AHEAD = (
    update(JOB)
    .where(_j.position == following.scalar_subquery())
    .values(
        state="running",
        holds=true(),
        turn=_j.turn + 1,
        worker=bindparam("by"),
        lease_until=bindparam("until"),
    )
    .returning(*_KEPT, _j.turn, _j.position, _j.due)
    for following in (_NEXT, _NEXT.where(_AHEAD))
)
_PARKED = (
    select(*_KEPT, _j.error)
    .where(_j.state == literal_column("'parked'"))
    .order_by(_j.position)
    .limit(bindparam("most", type_=Integer()))
)
_RELEASE = (
    update(JOB)
    .where(_j.id == bindparam("it"), _j.state == "parked")
    .values(state="waiting", due=bindparam("now"), attempts=0, error="")
)
_HAND = and_(_j.position == bindparam("it"), _j.turn == bindparam("of_turn"), _j.state == _RUNNING)
_RENEW = update(JOB).where(_HAND).values(lease_until=bindparam("until"))
_SETTLE = (
    update(JOB)
    .where(_HAND)
    .values(
        state=bindparam("to"),
        due=bindparam("at"),
        attempts=bindparam("failed"),
        error=bindparam("why"),
        worker="",
        lease_until=None,
    )
)


@dataclass(frozen=True, slots=True)
class InHand:
    """A job that one worker holds."""

    job: Job
    attempts: int
    turn: int
    position: int
    due: datetime


@dataclass(frozen=True, slots=True)
class ParkedJob:
    """A job that was given up, and why."""

    job: Job
    attempts: int
    error: str


class SqlQueue:
    """The jobs of one record. Its marks are small transactions of their own, never part of a change."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._watchers: list[Callable[[int], None]] = []

    def take(self, worker: str, now: datetime, lease_until: datetime, *, sorts: bool = True) -> InHand | None:
        """Take the next job that is due; what a dead worker held is due again."""
        who = {"now": now, "by": storable(worker)}
        with self._database.reading() as session:
            is_ahead, is_due, is_abandoned = session.rows(_IS_ANY, who)[0]
        if not (is_ahead or is_abandoned or (is_due and sorts)):
            return None  # looking is cheap, and holds up nobody
        hand = {**who, "until": lease_until}
        with self._database.marking() as session:
            if is_abandoned:
                session.run(_GIVE_BACK, who)
            row = session.row(_TAKE_AHEAD, hand) if is_ahead or is_abandoned else None
            if row is None and sorts:
                row = session.row(_TAKE, hand)
        if row is None:
            return None
        *kept, attempts, turn, position, due = row
        return InHand(_job(*kept), attempts, turn, position, due)

    def renew(self, taken: InHand, until: datetime) -> bool:
        """Go on holding a job; False when another worker has it."""
        with self._database.marking() as session:
            values = {"it": taken.position, "of_turn": taken.turn, "until": until}
            return session.run(_RENEW, values) == 1

    def done(self, taken: InHand) -> bool:
        """Owe it no longer; its row stays, so that the same id is never owed again."""
        return self._settle(taken, "done")

    def later(self, taken: InHand, due: datetime) -> bool:
        """Owe it again from then on, without counting this as a failure."""
        return self._settle(taken, "waiting", due=due)

    def fail(self, taken: InHand, due: datetime, error: str) -> bool:
        """Owe it again from then on, one attempt more."""
        return self._settle(taken, "waiting", due=due, failed=1, error=error)

    def park(self, taken: InHand, error: str) -> bool:
        """Give it up; it stays visible."""
        return self._settle(taken, "parked", failed=1, error=error)

    def parked(self, limit: int = 100) -> list[ParkedJob]:
        """Return the jobs that were given up, oldest first."""
        with self._database.reading() as session:
            rows = session.rows(_PARKED, {"most": limit})
        return [ParkedJob(_job(*kept), attempts, error) for *kept, attempts, error in rows]

    def release(self, job_id: str, now: datetime) -> bool:
        """Owe a parked job again, when a person has mended what was in its way."""
        with self._database.marking() as session:
            is_released = session.run(_RELEASE, {"it": job_id, "now": now}) == 1
        if is_released:
            self.wake(1)
        return is_released

    def watch(self, called: Callable[[int], None]) -> None:
        """Have a function called whenever this process owes new jobs."""
        self._watchers.append(called)

    def wake(self, count: int) -> None:
        """Tell the watchers of new jobs."""
        for called in self._watchers:
            called(count)

    def _settle(
        self, taken: InHand, state: str, *, due: datetime | None = None, failed: int = 0, error: str = ""
    ) -> bool:
        values = {
            "it": taken.position,
            "of_turn": taken.turn,
            "to": state,
            "at": due or taken.due,
            "failed": taken.attempts + failed,
            "why": storable(error)[:2000],
        }
        with self._database.marking() as session:
            return session.run(_SETTLE, values) == 1


def _job(id: str, kind: str, payload: str, lock: str, not_before: datetime | None) -> Job:
    return Job(id, JobKind(kind), json.loads(payload), lock, not_before)
