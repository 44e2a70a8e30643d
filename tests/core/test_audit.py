"""The audit trail proves itself: whatever is done to it afterwards is found."""

from __future__ import annotations

import string
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from twokey.core.audit import GENESIS, AuditEntry, content, seal, verify
from twokey.core.errors import Tampered
from twokey.core.people import Actor, ChatAccount, system

# A busy machine is no fault of a trail.
PATIENT = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=10)
NAME = st.text(string.ascii_lowercase, min_size=1, max_size=8)
VALUE = st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | TEXT
DATA: st.SearchStrategy[Any] = st.dictionaries(TEXT, VALUE | st.lists(VALUE, max_size=2), max_size=3)
ACTOR = st.builds(Actor, NAME, st.none() | st.builds(ChatAccount, NAME, NAME))


@st.composite
def trails(draw: st.DrawFn, at_least: int = 2) -> list[AuditEntry]:
    """Draw a whole trail."""
    entries: list[AuditEntry] = []
    previous = GENESIS
    for seq in range(1, draw(st.integers(at_least, 8)) + 1):
        entry = AuditEntry(
            seq, START + timedelta(seconds=seq), draw(ACTOR), draw(NAME), draw(TEXT), draw(TEXT), draw(DATA)
        )
        entries.append(seal(entry, previous))
        previous = entries[-1].hash
    return entries


def trail(count: int = 5) -> list[AuditEntry]:
    """Make a plain trail."""
    entries: list[AuditEntry] = []
    for seq in range(1, count + 1):
        previous = entries[-1].hash if entries else GENESIS
        entry = AuditEntry(seq, START, system("flow"), "noted", f"INC-{seq}", data={"n": seq})
        entries.append(seal(entry, previous))
    return entries


def code(entries: list[AuditEntry], head: tuple[int, str] | None = None) -> str:
    """Return the code of what is found, "" when nothing is."""
    try:
        verify(entries, head=head)
    except Tampered as found:
        return found.message.code
    return ""


@PATIENT
@given(trails(at_least=0))
def test_an_untouched_trail_proves_its_head(entries: list[AuditEntry]) -> None:
    head = (entries[-1].seq, entries[-1].hash) if entries else (0, GENESIS)
    assert verify(entries) == head
    if entries:
        assert verify(entries, head=(entries[0].seq, entries[0].hash)) == head


def _flipped(digest: str) -> str:
    return digest[:-1] + ("0" if digest[-1] != "0" else "1")


CHANGES: dict[str, Any] = {
    "seq": lambda seq: seq + 1,
    "at": lambda at: at + timedelta(microseconds=1),
    "actor": lambda actor: replace(actor, id=actor.id + "x"),
    "action": lambda text: text + "x",
    "incident_id": lambda text: text + "1",
    "plan_id": lambda text: text + "1",
    "data": lambda data: {**data, "\u00e9": True},
    "previous": _flipped,
    "hash": _flipped,
}


def test_every_field_of_an_entry_is_covered() -> None:
    assert set(CHANGES) == {field.name for field in fields(AuditEntry)}


@settings(PATIENT, max_examples=150)
@given(trails(), st.data())
def test_changing_any_field_of_any_entry_is_found(entries: list[AuditEntry], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(entries) - 1))
    name = data.draw(st.sampled_from(sorted(CHANGES)))
    entry = entries[index]
    entries[index] = replace(entry, **{name: CHANGES[name](getattr(entry, name))})
    assert code(entries)


@PATIENT
@given(trails(), st.data())
def test_changing_who_acted_through_which_account_is_found(
    entries: list[AuditEntry], data: st.DataObject
) -> None:
    index = data.draw(st.integers(0, len(entries) - 1))
    entry = entries[index]
    entries[index] = replace(entry, actor=Actor(entry.actor.id, ChatAccount("T-other", "U-other")))
    assert code(entries)


@PATIENT
@given(trails(), st.data())
def test_deleting_inserting_reordering_and_swapping_are_found(
    entries: list[AuditEntry], data: st.DataObject
) -> None:
    index = data.draw(st.integers(0, len(entries) - 2))
    how = data.draw(st.sampled_from(["delete", "double", "swap", "swap contents", "forge"]))
    one, other = entries[index], entries[index + 1]
    if how == "delete":
        del entries[index]
    elif how == "double":
        entries.insert(index, one)
    elif how == "swap":
        entries[index], entries[index + 1] = other, one
    elif how == "swap contents":
        entries[index] = replace(one, data=other.data, action=other.action + "x", hash=other.hash)
    else:
        entries[index] = seal(
            replace(one, action=one.action + "x"), one.previous
        )  # with a right hash of its own
    assert code(entries)


def test_the_first_broken_entry_is_named() -> None:
    entries = trail()
    entries[2] = replace(entries[2], action="other")
    with pytest.raises(Tampered) as found:
        verify(entries)
    assert found.value.message.params["seq"] == "3"
    assert code(entries) == "audit.changed"
    assert code([entries[0], *entries[2:]]) == "audit.gap"
    other = seal(replace(trail()[1], action="other"), trail()[0].hash)
    assert code([entries[0], other, *trail()[2:]]) == "audit.broken_link"


@PATIENT
@given(trails(at_least=3), st.data())
def test_a_cut_tail_is_found_against_a_head_that_was_posted_outside(
    entries: list[AuditEntry], data: st.DataObject
) -> None:
    head = (entries[-1].seq, entries[-1].hash)
    kept = data.draw(st.integers(0, len(entries) - 1))
    assert code(entries[:kept]) == ""  # a chain alone cannot see it
    assert code(entries[:kept], head) == "audit.cut"


def test_a_trail_that_was_rewritten_whole_is_found_against_a_posted_head() -> None:
    honest, forged = trail(), list[AuditEntry]()
    for entry in trail():
        previous = forged[-1].hash if forged else GENESIS
        forged.append(seal(replace(entry, incident_id="INC-other"), previous))
    assert code(forged) == ""
    assert code(forged, (3, honest[2].hash)) == "audit.head_differs"


def test_the_hash_covers_the_line_of_the_export() -> None:
    entry = trail(1)[0]
    assert set(content(entry)) == {
        *("seq", "at", "actor", "team", "user", "action", "incident", "plan", "data", "previous")
    }
