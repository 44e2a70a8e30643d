"""Time stamps: somebody outside signs the trail's head and the moment, so that nobody can write the past anew."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from twokey.core.audit import AuditEntry, TimeStamp, head_of, leaf, statement
from twokey.core.errors import RetryAfter, Tampered, TwokeyError
from twokey.core.jobs import Job, JobKind
from twokey.core.people import system
from twokey.ports import Clock, Snapshot, Store, TimeStamper

STAMPING = system("stamping")
RETRY_S = 300.0
_OWN = ("head.stamp_owed", "head.stamped", "head.stamped.again", "head.not_stamped")  # not worth a stamp
_RUN_ENDS = ("run.done", "failed", "step.failed")
_OWED = "owed"  # the row that says when a stamp was owed last
_PAGE = 1_000


@dataclass(frozen=True)
class Stamping:
    """Has the head stamped: at an interval while the trail grows, and when a run has ended."""

    store: Store
    clock: Clock
    stamper: TimeStamper
    every: timedelta

    def owe(self) -> bool:
        """Owe a stamp if one is due, and say whether it was; what is owed already is not owed again."""
        with self.store.read() as look:
            if not self._is_due(look):
                return False
        with self.store.change() as tx:
            (seq, digest), now = tx.head(), self.clock.now()
            job = Job(f"stamp:{seq}", JobKind.STAMP, {"until": (now + self.every).isoformat()})
            tx.enqueue(job)
            tx.put(TimeStamp(_OWED, seq, digest, now))
            tx.append(STAMPING, "head.stamp_owed", data={"job": job.id})
        return True

    def run(self, job: Job) -> None:
        """Ask the authority, and keep what it gives; when it does not answer, again later: no run waits for it."""
        with self.store.read() as look:
            head, text = look.head(), _text(look)
        if not text:
            return
        try:
            at, answer = self.stamper.stamp(text.encode())
        except TwokeyError as fault:
            self._was_not_given(head, fault)
            if self.clock.now() < datetime.fromisoformat(job.payload["until"]):
                raise RetryAfter(RETRY_S, "audit.stamp_waits", why=fault) from fault
            return  # the next one is owed by then
        with self.store.change() as tx:
            if tx.get(TimeStamp, f"stamp:{head[0]}"):
                tx.append(STAMPING, "head.stamped.again", data={"seq": head[0]})
                return
            tx.add(TimeStamp(f"stamp:{head[0]}", head[0], head[1], at, answer, text))
            tx.append(STAMPING, "head.stamped", data={"seq": head[0], "hash": head[1], "at": at.isoformat()})

    def overdue(self) -> datetime | None:
        """Return since when the trail has grown without a stamp, if that is longer than it should be."""
        with self.store.read() as look:
            first = next(_new(look), None)
        return first.at if first and self.clock.now() - first.at > 2 * self.every else None

    def _is_due(self, look: Snapshot) -> bool:
        now, last, owed = self.clock.now(), last_stamp(look), look.get(TimeStamp, _OWED)
        since = last.seq if last else 0
        if owed and owed.seq >= since and abs(now - owed.at) < self.every:  # a clock may have gone back
            return False
        new = _new(look)
        if last is None or abs(now - last.at) >= self.every:
            return next(new, None) is not None
        return any(entry.action in _RUN_ENDS for entry in new)

    def _was_not_given(self, head: tuple[int, str], fault: TwokeyError) -> None:
        """Put it on record once for each head that could not be stamped since the last that was."""
        with self.store.read() as look:
            name = f"fault:{_stamped_to(look)}"
            if look.get(TimeStamp, name):
                return
        with self.store.change() as tx:
            tx.put(TimeStamp(name, head[0], head[1], self.clock.now(), fault=str(fault)[:500]))
            tx.append(STAMPING, "head.not_stamped", data={"seq": head[0], "reason": str(fault)[:500]})


def last_stamp(look: Snapshot) -> TimeStamp | None:
    """Return the newest stamp that was given."""
    return next((one for one in look.find(TimeStamp, newest_first=True, limit=2) if one.token), None)


def stamps(look: Snapshot) -> list[TimeStamp]:
    """Return every stamp that was given, oldest first."""
    found: list[TimeStamp] = []
    while page := look.find(TimeStamp, skip=len(found), limit=1000):
        found += page
    return [one for one in found if one.token]


def require_stamp(look: Snapshot, stamp: TimeStamp, stamper: TimeStamper) -> datetime:
    """Return the moment of a stamp that is the authority's and over this very trail; Tampered when it is not."""
    at = stamper.check(stamp.statement.encode(), stamp.token)
    seq, digest = head_of(stamp.statement)
    entry = next(iter(look.audit(after=seq - 1, limit=1)), None)
    if entry is None or (entry.seq, entry.hash) != (seq, digest):
        raise Tampered("audit.stamp_differs", seq=seq, at=at.isoformat())
    return at


def _stamped_to(look: Snapshot) -> int:
    last = last_stamp(look)
    return last.seq if last else 0


def _text(look: Snapshot) -> str:
    """Return what would be stamped now; "" when nothing but stamps has happened since the last."""
    grown = {entry.incident_id for entry in _new(look)}
    leaves = [leaf(name, (one.hash for one in _entries(look, incident_id=name))) for name in grown - {""}]
    return statement(look.head(), leaves) if grown else ""


def _new(look: Snapshot) -> Iterator[AuditEntry]:
    """Return what has happened since the last stamp, but for what stamps themselves leave on the trail."""
    return (entry for entry in _entries(look, after=_stamped_to(look)) if entry.action not in _OWN)


def _entries(look: Snapshot, *, after: int = 0, incident_id: str = "") -> Iterator[AuditEntry]:
    while page := look.audit(incident_id=incident_id, after=after, limit=_PAGE):
        yield from page
        after = page[-1].seq
