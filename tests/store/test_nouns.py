"""Every kind of noun survives the way into the database and back, whatever is in it."""

from __future__ import annotations

import json
import typing
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from enum import StrEnum
from types import UnionType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.lab.old_nouns import as_before
from twokey.core.errors import Message
from twokey.core.jobs import Job
from twokey.core.people import Person
from twokey.core.runbooks import Runbook
from twokey.core.signals import RawNotification
from twokey.core.younger import younger_fields
from twokey.store.kinds import ALL
from twokey.store.nouns import from_text, raw_from_text, raw_to_text, to_text
from twokey.testing.builders import a_plan, a_signal, an_incident

TEXT = st.text(st.characters(codec=None), max_size=12)  # lone surrogates and NUL are text, too
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
MOMENT = st.datetimes(timezones=st.just(UTC))


def of(kind: Any) -> st.SearchStrategy[Any]:
    """Return a strategy for a type as it stands in the nouns' annotations."""
    origin: Any = typing.get_origin(kind)
    inner: Any = typing.get_args(kind)
    if origin in (UnionType, typing.Union):
        is_json = float in inner and dict in [typing.get_origin(one) for one in inner]
        return JSON if is_json else st.one_of(*map(of, inner))
    if origin is tuple and inner[-1] is Ellipsis:
        return st.lists(of(inner[0]), max_size=2).map(tuple)
    if origin is tuple:
        return st.tuples(*map(of, inner))
    if origin is frozenset:
        return st.frozensets(of(inner[0]), max_size=2)
    if origin is not None and issubclass(origin, typing.Mapping):
        return st.dictionaries(of(inner[0]), of(inner[1]), max_size=2)
    if kind is Message:  # a message may hold messages
        flat = st.builds(Message, TEXT, st.dictionaries(TEXT, TEXT, max_size=2))
        inner_ones = st.dictionaries(TEXT, flat, max_size=1)
        return st.builds(Message, TEXT, st.dictionaries(TEXT, TEXT, max_size=2), inner_ones)
    if is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        return st.builds(
            typing.cast(Any, kind), **{f.name: of(hints[f.name]) for f in fields(kind) if f.init}
        )
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return st.sampled_from(kind)
    simple = {str: TEXT, datetime: MOMENT, type(None): st.none(), bytes: st.binary(max_size=20)}
    simple |= {int: st.integers(), float: st.floats(allow_nan=False), bool: st.booleans()}
    return simple[kind]


STORED = [kind.noun for kind in ALL]


@pytest.mark.parametrize("kind", [*STORED, Job, Person, Runbook], ids=lambda kind: kind.__name__)
def test_any_noun_comes_back_equal(kind: type[Any]) -> None:
    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
    @given(of(kind))
    def comes_back(noun: Any) -> None:
        text = to_text(noun)
        assert text.isascii()
        assert "\n" not in text
        assert from_text(kind, text) == noun

    comes_back()


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(of(RawNotification))
def test_a_notification_keeps_its_bytes_apart_from_its_json(raw: RawNotification) -> None:
    assert raw_from_text(raw_to_text(raw), raw.body) == raw
    assert '"body"' not in raw_to_text(raw)


def test_a_moment_without_a_time_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        to_text(a_plan(expires_at=datetime(2026, 1, 1)))


def test_a_field_that_an_older_version_did_not_write_takes_its_default() -> None:
    plan = a_plan()
    older = to_text(plan).replace('"confirmed_by":"",', "").replace(',"confirmed_by":""', "")
    assert "confirmed_by" not in older
    assert from_text(type(plan), older) == plan


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.table.name)
def test_every_column_is_filled_and_every_row_knows_its_tenant(kind: Any) -> None:
    tenancy = {"workspace", "enterprise", "account", "tenant"}
    assert set(kind.table.c.keys()) == {"position", "id", "body", *kind.read}
    assert tenancy <= set(kind.read)
    assert kind.fields <= set(kind.read)


@pytest.mark.parametrize("noun", [a_signal(), an_incident()], ids=lambda noun: type(noun).__name__)
def test_what_has_no_answers_is_written_as_before_there_were_any(noun: Any) -> None:
    """The version before did not have these fields."""
    old = as_before(noun)
    for value in (old, old.resources[0]):
        written = json.loads(to_text(value))
        assert list(written) == [f.name for f in fields(value) if f.name not in younger_fields(type(value))]
    assert from_text(type(noun), to_text(old)) == old
    assert {"has_answers", "service_keys"} <= json.loads(to_text(noun)).keys()
