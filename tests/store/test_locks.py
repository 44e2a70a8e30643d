"""Who changes the record next: one at a time, the impatient first, and nobody starves."""

import threading
import time
from pathlib import Path

import pytest

from twokey.core.errors import Unavailable
from twokey.store.locks import FairLock, FileLock
from twokey.testing.contracts.engine import eventually


def waiting(turns: FairLock, name: str, came: list[str], *, patient: bool = False) -> threading.Thread:
    """Let somebody wait for a turn in a thread."""

    def work() -> None:
        with turns.held(patient=patient):
            came.append(name)

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_one_at_a_time():
    turns, inside, most = FairLock(10), 0, 0

    def work() -> None:
        nonlocal inside, most
        for _ in range(50):
            with turns.held(patient=threading.get_ident() % 2 == 0):
                inside += 1
                most = max(most, inside)
                time.sleep(0)
                inside -= 1

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert most == 1


def test_a_patient_one_lets_one_that_came_later_go_first():
    turns, came = FairLock(10, patience_s=5), list[str]()
    with turns.held():
        first = waiting(turns, "patient", came, patient=True)
        eventually(lambda: len(turns._waiting) == 1)
        second = waiting(turns, "other", came)
        eventually(lambda: len(turns._waiting) == 2)
    first.join(10)
    second.join(10)
    assert came == ["other", "patient"]


def test_those_who_wait_come_in_the_order_in_which_they_asked():
    turns, came, threads = FairLock(10), list[str](), []
    with turns.held():
        for number in range(5):
            threads.append(waiting(turns, str(number), came))
            eventually(lambda: len(turns._waiting) == len(threads))
    for thread in threads:
        thread.join(10)
    assert came == ["0", "1", "2", "3", "4"]


def test_a_patient_one_does_not_starve():
    turns, came, over = FairLock(10), list[str](), threading.Event()

    def busy() -> None:
        while not over.is_set():
            with turns.held():
                time.sleep(0.002)

    others = [threading.Thread(target=busy) for _ in range(3)]
    for other in others:
        other.start()
    waiting(turns, "patient", came, patient=True).join(10)
    over.set()
    for other in others:
        other.join(10)
    assert came == ["patient"]


def test_who_waits_too_long_is_told():
    turns = FairLock(0.05)
    faults: list[Unavailable] = []

    def work() -> None:
        with pytest.raises(Unavailable) as fault, turns.held():
            pass
        faults.append(fault.value)

    with turns.held():
        thread = threading.Thread(target=work)
        thread.start()
        thread.join(10)
    assert len(faults) == 1
    assert turns._waiting == []
    with turns.held():
        pass


def test_a_change_inside_a_change_is_a_programming_error():
    turns = FairLock(1)
    with turns.held(), pytest.raises(RuntimeError, match="inside a change"), turns.held():
        pass


def test_one_process_at_a_time_stands_first(tmp_path: Path):
    one, other = FileLock(str(tmp_path / "record.db"), 10), FileLock(str(tmp_path / "record.db"), 0.05)
    with one.held(), pytest.raises(Unavailable, match="locked"), other.held():
        pytest.fail("two stand first")
    with other.held():
        pass
    one.close()
    other.close()


def test_where_there_can_be_no_line_nobody_waits(tmp_path: Path):
    """Then SQLite's own waiting is what there is."""
    nowhere = FileLock(str(tmp_path / "not made" / "record.db"), 10)
    with nowhere.held(), nowhere.held():
        pass
    nowhere.close()
