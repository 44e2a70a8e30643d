"""A source that is asked again and again goes on where it stood, also after a restart."""

from __future__ import annotations

import pytest

from twokey.core.signals import Cursor
from twokey.flow.intake.cursors import StoredCursors
from twokey.testing.clocks import SettableClock
from twokey.testing.memory import MemoryStore

SOURCE = "aws.poll:health"


@pytest.fixture
def clock() -> SettableClock:
    return SettableClock()


def test_a_source_that_was_never_read_stands_nowhere(clock: SettableClock) -> None:
    assert StoredCursors(MemoryStore(clock), clock).position(SOURCE) == ""


def test_another_process_goes_on_where_the_first_one_stood(clock: SettableClock) -> None:
    store = MemoryStore(clock)
    StoredCursors(store, clock).move(SOURCE, "2026-11-22T00:00:00+00:00")
    assert StoredCursors(store, clock).position(SOURCE) == "2026-11-22T00:00:00+00:00"
    assert StoredCursors(store, clock).position("aws.poll:other") == ""


def test_moving_is_audited_and_standing_still_is_not(clock: SettableClock) -> None:
    store = MemoryStore(clock)
    cursors = StoredCursors(store, clock)
    for position in ("a", "a", "b", "b"):
        cursors.move(SOURCE, position)
    with store.read() as reading:
        assert [(entry.action, entry.data["position"]) for entry in reading.audit()] == [
            ("polled", "a"),
            ("polled", "b"),
        ]
        assert [cursor.position for cursor in reading.find(Cursor)] == ["b"]
