"""The record and the engine in memory: small, and held to the same contracts as the real ones."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Event as Stop
from typing import Any, TypeVar, cast

from twokey.core.audit import GENESIS, AuditEntry, seal, verify
from twokey.core.errors import Conflict, Invalid, Json
from twokey.core.jobs import Job, JobKind, sort_jobs
from twokey.core.people import Actor
from twokey.core.signals import RawNotification
from twokey.engine.outcomes import End, attempt
from twokey.engine.queue import Retries
from twokey.ports import Clock, DeadLetterHandler, JobHandler, Noun, Snapshot, Transaction
from twokey.store import UnauditedChange
from twokey.store.chain import data_text, parsed
from twokey.store.kinds import kind_of
from twokey.store.nouns import from_text, to_text
from twokey.store.queue import ParkedJob

N = TypeVar("N", bound=Noun)
Nouns = Mapping[type[Any], Mapping[str, Any]]

# What the database's unique constraints say beyond the id.
_OTHER_UNIQUE = {"Approval": ("plan_id", "person_id"), "Incident": ("number",)}


class MemoryReading:
    """See ports.Snapshot."""

    def __init__(self, nouns: Nouns, entries: Sequence[AuditEntry]) -> None:
        self._nouns: dict[type[Any], Mapping[str, Any]] = dict(nouns)
        self._entries = list(entries)

    def get(self, kind: type[N], id: str) -> N | None:
        """Return the noun with this id."""
        kind_of(kind)
        return cast("N | None", self._nouns.get(kind, {}).get(id))

    def find(
        self,
        kind: type[N],
        /,
        *,
        limit: int = 1000,
        skip: int = 0,
        newest_first: bool = False,
        **equal: object,
    ) -> list[N]:
        """Return nouns whose indexed fields equal all that is given."""
        known = kind_of(kind)
        found = self._equal(kind, equal)
        if known.order != "position":
            found.sort(key=known.read[known.order])
        return (found[::-1] if newest_first else found)[skip : skip + limit]

    def count(self, kind: type[N], /, **equal: object) -> int:
        """Return how many nouns there are whose indexed fields equal all that is given."""
        return len(self._equal(kind, equal))

    def _equal(self, kind: type[N], equal: Mapping[str, object]) -> list[N]:
        known = kind_of(kind)
        for name in equal:
            if name not in known.fields:
                raise KeyError(f"{kind.__name__} is not indexed by {name}")
        wanted = {name: value if isinstance(value, tuple) else (value,) for name, value in equal.items()}
        return [
            noun
            for noun in self._nouns.get(kind, {}).values()
            if all(known.read[name](noun) in values for name, values in wanted.items())
        ]

    def audit(self, *, incident_id: str = "", after: int = 0, limit: int = 10_000) -> list[AuditEntry]:
        """Return audit entries in order."""
        entries = (e for e in self._entries[after:] if incident_id in ("", e.incident_id))
        return [entry for entry, _ in zip(entries, range(limit), strict=False)]

    def head(self) -> tuple[int, str]:
        """Return sequence and hash of the last audit entry."""
        return (self._entries[-1].seq, self._entries[-1].hash) if self._entries else (0, GENESIS)


class MemoryTransaction(MemoryReading):
    """See ports.Transaction."""

    def __init__(self, store: MemoryStore) -> None:
        super().__init__(store.nouns, store.entries)
        self._clock = store.clock
        self._before = len(self._entries)
        self.numbers = dict(store.numbers)
        self.owed: list[Job] = []
        self._is_changed = False

    def add(self, noun: Noun) -> None:
        """Keep a new noun."""
        if self.get(type(noun), noun.id) is not None:
            raise Conflict("store.already_there", kind=type(noun).__name__, id=noun.id)
        self.put(noun)

    def put(self, noun: Noun) -> None:
        """Keep a noun, in place of the one with its id if there is one."""
        kind, unique = type(noun), _OTHER_UNIQUE.get(type(noun).__name__, ())
        there: Mapping[str, Any] = self._nouns.get(kind_of(kind).noun, {})
        for other in there.values() if unique else ():
            if other.id != noun.id and all(getattr(other, f) == getattr(noun, f) for f in unique):
                raise Conflict("store.already_there", kind=kind.__name__, id=noun.id)
        # Through JSON, as in a database: nobody's later change of a dict changes what is kept.
        self._nouns[kind] = {**there, noun.id: from_text(kind, to_text(noun))}
        self._is_changed = True

    def append(
        self,
        actor: Actor,
        action: str,
        *,
        incident_id: str = "",
        plan_id: str = "",
        data: Mapping[str, Json] | None = None,
    ) -> AuditEntry:
        """Write the audit entry of this change."""
        seq, previous = self.head()
        plain = parsed(data_text(data))
        entry = AuditEntry(seq + 1, self._clock.now(), actor, action, incident_id, plan_id, plain)
        self._entries.append(seal(entry, previous))
        return self._entries[-1]

    def enqueue(self, job: Job) -> None:
        """Owe a job; the same id twice owes it once."""
        self.owed.append(job)
        self._is_changed = True

    def next_number(self, name: str) -> int:
        """Return the next number of a counter."""
        self.numbers[name] = self.numbers.get(name, 0) + 1
        self._is_changed = True
        return self.numbers[name]

    def result(self) -> tuple[Nouns, list[AuditEntry]]:
        """Return what is to be kept, or refuse a change without its audit entry."""
        if self._is_changed and len(self._entries) == self._before:
            raise UnauditedChange("a change without an audit entry is not kept")
        return self._nouns, self._entries


class MemoryStore:
    """See ports.Store."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.nouns: Nouns = {}
        self.entries: list[AuditEntry] = []
        self.numbers: dict[str, int] = {}
        self._queue = MemoryQueue(clock)
        self._lock = threading.Lock()
        self._owner: int | None = None

    @contextmanager
    def read(self) -> Iterator[Snapshot]:
        """Look without changing."""
        yield MemoryReading(self.nouns, self.entries)

    @contextmanager
    def change(self, *, patient: bool = False) -> Iterator[Transaction]:
        """Change something; here nobody is let go first."""
        if self._owner == threading.get_ident():
            raise RuntimeError("a change inside a change: finish the first one")
        with self._lock:
            self._owner = threading.get_ident()
            try:
                transaction = MemoryTransaction(self)
                yield transaction
                self.nouns, self.entries = transaction.result()
                self.numbers = transaction.numbers
                new = self._queue.owe(transaction.owed)
            finally:
                self._owner = None
        if new:
            self._queue.wake(new)

    def receive(self, notifications: Sequence[RawNotification], actor: Actor) -> list[str]:
        """Keep a batch of notifications."""
        kept, bad = [], []
        with self.change() as change:
            for raw in notifications:
                try:
                    change.add(raw)
                except Conflict:
                    continue
                except (TypeError, ValueError, AttributeError, KeyError):
                    bad.append(str(getattr(raw, "id", "?")))
                    continue
                told: dict[str, Json] = {"source": raw.source, "raw": raw.id, "size": len(raw.body)}
                told["sha256"] = hashlib.sha256(raw.body).hexdigest()
                change.append(actor, "received", data=told)
                kept.append(raw.id)
            for job in sort_jobs(kept):
                change.enqueue(job)
        if bad:
            raise Invalid("store.not_kept", ids=", ".join(bad)[:500], kept=len(kept))
        return kept

    def jobs(self) -> MemoryQueue:
        """Return the queue of owed jobs."""
        return self._queue

    def verify(self, *, head: tuple[int, str] | None = None) -> tuple[int, str]:
        """Prove the whole audit trail."""
        return verify(self.entries, head=head)

    def close(self) -> None:
        """Do nothing: there is nothing to give back."""


