"""kill -9 at any instant: what was said to be durable is there, and the audit trail proves itself."""

from __future__ import annotations

import random
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.postgres import Postgres
from twokey.core.jobs import sorted_by
from twokey.core.people import system
from twokey.core.signals import RawNotification, RawState
from twokey.store import open_store
from twokey.testing.clocks import SystemClock

TRIALS = 15

# Receives batches for ever, changes what it received, and says only what the record has confirmed.
RECEIVER = textwrap.dedent(
    """
    import sys
    from dataclasses import replace
    from twokey.core.people import system
    from twokey.core.signals import RawNotification, RawState, raw_id
    from twokey.store import open_store
    from twokey.testing.clocks import SystemClock

    url, trial = sys.argv[1:]
    clock = SystemClock()
    store = open_store(url, clock)
    print("ready", flush=True)
    n = 0
    while True:
        raws = []
        for _ in range(1 + n % 7):
            n += 1
            body = f"{trial}:{n}:".encode() + b"x" * 5000
            raws.append(RawNotification(raw_id("aws.sqs:kill", body), "aws.sqs:kill", body, clock.now()))
        kept = store.receive(raws, system("intake"))
        sys.stdout.write("".join(f"received {id}\\n" for id in kept))
        sys.stdout.flush()
        with store.change() as change:
            change.put(replace(raws[0], state=RawState.SORTED))
            number = change.next_number("incident")
            change.append(system("flow"), "sorted", data={"number": number})
        print(f"sorted {raws[0].id} {number}", flush=True)
    """
)


def killed_after(url: str, trial: int, seconds: float) -> Iterator[list[str]]:
    """Start a receiver, kill it without warning, and yield the words of every line it finished."""
    process = subprocess.Popen(
        [sys.executable, "-c", RECEIVER, url, str(trial)], stdout=subprocess.PIPE, text=True, bufsize=1
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    time.sleep(seconds)
    process.kill()
    said, _ = process.communicate(timeout=10)
    yield from (line.split() for line in said.splitlines(keepends=True) if line.endswith("\n"))


def survives(url: str, trials: int, seed: int) -> None:
    """Kill receivers at random moments, and check the record after each."""
    dice = random.Random(seed)
    clock = SystemClock()
    open_store(url, clock, migrate=True).close()
    received: set[str] = set()
    highest = 0
    for trial in range(trials):
        store = None
        for kind, raw_id, *number in killed_after(url, trial, dice.uniform(0.001, 0.12)):
            if kind == "received":
                received.add(raw_id)
            else:
                highest = max(highest, int(number[0]))
        store = open_store(url, clock)
        with store.read() as reading:
            rows = {raw.id: raw for raw in reading.find(RawNotification, limit=1_000_000)}
            told = [str(e.data["raw"]) for e in reading.audit(limit=1_000_000) if e.action == "received"]
            is_sorted = [e.data["number"] for e in reading.audit(limit=1_000_000) if e.action == "sorted"]
        assert received <= set(rows), f"trial {trial}: lost {received - set(rows)}"
        # Whole changes only: a row has its entry and its job, and a number was given with its change.
        assert sorted(told) == sorted(rows)
        assert is_sorted == list(range(1, len(is_sorted) + 1))
        assert len(is_sorted) >= highest
        assert sum(raw.state is RawState.SORTED for raw in rows.values()) == len(is_sorted)
        assert store.verify()[0] == len(told) + len(is_sorted)
        queue, now, owed = store.jobs(), clock.now(), []
        while (taken := queue.take(f"check-{trial}", now, now)) is not None:
            owed += sorted_by(taken.job)
        assert sorted(owed) == sorted(rows)
        store.close()
    assert len(received) > trials


def test_sqlite_keeps_what_it_confirmed_when_the_process_is_killed(tmp_path: Path) -> None:
    survives(f"sqlite:///{tmp_path / 'record.db'}", TRIALS, seed=1)


def test_postgres_keeps_what_it_confirmed_when_the_process_is_killed(postgres: Postgres) -> None:
    survives(postgres.migrated(), 3, seed=2)


WRITER = textwrap.dedent(
    """
    import sys
    from twokey.core.people import system
    from twokey.store import open_store
    from twokey.testing.clocks import SystemClock

    store = open_store(sys.argv[1], SystemClock())
    for _ in range(int(sys.argv[2])):
        with store.change() as change:
            number = change.next_number("incident")
            change.append(system("flow"), "noted", data={"number": number})
    """
)


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_several_processes_write_one_chain(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    url = f"sqlite:///{tmp_path / 'record.db'}"
    if kind == "postgres":
        url = request.getfixturevalue("postgres").migrated()
    store = open_store(url, SystemClock())
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, url, "40"]) for _ in range(3)]
    for writer in writers:
        assert writer.wait(120) == 0
    assert store.verify()[0] == 120
    with store.read() as reading:
        assert [entry.data["number"] for entry in reading.audit()] == list(range(1, 121))
    store.close()


# Has the record for nine tenths of the time, as a writer has whose disk takes long for a sync.
GREEDY = textwrap.dedent(
    """
    import sys, threading, time
    from twokey.core.people import system
    from twokey.store import open_store
    from twokey.testing.clocks import SystemClock

    store = open_store(sys.argv[1], SystemClock())

    def write():
        while True:
            with store.change() as change:
                change.append(system("greedy"), "noted")
                time.sleep(0.2)

    for _ in range(2):
        threading.Thread(target=write).start()
    print("ready", flush=True)
    """
)


def test_a_process_that_writes_all_the_time_lets_others_go_before_it(tmp_path: Path) -> None:
    """SQLite's own waiting does not: it looks again now and then, and finds the record taken anew."""
    url = f"sqlite:///{tmp_path / 'record.db'}"
    store = open_store(url, SystemClock())
    greedy = subprocess.Popen([sys.executable, "-c", GREEDY, url], stdout=subprocess.PIPE, text=True)
    with greedy:
        try:
            assert greedy.stdout is not None
            assert greedy.stdout.readline() == "ready\n"
            for _ in range(10):
                with store.change() as change:
                    change.append(system("modest"), "noted")
                time.sleep(0.3)  # the other has the record again
        finally:
            greedy.kill()
    with store.read() as reading:
        who = "".join("m" if entry.actor == system("modest") else "g" for entry in reading.audit())
    store.close()
    assert "gggg" not in who[: who.rindex("m")], who
