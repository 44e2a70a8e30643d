"""Workers die, stand still and come back: a job is taken over, and one lock never has two workers at once."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from procrastinate.schema import migrations_path

from tests.lab.postgres import Postgres
from twokey.core.jobs import Job, JobKind
from twokey.core.people import system
from twokey.engine import EmbeddedEngine, Retries
from twokey.engine.procrastinate import ProcrastinateEngine, defer_jobs, prepare
from twokey.store import open_store
from twokey.testing.clocks import SystemClock
from twokey.testing.contracts.engine import QUICK, Diary, at_work, eventually
from twokey.testing.memory import MemoryStore

LEASE_S = 1.5

# One worker process: it writes what it does, with the machine's own monotonic time, into a file.
WORKER = textwrap.dedent(
    """
    import os, signal, sys, threading, time
    from twokey.engine import EmbeddedEngine, Retries
    from twokey.store import open_store
    from twokey.testing.clocks import SystemClock

    kind, url, path, lease_s = sys.argv[1], sys.argv[2], sys.argv[3], float(sys.argv[4])
    clock, stop, retries = SystemClock(), threading.Event(), Retries(attempts=3, first_s=0.05, longest_s=0.1)
    signal.signal(signal.SIGTERM, lambda *_: stop.set())

    def say(what, job):
        with open(path, "a") as file:
            file.write(f"{what} {job.id} {job.lock or '-'} {os.getpid()} {time.monotonic()}\\n")

    def handle(job):
        say("begin", job)
        if job.payload.get("dies"):
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(float(job.payload.get("sleep_s", 0.01)))
        say("end", job)

    def parked(job, error):
        say("parked", job)

    if kind == "embedded":
        store = open_store(url, clock)
        engine = EmbeddedEngine(store.jobs(), handle, parked, clock, workers=2, lease_s=lease_s,
                                retries=retries, poll_s=0.1)
    else:
        from twokey.engine.procrastinate import ProcrastinateEngine
        engine = ProcrastinateEngine(url, handle, parked, clock, retries=retries, workers=2, heartbeat_s=lease_s / 4,
                                     silent_s=lease_s, rescue="* * * * * *", poll_s=0.1)
    say("ready", type("J", (), {"id": "-", "lock": "-"}))
    engine.run(stop)
    """
)


@dataclass(frozen=True)
class Line:
    """One thing that a worker did."""

    what: str
    job: str
    lock: str
    pid: int
    at: float


@dataclass
class Workshop:
    """Worker processes over one record."""

    kind: str
    url: str
    log: Path
    store: Any
    lease_s: float = LEASE_S
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def hire(self) -> subprocess.Popen[bytes]:
        """Start a worker and wait until it is ready."""
        before = len(self.said("ready"))
        arguments = [self.kind, self.url, str(self.log), str(self.lease_s)]
        worker = subprocess.Popen([sys.executable, "-c", WORKER, *arguments])
        self.workers.append(worker)
        eventually(lambda: len(self.said("ready")) > before)
        return worker

    def owe(self, *jobs: Job) -> None:
        """Owe jobs."""
        with self.store.change() as change:
            for job in jobs:
                change.enqueue(job)
            change.append(system("flow"), "owed")

    def said(self, what: str = "") -> list[Line]:
        """Return what the workers did so far."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        parts = (line.split() for line in lines)
        made = [Line(p[0], p[1], p[2], int(p[3]), float(p[4])) for p in parts if len(p) == 5]
        return [line for line in made if what in ("", line.what)]

    def dismiss(self) -> None:
        """End every worker."""
        for worker in self.workers:
            worker.kill()
            worker.wait()
        self.store.close()


@pytest.fixture(params=["embedded", "procrastinate"])
def workshop(request: pytest.FixtureRequest, tmp_path: Path, clock: SystemClock) -> Iterator[Workshop]:
    """A workshop with either engine."""
    if request.param == "embedded":
        url = f"sqlite:///{tmp_path / 'record.db'}"
        store = open_store(url, clock)
    else:
        server: Postgres = request.getfixturevalue("postgres")
        url = server.migrated()
        store = open_store(url, clock, defer=defer_jobs)
    made = Workshop(request.param, url, tmp_path / "log", store)
    yield made
    made.dismiss()


