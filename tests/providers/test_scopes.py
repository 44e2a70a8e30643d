"""For whom sources may speak, as people list it: what both clouds read and ask in the same way."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest

from twokey.core.errors import Invalid
from twokey.core.signals import RawNotification
from twokey.providers.scopes import Listed, listed, source_of

KNOWN = re.compile(r"door:\S+")


def a_number(text: str) -> int | None:
    return int(text) if text.isdecimal() else None


def wrong(entry: str) -> Invalid:
    return Invalid("test.scope.entry", entry=entry)


def raw(source: str) -> RawNotification:
    return RawNotification("r", source, b"", datetime(2026, 5, 14, tzinfo=UTC))


def test_entries_are_read_in_their_order() -> None:
    found = listed(["door:a=1+2", "door:b=3"], KNOWN, a_number, wrong)
    assert found.by_source == {"door:a": (1, 2), "door:b": (3,)}


def test_a_scope_that_is_false_is_a_scope() -> None:
    assert listed(["door:a=0"], KNOWN, a_number, wrong).of(raw("cloud.door:a")) == (0,)


@pytest.mark.parametrize("entry", ["", "door:a", "door:a=", "door:a=1+", "door:a=x", "gate:a=1", "door:b=1"])
def test_an_entry_that_is_not_understood_or_comes_again_is_named(entry: str) -> None:
    with pytest.raises(Invalid) as refused:
        listed(["door:b=1", entry], KNOWN, a_number, wrong)
    assert refused.value.message.params["entry"] == entry


def test_what_is_named_is_cut_to_what_a_person_reads() -> None:
    with pytest.raises(Invalid) as refused:
        listed(["x" * 5000], KNOWN, a_number, wrong)
    assert refused.value.message.params["entry"] == "x" * 300


def test_sources_are_brought_into_one_spelling_where_the_cloud_has_one() -> None:
    assert listed(["door:A=1"], KNOWN, a_number, wrong).of(raw("cloud.door:a")) == ()
    assert listed(["door:A=1"], KNOWN, a_number, wrong, fold=str.lower).of(raw("cloud.door:a")) == (1,)
    with pytest.raises(Invalid):
        listed(["door:A=1", "door:a=2"], KNOWN, a_number, wrong, fold=str.lower)


def test_nothing_listed_limits_nobody_and_one_entry_limits_everybody() -> None:
    nothing: Listed[int] = Listed()
    assert nothing.of(raw("cloud.door:a")) is None
    one = listed(["door:a=1"], KNOWN, a_number, wrong)
    assert one.of(raw("cloud.door:a")) == (1,)
    assert one.of(raw("cloud.door:b")) == ()
    assert one.of(raw("cloud.file:replay")) is None  # somebody at the shell vouches for it
    assert one.of(raw("cloud.door:file:a")) == ()


def test_a_source_is_named_without_its_cloud() -> None:
    assert source_of(raw("cloud.door:a.b")) == "door:a.b"
    assert source_of(raw("cloud.cloud.door")) == "cloud.door"
