"""What an earlier version wrote is brought up to date wherever it is read, and written so only with a change."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from twokey.core.incidents import Incident
from twokey.core.people import system
from twokey.core.sightings import Sighting
from twokey.store import SqlStore, open_store
from twokey.testing.builders import a_sighting, an_incident
from twokey.testing.clocks import SettableClock

FLOW = system("flow")


def entitled(incident: Incident) -> Incident:
    """Stand in for what gives an old incident its answers."""
    return replace(incident, title="brought up to date")


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/record.db"


@pytest.fixture
def store(url: str) -> Iterator[SqlStore]:
    before = open_store(url, SettableClock())
    put(before, an_incident(title="old"), a_sighting())
    before.close()
    opened = open_store(url, SettableClock(), completions={Incident: entitled})
    yield opened
    opened.close()


def put(store: SqlStore, *nouns: Any) -> None:
    with store.change() as tx:
        for noun in nouns:
            tx.put(noun)
        tx.append(FLOW, "opened")


def title_on_record(url: str) -> str:
    plain = open_store(url, SettableClock())
    with plain.read() as look:
        (found,) = look.find(Incident)
    plain.close()
    return found.title


def test_it_is_complete_in_a_look_and_in_a_change(store: SqlStore) -> None:
    with store.read() as look:
        read = [look.get(Incident, "INC-12"), *look.find(Incident), *look.find(Incident, number=12)]
    with store.change() as tx:
        read += [tx.get(Incident, "INC-12"), *tx.find(Incident)]
        tx.append(FLOW, "looked")
    assert [found.title for found in read if found] == ["brought up to date"] * 5


def test_other_kinds_are_read_as_they_stand(store: SqlStore) -> None:
    with store.read() as look:
        assert look.find(Sighting) == [a_sighting()]


def test_reading_writes_nothing_and_a_change_writes_all(store: SqlStore, url: str) -> None:
    with store.read() as look:
        incident = look.get(Incident, "INC-12")
    assert title_on_record(url) == "old"
    put(store, incident)
    assert title_on_record(url) == "brought up to date"