def test_a_killed_workers_job_is_taken_over(workshop: Workshop) -> None:
    first = workshop.hire()
    workshop.owe(
        Job("long", JobKind.EXECUTE, {"sleep_s": "600"}, lock="a"), Job("next", JobKind.DRAFT, lock="a")
    )
    eventually(lambda: len(workshop.said("begin")) == 1)
    killed = time.monotonic()
    first.kill()
    workshop.hire()
    eventually(lambda: len(workshop.said("begin")) == 2)
    again = workshop.said("begin")[1]
    assert again.job == "long"
    assert again.at - killed >= LEASE_S / 2  # not before the silence was long enough


def test_a_long_job_keeps_its_lease_while_its_worker_lives(workshop: Workshop) -> None:
    workshop.hire()
    workshop.hire()
    workshop.owe(Job("long", JobKind.EXECUTE, {"sleep_s": str(LEASE_S * 2.5)}, lock="a"))
    eventually(lambda: len(workshop.said("end")) == 1)
    assert len(workshop.said("begin")) == 1


def test_a_job_that_kills_its_worker_every_time_is_parked(workshop: Workshop) -> None:
    workshop.owe(Job("poison", JobKind.EXECUTE, {"dies": "yes"}))
    for _ in range(3):
        worker = workshop.hire()
        assert worker.wait(30) == -signal.SIGKILL
    workshop.owe(Job("other", JobKind.DRAFT))
    workshop.hire()
    eventually(lambda: [line.job for line in workshop.said("parked")] == ["poison"])
    assert len([line for line in workshop.said("begin") if line.job == "poison"]) == 3
    eventually(lambda: "other" in [line.job for line in workshop.said("end")])


def test_several_processes_keep_the_order_and_never_share_a_lock(workshop: Workshop) -> None:
    workshop.hire()
    workshop.hire()
    for n in range(12):
        try:
            with workshop.store.change() as change:
                for lock in "abc":
                    change.enqueue(Job(f"{lock}{n}", JobKind.EXECUTE, {"sleep_s": "0.02"}, lock=lock))
                change.append(system("flow"), "owed")
                if n % 4 == 3:
                    raise ZeroDivisionError
        except ZeroDivisionError:
            continue
    eventually(lambda: len(workshop.said("end")) >= 27, within_s=40)
    kept = [n for n in range(12) if n % 4 != 3]
    for lock in "abc":
        done = [line for line in workshop.said() if line.lock == lock]
        assert [(line.what, line.job) for line in done] == [
            (what, f"{lock}{n}") for n in kept for what in ("begin", "end")
        ]
    assert len({line.pid for line in workshop.said("begin")}) == 2


def test_a_worker_that_stood_still_cannot_settle_what_was_taken_over(workshop: Workshop) -> None:
    """The one that comes back ends its job while the other still runs it: the lock must stay taken."""
    first = workshop.hire()
    workshop.owe(
        Job("long", JobKind.EXECUTE, {"sleep_s": "4"}, lock="a"), Job("next", JobKind.DRAFT, lock="a")
    )
    eventually(lambda: len(workshop.said("begin")) == 1)
    first.send_signal(signal.SIGSTOP)
    workshop.hire()
    eventually(lambda: len(workshop.said("begin")) == 2)
    first.send_signal(signal.SIGCONT)  # it has slept its time by now, or soon will have: it ends first
    eventually(lambda: len([line for line in workshop.said("end") if line.job == "next"]) == 1, within_s=40)
    second_end = max(line.at for line in workshop.said("end") if line.job == "long" and line.pid != first.pid)
    next_begin = min(line.at for line in workshop.said("begin") if line.job == "next")
    assert next_begin >= second_end
    assert len([line for line in workshop.said("begin") if line.job == "next"]) == 1


def test_a_worker_is_told_to_stop_and_finishes_what_it_has(workshop: Workshop) -> None:
    worker = workshop.hire()
    workshop.owe(Job("long", JobKind.EXECUTE, {"sleep_s": "1"}))
    eventually(lambda: len(workshop.said("begin")) == 1)
    worker.terminate()
    assert worker.wait(20) == 0
    assert [line.job for line in workshop.said("end")] == ["long"]


# one process


