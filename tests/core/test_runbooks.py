"""A plan's digest covers all that decides its effects, and references are looked up, never evaluated."""

from dataclasses import fields, replace
from datetime import timedelta
from typing import Any, cast

import pytest

from twokey.core.errors import Invalid, message
from twokey.core.runbooks import (
    Plan,
    PlanState,
    Target,
    Touch,
    canonical,
    confirmed_content,
    digest_of,
    references,
    resolve,
)
from twokey.testing.builders import a_plan, a_step, at

# Who asked, when, how it ended: a key does not stand for these. Everything else is what people confirm.
NOT_CONFIRMED: dict[str, Any] = {
    "id": "plan-9",
    "digest": "0" * 64,
    "notes": (message("x.y"),),
    "requester": "d-zoe",
    "requested_at": at(1),
    "expires_at": at(2),
    "state": PlanState.DONE,
    "reason": message("x.y"),
    "break_glass_by": "d-zoe",
    "break_glass_reason": "because",
    "confirm_by": at(3),
    "confirmed_by": "d-zoe",
    "proposer_code": True,
    "asking_until": at(4),
    "why": "it leaked",
    "shown": {"protect": {"statements": ["theirs"]}},
}
CONFIRMED = sorted({field.name for field in fields(Plan)} - NOT_CONFIRMED.keys())


def other(value: Any) -> Any:
    """Return something else of the same kind."""
    match value:
        case bool():
            return not value
        case str() if not hasattr(value, "name"):
            return value + "x"
        case dict():
            return {**value, "more": 1}
        case tuple():
            return (*value, Touch("bucket", "b"))
        case Target():
            return replace(value, account="999988887777")
        case _ if hasattr(value, "name"):
            return next(one for one in type(value) if one is not value)
        case _:
            return replace(cast(Any, value), expires_in_s=1.0)


@pytest.mark.parametrize("name", CONFIRMED)
def test_the_digest_covers_every_field_that_people_confirm(name):
    plan = a_plan()
    assert digest_of(replace(plan, **{name: other(getattr(plan, name))})) != digest_of(plan)


@pytest.mark.parametrize("name", sorted(NOT_CONFIRMED))
def test_the_digest_is_not_about_who_and_when(name):
    plan = a_plan()
    assert digest_of(replace(plan, **{name: NOT_CONFIRMED[name]})) == digest_of(plan)


@pytest.mark.parametrize(
    "changes",
    [
        {"action": "aws.other"},
        {"inputs": {"user_name": "root"}},
        {"pre": ()},
        {"verify": None},
        {"undo": None},
        {"timeout_s": 61.0},
        {"irreversible": "because"},
    ],
)
def test_the_digest_covers_what_a_step_does(changes):
    step = a_step(pre=(a_step().verify,))
    assert digest_of(a_plan(steps=(step,))) != digest_of(a_plan(steps=(replace(step, **changes),)))


def test_the_digest_covers_the_order_of_the_steps():
    one, two = a_step("one"), a_step("two")
    assert digest_of(a_plan(steps=(one, two))) != digest_of(a_plan(steps=(two, one)))


def test_the_digest_does_not_depend_on_the_order_of_keys():
    assert canonical({"b": 1, "a": [1, {"d": 1, "c": 2}]}) == canonical({"a": [1, {"c": 2, "d": 1}], "b": 1})


def test_what_is_confirmed_is_plain_json_whatever_the_nouns_hold():
    assert confirmed_content(a_plan(observed={"when": at() + timedelta(seconds=1)}))["observed"] == {
        "when": "2026-11-21T12:00:01+00:00"
    }


SCOPE: dict[str, Any] = {"params": {"id": "a", "many": ["a", "b"], "yes": True, "none": None}, "steps": {}}


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("${{ params.id }}", "a"),
        ("${{params.many}}", ["a", "b"]),
        ("${{ params.yes }}", True),
        ("x-${{ params.id }}-${{ params.id }}", "x-a-a"),
        (["${{ params.id }}", 1], ["a", 1]),
        ({"k": {"d": "${{ params.id }}"}}, {"k": {"d": "a"}}),
        ("no reference", "no reference"),
        ("${{ 1 + 1 }}", "${{ 1 + 1 }}"),
        ("{{ params.id }}", "{{ params.id }}"),
        (7, 7),
        (None, None),
    ],
)
def test_a_reference_becomes_its_value_and_keeps_its_type(value, found):
    assert resolve(value, SCOPE) == found


@pytest.mark.parametrize(
    "value", ["${{ params.nope }}", "${{ secrets.x }}", "${{ params.id.__class__ }}", "${{ params }}${{ x }}"]
)
def test_a_reference_to_nothing_is_an_error_and_never_empty(value):
    with pytest.raises(Invalid, match=r"runbook.reference_"):
        resolve(value, SCOPE)


def test_an_attackers_text_is_not_looked_at_again():
    scope: dict[str, Any] = {"params": {"id": "${{ params.secret }}", "secret": "s"}}
    assert resolve("x ${{ params.id }}", scope) == "x ${{ params.secret }}"


@pytest.mark.parametrize("name", ["many", "none"])
def test_what_is_not_text_does_not_go_into_a_text(name):
    with pytest.raises(Invalid, match=r"runbook.reference_not_text"):
        resolve("x-${{ params." + name + " }}", SCOPE)


def test_references_to_later_steps_wait():
    value: Any = {"a": "${{ steps.one.outputs.x }}", "b": "p-${{ steps.one.outputs.x }}-${{ params.id }}"}
    assert resolve(value, SCOPE, later=("steps.",)) == {
        "a": "${{ steps.one.outputs.x }}",
        "b": "p-${{ steps.one.outputs.x }}-a",
    }
    assert references(value) == ("steps.one.outputs.x", "steps.one.outputs.x", "params.id")
