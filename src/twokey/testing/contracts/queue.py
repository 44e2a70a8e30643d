"""What every queue of owed jobs must keep to: sub-class QueueContract and give it a `store` and a `clock` fixture."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from twokey.core.jobs import Job, JobKind
from twokey.core.people import system
from twokey.testing.clocks import SettableClock

FLOW = system("flow")


class QueueContract:
    """The promises of engine.queue.Queue: give it `store` and `clock` fixtures."""

    def owe(self, store: Any, *jobs: Job) -> Any:
        """Owe jobs and return the queue."""
        with store.change() as change:
            for job in jobs:
                change.enqueue(job)
            change.append(FLOW, "owed")
        return store.jobs()

    def take(self, queue: Any, clock: SettableClock, worker: str = "w", lease_s: float = 30.0) -> Any:
        """Take what is due now."""
        return queue.take(worker, clock.now(), clock.now() + timedelta(seconds=lease_s))

    def test_what_people_wait_for_goes_ahead_of_sorting(self, store: Any, clock: SettableClock) -> None:
        sorting = [Job(f"s{n}", JobKind.SORT, {"raw_id": f"{n}"}) for n in range(3)]
        queue = self.owe(
            store, *sorting, Job("run", JobKind.EXECUTE, {}, "INC-1"), Job("draft", JobKind.DRAFT)
        )
        assert [self.take(queue, clock).job.id for _ in range(5)] == ["run", "draft", "s0", "s1", "s2"]

    def test_one_that_may_not_sort_takes_the_others(self, store: Any, clock: SettableClock) -> None:
        queue = self.owe(
            store, Job("s0", JobKind.SORT, {"raw_id": "0"}), Job("run", JobKind.EXECUTE, {}, "a")
        )
        self.owe(store, Job("next", JobKind.EXECUTE, {}, "a"))
        until = clock.now() + timedelta(seconds=30)
        assert queue.take("w", clock.now(), until, sorts=False).job.id == "run"
        assert queue.take("w", clock.now(), until, sorts=False) is None  # its turn is not yet
        assert queue.take("w", clock.now(), until).job.id == "s0"

    def test_jobs_come_in_the_order_they_were_owed(self, store: Any, clock: SettableClock) -> None:
        queue = self.owe(store, *(Job(f"j{n}", JobKind.DRAFT) for n in range(5)))
        assert [self.take(queue, clock).job.id for _ in range(5)] == [f"j{n}" for n in range(5)]
        assert self.take(queue, clock) is None

    def test_one_job_at_a_time_per_lock(self, store: Any, clock: SettableClock) -> None:
        queue = self.owe(
            store, *(Job(f"{lock}{n}", JobKind.DRAFT, lock=lock) for n in (1, 2) for lock in "ab")
        )
        a1, b1 = self.take(queue, clock), self.take(queue, clock)
        assert (a1.job.id, b1.job.id) == ("a1", "b1")
        assert self.take(queue, clock) is None
        assert queue.done(a1)
        assert self.take(queue, clock).job.id == "a2"
        assert self.take(queue, clock) is None

    def test_a_job_that_waits_for_another_try_keeps_its_place(self, store: Any, clock: SettableClock) -> None:
        queue = self.owe(store, Job("first", JobKind.DRAFT, lock="a"), Job("second", JobKind.DRAFT, lock="a"))
        queue.later(self.take(queue, clock), clock.now() + timedelta(seconds=5))
        assert self.take(queue, clock) is None
        clock.advance(5)
        assert self.take(queue, clock).job.id == "first"

    def test_an_appointment_holds_up_nobody_before_its_time(self, store: Any, clock: SettableClock) -> None:
        then = clock.now() + timedelta(minutes=30)
        queue = self.owe(
            store,
            Job("expire", JobKind.EXPIRE, lock="a", not_before=then),
            Job("execute", JobKind.EXECUTE, lock="a"),
        )
        taken = self.take(queue, clock, lease_s=9999)
        assert taken.job.id == "execute"
        clock.advance(1800)
        assert self.take(queue, clock) is None
        queue.done(taken)
        assert self.take(queue, clock).job == Job("expire", JobKind.EXPIRE, {}, "a", then)

    def test_a_parked_job_frees_its_lock_and_stays_visible(self, store: Any, clock: SettableClock) -> None:
        queue = self.owe(store, Job("bad", JobKind.DRAFT, lock="a"), Job("next", JobKind.DRAFT, lock="a"))
        queue.park(self.take(queue, clock), "Refused: no \0")
        assert self.take(queue, clock).job.id == "next"
        parked = queue.parked()
        assert [(p.job.id, p.attempts) for p in parked] == [("bad", 1)]
        assert "Refused" in parked[0].error
        assert queue.release("bad", clock.now())
        assert not queue.release("bad", clock.now())
        assert queue.parked() == []

    def test_failures_are_counted_and_waiting_is_not(self, store: Any, clock: SettableClock) -> None:
        queue = self.owe(store, Job("j", JobKind.DRAFT))
        taken = self.take(queue, clock)
        queue.later(taken, clock.now())
        taken = self.take(queue, clock)
        assert taken.attempts == 0
        queue.fail(taken, clock.now() + timedelta(seconds=1), "boom")
        assert self.take(queue, clock) is None
        clock.advance(1)
        assert self.take(queue, clock).attempts == 1

    def test_a_lease_that_ran_out_is_taken_over_and_counts(self, store: Any, clock: SettableClock) -> None:
        queue = self.owe(store, Job("j", JobKind.DRAFT, lock="a"), Job("k", JobKind.DRAFT, lock="a"))
        old = self.take(queue, clock, "dead", 30)
        clock.advance(29)
        assert self.take(queue, clock, "other") is None
        clock.advance(1)
        new = self.take(queue, clock, "other")
        assert (new.job.id, new.attempts) == ("j", 1)
        assert not queue.done(old)
        assert not queue.renew(old, clock.now())
        assert not queue.fail(old, clock.now(), "late")
        assert queue.done(new)
        assert not queue.done(new)

    def test_a_renewed_lease_is_not_taken_over(self, store: Any, clock: SettableClock) -> None:
        queue = self.owe(store, Job("j", JobKind.DRAFT))
        taken = self.take(queue, clock, "busy", 30)
        clock.advance(29)
        assert queue.renew(taken, clock.now() + timedelta(seconds=30))
        clock.advance(29)
        assert self.take(queue, clock, "other") is None

    def test_a_worker_never_takes_from_itself_when_its_clock_jumps(
        self, store: Any, clock: SettableClock
    ) -> None:
        queue = self.owe(store, Job("j", JobKind.DRAFT))
        taken = self.take(queue, clock, "w")
        clock.advance(3600)
        assert self.take(queue, clock, "w") is None
        assert queue.done(taken)
