"""Policy documents are filled in as parsed text: a value can never become structure."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twokey.core.documents import placeholders, render_document, strings
from twokey.core.errors import Invalid, Json

POLICY = '{"Statement": [{"Effect": "Deny", "Resource": ["arn:aws:s3:::{bucket}", "arn:aws:s3:::{bucket}/*"], "NotPrincipal": "{role}"}]}'


def test_a_document_is_filled_in_and_canonical() -> None:
    rendered = render_document(POLICY, {"bucket": "pics", "role": "arn:aws:iam::111122223333:role/r"})
    assert rendered == (
        '{"Statement":[{"Effect":"Deny","NotPrincipal":"arn:aws:iam::111122223333:role/r",'
        '"Resource":["arn:aws:s3:::pics","arn:aws:s3:::pics/*"]}]}'
    )


def test_layout_does_not_change_what_is_rendered() -> None:
    values: dict[str, Json] = {"bucket": "pics", "role": "r"}
    assert render_document(POLICY, values) == render_document(
        json.dumps(json.loads(POLICY), indent=4), values
    )


def test_a_quote_in_a_value_stays_a_character() -> None:
    evil = 'x","Effect":"Allow'
    rendered = json.loads(render_document('{"Effect": "Deny", "Sid": "{sid}"}', {"sid": evil}))
    assert rendered == {"Effect": "Deny", "Sid": evil}


def test_a_whole_string_may_become_a_list_and_a_number() -> None:
    assert json.loads(
        render_document('{"a": "{names}", "b": "{most}"}', {"names": ["x", "y"], "most": 3})
    ) == {
        "a": ["x", "y"],
        "b": 3,
    }


def test_the_clouds_own_variables_are_left_alone() -> None:
    text = '{"a": "${aws:username}", "b": "${bucket}", "c": "{Upper}"}'
    assert placeholders(text) == frozenset()
    assert json.loads(render_document(text, {})) == json.loads(text)


@pytest.mark.parametrize(
    ("text", "values", "code"),
    [
        ('{"a": "{x}"}', {}, "document.value_missing"),
        ('{"a": "b"}', {"x": "y"}, "document.value_unused"),
        ('{"a": "{x}"}', {"x": {"b": "c"}}, "document.value_not_plain"),
        ('{"a": "{x}"}', {"x": None}, "document.value_not_plain"),
        ('{"a": "{x}"}', {"x": 1.5}, "document.value_not_plain"),
        ('{"a": "{x}"}', {"x": [["y"]]}, "document.value_not_plain"),
        ('{"a": "-{x}"}', {"x": ["y"]}, "document.value_not_plain"),
        ('{"a": "{x}"}', {"x": "arn:aws:iam::*:role/r"}, "document.value_reaches"),
        ('{"a": "{x}"}', {"x": ["ok", "a?"]}, "document.value_reaches"),
        ('{"a": "{x}"}', {"x": "${aws:username}"}, "document.value_reaches"),
        ('{"a": "{x}"}', {"x": "a\nb"}, "document.value_reaches"),
        ('{"a": "{x}"}', {"x": ""}, "document.value_reaches"),
        ('{"{x}": "a"}', {"x": "y"}, "document.placeholder_in_key"),
        ("[]", {}, "document.not_json"),
        ("{", {}, "document.not_json"),
        ('{"a": 1, "a": 2}', {}, "document.not_json"),
        ('{"a": Infinity}', {}, "document.not_json"),
        ('{"a": 9007199254740993}', {}, "document.not_json"),
        ('{"a": "\\ud800"}', {}, "document.not_json"),
        ("[" * 100_000, {}, "document.not_json"),
        (" " * 300_000, {}, "document.too_large"),
    ],
)
def test_what_is_not_a_reviewed_document_with_its_values_is_refused(
    text: str, values: dict[str, Json], code: str
) -> None:
    with pytest.raises(Invalid) as refused:
        render_document(text, values)
    assert refused.value.message.code == code


@given(st.text(max_size=40), st.text(max_size=40))
def test_no_value_changes_anything_but_its_own_place(bucket: str, role: str) -> None:
    try:
        rendered = json.loads(render_document(POLICY, {"bucket": bucket, "role": role}))
    except Invalid:
        return
    statement = rendered["Statement"][0]
    assert statement["Effect"] == "Deny"
    assert statement["Resource"] == [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]
    assert statement["NotPrincipal"] == role


@given(st.text(max_size=60))
def test_any_text_is_a_document_or_invalid(text: str) -> None:
    try:
        assert isinstance(strings(text), tuple)
    except Invalid as refused:
        code = refused.message.code
    else:
        code = "document.fine"
    assert code.startswith("document.")