def test_readiness_is_gone_when_a_worker_dies_and_the_run_ends_with_its_fault(clock: SystemClock) -> None:
    store = MemoryStore(clock)

    class Broken:
        def __getattr__(self, name: str) -> Any:
            return getattr(store.jobs(), name)

        def take(self, *_: Any, **__: Any) -> Any:
            raise MemoryError("a fault of our own")

    engine = EmbeddedEngine(Broken(), lambda job: None, lambda job, error: None, clock)
    with pytest.raises(MemoryError):
        engine.run(threading.Event())
    assert not engine.alive()


def test_a_record_that_does_not_answer_is_waited_for(clock: SystemClock, tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'record.db'}", clock)
    diary = Diary()
    engine = EmbeddedEngine(store.jobs(), diary.handle, diary.give_up, clock, retries=QUICK)
    with store.change() as change:
        change.enqueue(Job("j", JobKind.DRAFT))
        change.append(system("flow"), "owed")
    aside = tmp_path / "aside"
    store.close()
    for path in tmp_path.glob("record.db*"):
        aside.mkdir(exist_ok=True)
        path.rename(aside / path.name)
    (tmp_path / "record.db").mkdir()  # nothing can be opened here
    with at_work(engine):
        eventually(engine.alive)
        time.sleep(0.3)
        assert engine.alive()
        (tmp_path / "record.db").rmdir()
        for path in aside.iterdir():
            path.rename(tmp_path / path.name)
        eventually(lambda: diary.ran == ["j"])
    store.close()


def test_back_off_doubles_up_to_five_minutes_and_gives_up_after_eight() -> None:
    retries = Retries()
    assert [retries.wait_s(n) for n in (1, 2, 3, 4, 9, 99)] == [1, 2, 4, 8, 256, 300]
    assert not retries.is_last(7)
    assert retries.is_last(8)


def test_an_embedded_job_that_was_parked_runs_again_when_it_is_released(
    clock: SystemClock, tmp_path: Path
) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'record.db'}", clock)
    diary = Diary()
    engine = EmbeddedEngine(store.jobs(), diary.handle, diary.give_up, clock, retries=QUICK)
    with store.change() as change:
        change.enqueue(Job("j", JobKind.DRAFT))
        change.append(system("flow"), "owed")
    queue, now = store.jobs(), clock.now()
    taken = queue.take("w", now, now + timedelta(seconds=9))
    assert taken is not None
    queue.park(taken, "Refused")
    assert engine.drain() == 0
    assert queue.release("j", clock.now())
    assert engine.drain() == 1
    store.close()


def test_a_parked_job_stays_visible_in_procrastinate(clock: SystemClock, postgres: Postgres) -> None:
    url = postgres.migrated()
    store = open_store(url, clock, defer=defer_jobs)
    diary = Diary(does={"j": lambda: (_ for _ in ()).throw(KeyError("x"))})
    engine = ProcrastinateEngine(url, diary.handle, diary.give_up, clock, retries=Retries(attempts=1))
    with store.change() as change:
        change.enqueue(Job("j", JobKind.DRAFT, lock="a"))
        change.enqueue(Job("k", JobKind.DRAFT, lock="a"))
        change.append(system("flow"), "owed")
    engine.drain()
    assert diary.parked == [("j", "KeyError")]
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT status::text, args ->> 'job' FROM procrastinate_jobs").fetchall()
    assert [(status, '"j"' in str(job)) for status, job in rows] == [("failed", True)]
    store.close()


def test_preparing_the_engine_twice_changes_nothing(postgres: Postgres) -> None:
    url = postgres.fresh()
    assert prepare(url) == ["schema"]
    assert prepare(url) == []
    with psycopg.connect(url) as connection:
        found = connection.execute("SELECT 1 FROM pg_indexes WHERE indexname = 'twokey_jobs_by_lock'")
        assert found.fetchone(), "without it a fetch compares every waiting job with every other"


def test_an_older_engine_is_brought_forward_by_the_librarys_own_migrations(postgres: Postgres) -> None:
    url = postgres.fresh()
    migrations = sorted(Path(migrations_path).glob("*.sql"))
    older = [path for path in migrations if path.name < "03.02"]
    for path in older:
        with psycopg.connect(url) as connection:
            connection.execute(path.read_bytes())
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE twokey_engine_schema (applied text PRIMARY KEY)")
        connection.execute("INSERT INTO twokey_engine_schema VALUES (%s)", (older[-1].name,))
    assert prepare(url) == [path.name for path in migrations[len(older) :]]
    assert prepare(url) == []
