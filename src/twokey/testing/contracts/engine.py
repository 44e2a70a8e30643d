"""What every engine must keep to: sub-class EngineContract and give it a `bench` fixture."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from twokey.core.errors import LostLease, Refused, RetryAfter, Unavailable
from twokey.core.jobs import Job, JobKind
from twokey.core.people import system
from twokey.engine.queue import Retries
from twokey.ports import Clock, DeadLetterHandler, JobHandler

QUICK = Retries(attempts=3, first_s=0.05, longest_s=0.1)


@dataclass
class Bench:
    """A record, its clock, and how to make an engine over it: `make(handle, parked, retries)`."""

    store: Any
    clock: Clock
    make: Callable[[JobHandler, DeadLetterHandler, Retries], Any]
    is_parallel: bool = True

    def owe(self, *jobs: Job) -> None:
        """Owe jobs in one change."""
        with self.store.change() as change:
            for job in jobs:
                change.enqueue(job)
            change.append(system("flow"), "owed")


@dataclass
class Diary:
    """A handler that writes down what it ran, and does for a job id what the test says."""

    does: dict[str, Callable[[], None]] = field(default_factory=dict)
    ran: list[str] = field(default_factory=list)
    parked: list[tuple[str, str]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def handle(self, job: Job) -> None:
        """Run a job."""
        with self._lock:
            self.ran.append(job.id)
        self.does.get(job.id, _nothing)()

    def give_up(self, job: Job, error: Exception) -> None:
        """Note a job that was given up."""
        with self._lock:
            self.parked.append((job.id, type(error).__name__))


def _nothing() -> None:
    return


class Times:
    """Raises an exception the first times it is called."""

    def __init__(self, times: int, error: Exception) -> None:
        self._left, self._error = times, error

    def __call__(self) -> None:
        """Raise, or do nothing any more."""
        self._left -= 1
        if self._left >= 0:
            raise self._error


def eventually(is_true: Callable[[], bool], within_s: float = 20.0) -> None:
    """Wait until something is true."""
    end = time.monotonic() + within_s
    while not is_true():
        assert time.monotonic() < end, "it did not become true"
        time.sleep(0.01)


@contextmanager
def at_work(engine: Any) -> Iterator[Any]:
    """Let an engine work in a thread until the block ends, and require that it stops when told."""
    stop, faults = threading.Event(), list[BaseException]()

    def run() -> None:
        try:
            engine.run(stop)
        except BaseException as fault:
            faults.append(fault)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield engine
    finally:
        stop.set()
        thread.join(20)
        assert not thread.is_alive(), "the engine did not stop"
    assert not faults, faults


def jobs(count: int, lock: str = "", prefix: str = "j") -> Sequence[Job]:
    """Make jobs in order."""
    return [Job(f"{prefix}{n}", JobKind.DRAFT, {"n": str(n)}, lock=lock) for n in range(count)]


class EngineContract:
    """The promises of ports.Engine and of the words that a handler may say."""

    def test_owed_jobs_run_once_each(self, bench: Bench) -> None:
        diary = Diary()
        engine = bench.make(diary.handle, diary.give_up, QUICK)
        bench.owe(*jobs(5))
        assert engine.drain() == 5
        assert diary.ran == [f"j{n}" for n in range(5)]
        assert engine.drain() == 0

    def test_a_job_arrives_as_it_was_owed(self, bench: Bench) -> None:
        seen: list[Job] = []
        owed = [
            Job("free", JobKind.SORT, {"raw_id": "raw-1"}),
            Job(
                "locked", JobKind.EXECUTE, {"plan_id": "\x00 \ud800 'é"}, lock="INC-1 \ud800\x00" + "x" * 4000
            ),
            Job("timed", JobKind.EXPIRE, {}, "INC-1", bench.clock.now() - timedelta(seconds=1)),
        ]
        engine = bench.make(seen.append, lambda job, error: None, QUICK)
        bench.owe(*owed)
        engine.drain()
        # What a lock is made from is nobody's business but the engine's.
        plain = [replace(job, lock="") for job in sorted(seen, key=lambda job: job.id)]
        assert plain == [replace(job, lock="") for job in owed]

    def test_what_people_wait_for_goes_ahead_of_a_storm(self, bench: Bench) -> None:
        diary = Diary()
        engine = bench.make(diary.handle, diary.give_up, QUICK)
        storm = [Job(f"s{n}", JobKind.SORT, {"raw_id": f"{n}"}) for n in range(20)]
        bench.owe(*storm, Job("run", JobKind.EXECUTE, {"plan_id": "p"}, "INC-1"))
        engine.drain()
        assert diary.ran == ["run", *(job.id for job in storm)]

    def test_a_run_that_takes_long_holds_up_no_sorting(self, bench: Bench) -> None:
        begun, may_end = threading.Event(), threading.Event()

        def long() -> None:
            begun.set()
            assert may_end.wait(20)

        diary = Diary(does={"run": long})
        with at_work(bench.make(diary.handle, diary.give_up, QUICK)):
            bench.owe(Job("run", JobKind.EXECUTE, {"plan_id": "p"}, "INC-1"))
            assert begun.wait(20)
            for number in range(3):
                bench.owe(Job(f"s{number}", JobKind.SORT, {"raw_id": f"{number}"}))
            eventually(lambda: len(diary.ran) == 4)
            may_end.set()

    def test_the_limit_of_a_drain_is_kept(self, bench: Bench) -> None:
        diary = Diary()
        engine = bench.make(diary.handle, diary.give_up, QUICK)
        bench.owe(*jobs(5))
        assert engine.drain(limit=2) == 2
        assert engine.drain() == 3

    def test_a_job_that_a_job_owes_runs_in_the_same_drain(self, bench: Bench) -> None:
        diary = Diary(does={"j0": lambda: bench.owe(Job("next", JobKind.DRAFT))})
        engine = bench.make(diary.handle, diary.give_up, QUICK)
        bench.owe(*jobs(1))
        assert engine.drain() == 2
        assert diary.ran == ["j0", "next"]

    def test_jobs_of_a_change_that_was_not_kept_never_run(self, bench: Bench) -> None:
        diary = Diary()
        engine = bench.make(diary.handle, diary.give_up, QUICK)
        for outcome in (True, False, True):
            try:
                with bench.store.change() as change:
                    change.enqueue(Job(f"{outcome}", JobKind.DRAFT))
                    change.append(system("flow"), "owed")
                    if not outcome:
                        raise ZeroDivisionError
            except ZeroDivisionError:
                continue
        engine.drain()
        assert diary.ran == ["True"]

    def test_the_same_id_is_owed_once_even_when_it_has_run(self, bench: Bench) -> None:
        diary = Diary()
        engine = bench.make(diary.handle, diary.give_up, QUICK)
        bench.owe(*jobs(1), *jobs(1))
        bench.owe(*jobs(1))
        assert engine.drain() == 1
        bench.owe(*jobs(1))
        assert engine.drain() == 0

    def test_later_runs_again_and_is_no_failure(self, bench: Bench) -> None:
        again = Times(6, RetryAfter(0.02))  # more often than a failure would be forgiven
        diary = Diary(does={"j0": again})
        engine = bench.make(diary.handle, diary.give_up, QUICK)
        bench.owe(*jobs(1))
        with at_work(engine):
            eventually(lambda: diary.ran == ["j0"] * 7)
        assert diary.parked == []

    def test_later_waits_as_long_as_it_says(self, bench: Bench) -> None:
        moments: list[float] = []

        def handle(job: Job) -> None:
            moments.append(time.monotonic())
            if len(moments) == 1:
                raise RetryAfter(0.6)

        engine = bench.make(handle, lambda job, error: None, QUICK)
        bench.owe(*jobs(1))
        with at_work(engine):
            eventually(lambda: len(moments) == 2)
        assert moments[1] - moments[0] >= 0.59

    def test_an_expected_error_parks_the_job_and_tells_people_once(self, bench: Bench) -> None:
        diary = Diary(does={"j0": Times(9, Refused("refused.bot", user="x"))})
        engine = bench.make(diary.handle, diary.give_up, QUICK)
        bench.owe(*jobs(2, lock="a"))
        with at_work(engine):
            eventually(lambda: diary.ran == ["j0", "j1"])
        assert diary.parked == [("j0", "Refused")]
        assert engine.drain() == 0

    def test_a_fault_is_tried_again_then_parked(self, bench: Bench) -> None:
        diary = Diary(does={"j0": Times(2, KeyError("x")), "j1": Times(99, KeyError("y"))})
        engine = bench.make(diary.handle, diary.give_up, QUICK)
        bench.owe(*jobs(2))
        with at_work(engine):
            eventually(lambda: diary.parked != [] and diary.ran.count("j0") == 3)
        assert diary.parked == [("j1", "KeyError")]
        assert diary.ran.count("j1") == QUICK.attempts

    def test_what_is_unavailable_is_worth_another_try(self, bench: Bench) -> None:
        diary = Diary(does={"j0": Times(2, Unavailable("store.unavailable", reason="locked"))})
        engine = bench.make(diary.handle, diary.give_up, QUICK)
        bench.owe(*jobs(1))
        with at_work(engine):
            eventually(lambda: diary.ran == ["j0"] * 3)
        assert diary.parked == []

    def test_a_run_that_another_worker_took_over_is_left_alone(self, bench: Bench) -> None:
        diary = Diary(does={"j0": Times(1, LostLease("execution.lost"))})
        engine = bench.make(diary.handle, diary.give_up, QUICK)
        bench.owe(*jobs(1))
        engine.drain()
        assert diary.ran == ["j0"]
        assert diary.parked == []

    def test_when_telling_fails_the_job_is_not_given_up_in_silence(self, bench: Bench) -> None:
        told = Times(1, OSError("chat is down"))
        parked: list[str] = []

        def give_up(job: Job, error: Exception) -> None:
            told()
            parked.append(job.id)

        diary = Diary(does={"j0": Times(99, Refused("refused.bot"))})
        engine = bench.make(diary.handle, give_up, QUICK)
        bench.owe(*jobs(1))
        with at_work(engine):
            eventually(lambda: parked == ["j0"])
        assert diary.ran == ["j0", "j0"]

    def test_jobs_of_one_lock_run_in_order_and_one_at_a_time(self, bench: Bench) -> None:
        running, overlaps, order = set[str](), list[str](), dict[str, list[str]]()
        lock = threading.Lock()

        def handle(job: Job) -> None:
            with lock:
                overlaps.extend(other for other in running if other == job.lock)
                running.add(job.lock)
                order.setdefault(job.lock, []).append(job.id)
            time.sleep(0.005)
            with lock:
                running.discard(job.lock)

        engine = bench.make(handle, lambda job, error: None, QUICK)
        for n in range(8):
            bench.owe(*(Job(f"{name}{n}", JobKind.DRAFT, lock=name) for name in "abc"))
        with at_work(engine):
            eventually(lambda: sum(map(len, order.values())) == 24)
        assert overlaps == []
        assert order == {name: [f"{name}{n}" for n in range(8)] for name in "abc"}

    def test_a_job_that_waits_for_another_try_holds_its_lock_and_no_other(self, bench: Bench) -> None:
        diary = Diary(does={"j0": Times(1, RetryAfter(0.5))})
        engine = bench.make(diary.handle, diary.give_up, QUICK)
        bench.owe(*jobs(2, lock="a"), *jobs(1, lock="b", prefix="other"))
        with at_work(engine):
            eventually(lambda: len(diary.ran) == 4)
        assert diary.ran.index("other0") < diary.ran.index("j1")
        assert [ran for ran in diary.ran if ran != "other0"] == ["j0", "j0", "j1"]

    def test_an_appointment_runs_at_its_time_and_holds_up_nobody(self, bench: Bench) -> None:
        diary = Diary()
        engine = bench.make(diary.handle, diary.give_up, QUICK)
        then = bench.clock.now() + timedelta(seconds=0.8)
        bench.owe(
            Job("expire", JobKind.EXPIRE, lock="a", not_before=then),
            Job("free", JobKind.EXPIRE, not_before=then),
            Job("execute", JobKind.EXECUTE, lock="a"),
        )
        assert engine.drain() == 1
        assert diary.ran == ["execute"]
        with at_work(engine):
            eventually(lambda: len(diary.ran) == 3)
        assert bench.clock.now() >= then
        assert sorted(diary.ran[1:]) == ["expire", "free"]

    def test_different_locks_run_side_by_side(self, bench: Bench) -> None:
        if not bench.is_parallel:
            return
        together = threading.Barrier(2, timeout=10)
        met: list[str] = []

        def handle(job: Job) -> None:
            together.wait()
            met.append(job.id)

        engine = bench.make(handle, lambda job, error: None, QUICK)
        bench.owe(Job("a", JobKind.DRAFT, lock="a"), Job("b", JobKind.DRAFT, lock="b"))
        with at_work(engine):
            eventually(lambda: len(met) == 2)

    def test_new_work_is_begun_at_once(self, bench: Bench) -> None:
        begun: list[float] = []
        engine = bench.make(lambda job: begun.append(time.monotonic()), lambda job, error: None, QUICK)
        with at_work(engine):
            eventually(engine.alive)
            time.sleep(0.2)
            delays = []
            for n in range(5):
                owed = time.monotonic()
                bench.owe(Job(f"j{n}", JobKind.DRAFT))
                eventually(lambda n=n: len(begun) == n + 1)  # type: ignore[misc]
                delays.append(begun[n] - owed)
        assert sorted(delays)[2] < 0.3  # well below any polling; the median, as the machine is shared

    def test_stopping_finishes_the_job_in_hand(self, bench: Bench) -> None:
        begun, finished = threading.Event(), list[str]()

        def handle(job: Job) -> None:
            begun.set()
            time.sleep(0.5)
            finished.append(job.id)

        engine = bench.make(handle, lambda job, error: None, QUICK)
        bench.owe(*jobs(1))
        with at_work(engine):
            assert begun.wait(20)
        assert finished == ["j0"]
        assert not engine.alive()
        assert engine.drain() == 0
