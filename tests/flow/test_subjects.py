"""The hundredth word about one matter costs what the second cost, and a record from before is understood."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.lab.intake_harness import IntakeHarness
from tests.lab.outages import azure_post
from twokey.core.people import system
from twokey.core.sightings import Sighting
from twokey.core.signals import SignalStatus
from twokey.testing.clocks import SettableClock
from twokey.testing.memory import MemoryReading

T0 = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)
PLACE = {"Virtual Machines": ["Japan East"]}


class Told:
    """One event of Azure's, told in as many updates as one likes."""

    def __init__(self) -> None:
        self.clock = SettableClock(T0)
        self.sorting = IntakeHarness(clock=self.clock)
        self.said = 0

    def goes_on(self, count: int = 1, **more: Any) -> None:
        for _ in range(count):
            self.said += 1
            moment = T0 + timedelta(minutes=self.said)
            self.clock.set(moment)
            self.sorting.arrives(
                "azure.webhook:main", azure_post("T-1", PLACE, start=T0, said=moment, **more)
            )
            self.sorting.works()

    def sightings(self) -> list[Sighting]:
        return self.sorting.sightings()


@pytest.fixture
def told() -> Told:
    return Told()


@contextmanager
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Count the sightings that are read."""
    read: list[int] = []
    find = MemoryReading.find

    def counting(self: MemoryReading, kind: Any, /, *given: Any, **more: Any) -> Any:
        found = find(self, kind, *given, **more)
        read.append(len(found) if kind is Sighting else 0)
        return found

    with monkeypatch.context() as patched:
        patched.setattr(MemoryReading, "find", counting)
        yield read


def test_an_update_reads_one_sighting_however_many_there_are(told, monkeypatch):
    told.goes_on(2)
    with counted(monkeypatch) as second:
        told.goes_on()
    told.goes_on(100)
    with counted(monkeypatch) as hundredth:
        told.goes_on()
    assert sum(hundredth) == sum(second) == 1
    (incident,) = told.sorting.incidents()
    assert incident.signals == 104


def test_a_record_from_before_is_read_once_and_then_known(told, monkeypatch):
    told.goes_on(5)
    with told.sorting.store.change() as tx:  # as the version before wrote them
        for seen in told.sightings():
            tx.put(replace(seen, so_far=None))
        tx.append(system("test"), "noted")
    told.goes_on()
    with counted(monkeypatch) as next_one:
        told.goes_on()
    assert sum(next_one) == 1
    (incident,) = told.sorting.incidents()
    assert incident.signals == 7
    assert {seen.incident_id for seen in told.sightings()} == {incident.id}


def test_what_opened_nothing_goes_with_what_does_even_when_that_is_late(told):
    """It was over before anybody told: nothing opens. Then it is open again, and all of it belongs together."""
    told.goes_on(3, end=T0)
    assert told.sorting.incidents() == []
    assert [seen.signal.status for seen in told.sightings()] == [SignalStatus.RESOLVED] * 3
    told.goes_on()
    (incident,) = told.sorting.incidents()
    assert incident.signals == 4
    assert {seen.incident_id for seen in told.sightings()} == {incident.id}
    newest = told.sightings()[-1].so_far
    assert newest is not None
    assert not newest.is_loose