@dataclass
class Owed:
    """One job and where it stands."""

    job: Job
    due: datetime
    holds: bool
    state: str = "waiting"
    attempts: int = 0
    turn: int = 0
    worker: str = ""
    lease_until: datetime | None = None
    error: str = ""


@dataclass(frozen=True)
class InHand:
    """One job in one worker's hand."""

    owed: Owed = field(repr=False)
    job: Job
    attempts: int
    turn: int


class MemoryQueue:
    """See engine.queue.Queue."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._owed: dict[str, Owed] = {}
        self._lock = threading.Lock()
        self._watchers: list[Callable[[int], None]] = []

    def owe(self, jobs: Sequence[Job]) -> int:
        """Owe jobs; return how many were never owed before."""
        now = self._clock.now()
        with self._lock:
            before = len(self._owed)
            for job in jobs:
                self._owed.setdefault(job.id, Owed(job, job.not_before or now, job.not_before is None))
            return len(self._owed) - before

    def take(self, worker: str, now: datetime, lease_until: datetime, *, sorts: bool = True) -> InHand | None:
        """Take the next job that is due."""
        with self._lock:
            for owed in self._owed.values():
                if _is_abandoned(owed, worker, now):
                    owed.state, owed.attempts = "waiting", owed.attempts + 1
            due = [owed for owed in self._owed.values() if owed.state == "waiting" and owed.due <= now]
            for owed in sorted(due, key=lambda one: (one.job.kind is JobKind.SORT, one.due)):
                if self._is_its_turn(owed, now) and (sorts or owed.job.kind is not JobKind.SORT):
                    owed.state, owed.holds, owed.turn = "running", True, owed.turn + 1
                    owed.worker, owed.lease_until = worker, lease_until
                    return InHand(owed, owed.job, owed.attempts, owed.turn)
        return None

    def _is_its_turn(self, owed: Owed, now: datetime) -> bool:
        is_earlier = True
        for other in self._owed.values():
            if other is owed:
                is_earlier = False
            elif other.job.lock == owed.job.lock != "":
                waits = other.state == "waiting" and is_earlier and (other.holds or other.due <= now)
                if other.state == "running" or waits:
                    return False
        return True

    def renew(self, taken: InHand, until: datetime) -> bool:
        """Go on holding a job."""
        return self._settle(taken, "running", lease_until=until)

    def done(self, taken: InHand) -> bool:
        """Owe it no longer."""
        return self._settle(taken, "done")

    def later(self, taken: InHand, due: datetime) -> bool:
        """Owe it again from then on."""
        return self._settle(taken, "waiting", due=due)

    def fail(self, taken: InHand, due: datetime, error: str) -> bool:
        """Owe it again from then on, one attempt more."""
        return self._settle(taken, "waiting", due=due, attempts=taken.attempts + 1, error=error)

    def park(self, taken: InHand, error: str) -> bool:
        """Give it up."""
        return self._settle(taken, "parked", attempts=taken.attempts + 1, error=error)

    def parked(self, limit: int = 100) -> list[ParkedJob]:
        """Return the jobs that were given up."""
        with self._lock:
            given_up = [owed for owed in self._owed.values() if owed.state == "parked"]
        return [ParkedJob(owed.job, owed.attempts, owed.error) for owed in given_up[:limit]]

    def release(self, job_id: str, now: datetime) -> bool:
        """Owe a parked job again."""
        with self._lock:
            owed = self._owed.get(job_id)
            if owed is None or owed.state != "parked":
                return False
            owed.state, owed.due, owed.attempts, owed.error = "waiting", now, 0, ""
        self.wake(1)
        return True

    def _settle(self, taken: InHand, state: str, **values: object) -> bool:
        with self._lock:
            owed = taken.owed
            if owed.state != "running" or owed.turn != taken.turn:
                return False
            owed.state = state
            for name, value in values.items():
                setattr(owed, name, value)
            return True

    def watch(self, called: Callable[[int], None]) -> None:
        """Have a function called whenever jobs were owed."""
        self._watchers.append(called)

    def wake(self, count: int) -> None:
        """Tell the watchers of new jobs."""
        for called in self._watchers:
            called(count)


def _is_abandoned(owed: Owed, worker: str, now: datetime) -> bool:
    is_run_out = owed.lease_until is not None and owed.lease_until <= now
    return owed.state == "running" and is_run_out and owed.worker != worker


class MemoryEngine:
    """Runs the jobs of a MemoryStore one after the other, on the thread that asks. See ports.Engine."""

    def __init__(
        self,
        store: MemoryStore,
        handle: JobHandler,
        parked: DeadLetterHandler,
        clock: Clock,
        retries: Retries | None = None,
    ) -> None:
        self._queue, self._handle, self._parked, self._clock = store.jobs(), handle, parked, clock
        self._retries = retries or Retries()
        self._is_running = False

    def run(self, stop: Stop) -> None:
        """Work until told to stop."""
        self._is_running = True
        while not stop.wait(0.01):
            self.drain()
        self._is_running = False

    def alive(self) -> bool:
        """Say whether it is at work."""
        return self._is_running

    def drain(self, limit: int = 1000) -> int:
        """Run what is due now, until nothing is; return how many jobs ran."""
        for ran in range(limit):
            now = self._clock.now()
            taken = self._queue.take("memory", now, now + timedelta(minutes=1))
            if taken is None:
                return ran
            outcome = attempt(taken.job, taken.attempts, self._handle, self._parked, self._retries)
            due = self._clock.now() + timedelta(seconds=outcome.wait_s)
            if outcome.end is End.DONE:
                self._queue.done(taken)
            elif outcome.end is End.LATER:
                self._queue.later(taken, due)
            elif outcome.end is End.FAILED:
                self._queue.fail(taken, due, outcome.error)
            else:
                self._queue.park(taken, outcome.error)
        return limit
