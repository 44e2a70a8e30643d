"""The embedded engine: threads of one process that drain the queue of owed jobs."""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from threading import Event as Stop
from typing import Generic

from twokey.core.errors import Unavailable
from twokey.core.jobs import JobKind
from twokey.engine.outcomes import End, Outcome, attempt
from twokey.engine.queue import Queue, Retries, T
from twokey.ports import Clock, DeadLetterHandler, JobHandler

log = logging.getLogger(__name__)

STORE_DOWN_S = 1.0
"""How long a worker waits when the record does not answer."""


class EmbeddedEngine(Generic[T]):
    """Runs owed jobs in threads; see ports.Engine.

    A job in hand is leased, and the lease renewed while it runs: when the process is killed, its jobs are
    due again as soon as their leases run out, here after a restart or in another process.
    """

    def __init__(  # one line for each thing that a test or a setting may choose
        self,
        queue: Queue[T],
        handle: JobHandler,
        parked: DeadLetterHandler,
        clock: Clock,
        *,
        workers: int = 4,
        retries: Retries | None = None,
        lease_s: float = 30.0,
        poll_s: float = 0.5,
        name: str = "",
    ) -> None:
        self._queue, self._handle, self._parked, self._clock = queue, handle, parked, clock
        self._workers, self._retries = workers, retries or Retries()
        # Sorting is work for the processor, and Python does one at a time: more would only hold up the others.
        self._may_sort = threading.Lock()
        self._lease, self._poll_s = timedelta(seconds=lease_s), poll_s
        # New with every process: what a process of this name holds, a living process holds.
        self._name = f"{name or 'engine'}-{uuid.uuid4().hex[:8]}"
        self._in_hand: dict[int, T] = {}
        self._in_hand_lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._is_running = False
        self._fault: BaseException | None = None
        self._wakeups = _Wakeups()
        queue.watch(self._wakeups.notify)

    def run(self, stop: Stop) -> None:
        """Work until told to stop; jobs in hand are finished first. A worker's own fault ends the run."""
        self._fault, self._is_running = None, True
        self._wakeups.open()
        with self._renewing():
            # Held here: a thread (or task) that nobody holds can vanish without a word.
            self._threads = [
                threading.Thread(target=self._work, name=f"{self._name}-{number}", daemon=True)
                for number in range(self._workers)
            ]
            for thread in self._threads:
                thread.start()
            while not stop.wait(0.1) and self.alive():
                pass
            self._is_running = False
            self._wakeups.close()
            for thread in self._threads:
                thread.join()
        self._threads = []
        if self._fault is not None:
            raise self._fault

    def drain(self, limit: int = 1000) -> int:
        """Run what is due now, until nothing is; return how many jobs ran."""
        with self._renewing():
            for ran in range(limit):
                if not self._run_one():
                    return ran
        return limit

    def alive(self) -> bool:
        """Say, for readiness, whether every worker is at work."""
        return self._is_running and self._fault is None and all(t.is_alive() for t in self._threads)

    def _work(self) -> None:
        try:
            while self._is_running:
                seen = self._wakeups.count
                try:
                    if not self._run_one():
                        self._wakeups.wait(seen, self._poll_s)
                except Unavailable as error:
                    log.warning("the record does not answer: %s", error)
                    self._wakeups.wait(self._wakeups.count, STORE_DOWN_S)
        except BaseException as fault:
            self._fault = fault
            log.exception("a worker died")

    def _run_one(self) -> bool:
        may_sort = self._may_sort.acquire(blocking=False)
        try:
            now = self._clock.now()
            taken = self._queue.take(self._name, now, now + self._lease, sorts=may_sort)
            if may_sort and not (taken and taken.job.kind is JobKind.SORT):
                self._may_sort.release()
                may_sort = False
                if taken:
                    self._wakeups.notify(1)  # somebody else may sort now
            if taken:
                self._run_it(taken)
            return taken is not None
        finally:
            if may_sort:
                self._may_sort.release()

    def _run_it(self, taken: T) -> None:
        key = id(taken)
        with self._in_hand_lock:
            self._in_hand[key] = taken
        try:
            outcome = attempt(taken.job, taken.attempts, self._handle, self._parked, self._retries)
            self._settle(taken, outcome)
        finally:
            with self._in_hand_lock:
                del self._in_hand[key]

    def _settle(self, taken: T, outcome: Outcome) -> None:
        """Write down how a job ended, however long the record does not answer."""
        while True:
            due = self._clock.now() + timedelta(seconds=outcome.wait_s)
            try:
                match outcome.end:
                    case End.DONE:
                        was_ours = self._queue.done(taken)
                    case End.LATER:
                        was_ours = self._queue.later(taken, due)
                    case End.FAILED:
                        was_ours = self._queue.fail(taken, due, outcome.error)
                    case End.PARKED:
                        was_ours = self._queue.park(taken, outcome.error)
                if not was_ours:
                    log.warning("job %s was taken over while it ran here", taken.job.id)
                return
            except Unavailable:
                if not self._is_running:
                    raise  # the lease runs out, and whoever comes next takes the job
                self._wakeups.wait(self._wakeups.count, STORE_DOWN_S)

    @contextmanager
    def _renewing(self) -> Iterator[None]:
        over = threading.Event()
        thread = threading.Thread(
            target=self._renew, args=(over.wait,), name=f"{self._name}-leases", daemon=True
        )
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _renew(self, is_over_within: Callable[[float], bool]) -> None:
        try:
            while not is_over_within(self._lease.total_seconds() / 3):
                with self._in_hand_lock:
                    held = list(self._in_hand.values())
                for taken in held:
                    try:
                        self._queue.renew(taken, self._clock.now() + self._lease)
                    except Unavailable as error:
                        log.warning("a lease could not be renewed: %s", error)
        except BaseException as fault:
            self._fault = fault  # work goes on without leases otherwise, and others take it over
            log.exception("nobody renews the leases any more")


class _Wakeups:
    """Wakes as many waiting workers as there are new jobs; a notification between look and wait is not missed."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._is_open = True
        self.count = 0

    def notify(self, jobs: int) -> None:
        with self._condition:
            self.count += 1
            self._condition.notify(jobs)

    def wait(self, seen: int, seconds: float) -> None:
        with self._condition:
            if self._is_open and self.count == seen:
                self._condition.wait(seconds)

    def open(self) -> None:
        with self._condition:
            self._is_open = True

    def close(self) -> None:
        with self._condition:
            self._is_open = False
            self._condition.notify_all()
