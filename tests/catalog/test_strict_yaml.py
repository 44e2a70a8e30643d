"""What a YAML file may not do to those who review it."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twokey.catalog.strict_yaml import MAX_BYTES, Data, load
from twokey.core.errors import Invalid


@pytest.mark.parametrize(
    "text",
    [
        "no",
        "on",
        "true",
        "null",
        "~",
        "012345670123",
        "2023-12-05",
        "12:30:45",
        "0x1f",
        "1e3",
        "1_000",
        ".inf",
    ],
)
def test_every_scalar_is_the_text_that_people_read(text: str) -> None:
    assert load(f"key: {text}", "f").data == {"key": text}
    assert load(f"{text}: value", "f").data == {text: "value"}


def test_nothing_after_a_colon_is_empty_text_and_an_empty_file_is_nothing() -> None:
    assert load("key:", "f").data == {"key": ""}
    assert load("", "f").data is None
    assert load("# only words\n", "f").data is None


@pytest.mark.parametrize(
    ("text", "code", "line", "key"),
    [
        ("a: 1\nb: 2\na: 3", "yaml.duplicate_key", 3, "a"),
        ("x:\n  a: 1\n  a: 1", "yaml.duplicate_key", 3, "x.a"),
        ("x:\n- {a: 1, 'a': 2}", "yaml.duplicate_key", 2, "x[0].a"),
        ("a: &name 1", "yaml.anchor", 1, "a"),
        ("a: 1\nb: *name", "yaml.alias", 2, "b"),
        ("a:\n  <<: {b: 1}", "yaml.merge_key", 2, "a"),
        ("a: !!python/object/apply:os.system [id]", "yaml.tag", 1, "a"),
        ("a: !!str 1", "yaml.tag", 1, "a"),
        ("a: ! 1", "yaml.tag", 1, "a"),
        ("a:\n  ? [b]\n  : c", "yaml.key_not_text", 2, "a"),
        ("a:\n  ? {b: c}\n  : d", "yaml.key_not_text", 2, "a"),
        ("? ''\n: d", "yaml.key_not_text", 1, ""),
        ("--- a\n--- b", "yaml.several_documents", 2, ""),
        ("%YAML 1.1\n---\na: b", "yaml.directive", 1, ""),
        ("a: b\nc: 'd", "yaml.syntax", 2, ""),
        ("a:\n\t- b", "yaml.syntax", 2, ""),
        ("a: b\nc: \x1b[31m", "yaml.character", 2, ""),
        ("a: b\nc: \u202egnp", "yaml.character", 2, ""),
        ("a: b\nc: x\u200by", "yaml.character", 2, ""),
        ("a: b\nc: x\u2028y", "yaml.character", 2, ""),
        ('a: b\nc: "\\e[31m"', "yaml.character", 2, "c"),
        ('a: b\nc: "\\u202e"', "yaml.character", 2, "c"),
    ],
)
def test_what_hides_its_meaning_is_refused_with_its_line(text: str, code: str, line: int, key: str) -> None:
    with pytest.raises(Invalid) as refused:
        load(text, "runbooks/x.yaml")
    told = refused.value.message
    assert (told.code, told.params["file"], told.params["line"], told.params["key"]) == (
        code,
        "runbooks/x.yaml",
        str(line),
        key,
    )


def test_bytes_that_are_not_utf8_are_refused_with_their_line() -> None:
    with pytest.raises(Invalid) as refused:
        load(b"a: b\nc: \xff", "f")
    assert (refused.value.message.code, refused.value.message.params["line"]) == ("yaml.not_utf8", "2")


@pytest.mark.parametrize(
    "text", ["[" * 500_000, "{a: " * 200_000, "- " * 400_000, "a:\n" + " " * 1000 + "- " * 200_000]
)
def test_a_file_that_is_all_depth_is_refused_at_once(text: str) -> None:
    start = time.monotonic()
    with pytest.raises(Invalid) as refused:
        load(text, "f")
    assert refused.value.message.code in ("yaml.too_deep", "yaml.syntax")
    assert time.monotonic() - start < 2


def test_an_alias_bomb_is_refused_at_its_first_anchor() -> None:
    bomb = "a: &a [x, x]\n" + "".join(
        f"{chr(98 + n)}: &{chr(98 + n)} [*{chr(97 + n)}, *{chr(97 + n)}]\n" for n in range(20)
    )
    with pytest.raises(Invalid, match=r"yaml\.anchor"):
        load(bomb, "f")


def test_a_file_of_ten_megabytes_is_refused_unread() -> None:
    with pytest.raises(Invalid, match=r"yaml\.too_large"):
        load(b"a: " + b"x" * 10 * MAX_BYTES, "f")
    assert load("a: " + "x" * (MAX_BYTES - 3), "f").data


def test_a_file_of_very_many_entries_is_refused() -> None:
    with pytest.raises(Invalid, match=r"yaml\.too_many"):
        load("- a\n" * 250_000, "f")


def test_every_key_and_item_knows_its_line() -> None:
    doc = load("a: 1\nb:\n  - x\n  - c: |\n      long\n      text\n    d: 2\n", "f")
    assert doc.line(("b", 0)) == 3
    assert doc.line(("b", 1, "c")) == 4
    assert doc.line(("b", 1, "d")) == 7
    assert doc.line(("b", 1, "missing", 3)) == 4, "what is not there has the line of what holds it"


def test_unquoted_words_can_be_asked_for_as_json_and_account_ids_stay_text() -> None:
    doc = load("a: [true, 'true', 1, '1', 1.5, null, 012345670123, no, -0, text]", "f")
    assert doc.json(("a",)) == [True, "true", 1, "1", 1.5, None, "012345670123", "no", 0, "text"]


_texts = st.text(st.characters(exclude_categories=("C", "Z"), include_characters=" "), max_size=20)
_data = st.recursive(_texts, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_texts.filter(lambda t: t not in ("", "<<")), inner, max_size=4), max_leaves=25)  # fmt: skip


def _quoted(value: Data) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_quoted(k)}: {_quoted(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_quoted(v) for v in value) + "]"
    return "'" + str(value).replace("'", "''") + "'"


@given(_data)
def test_what_was_written_in_quotes_is_read_back_unchanged(value: Data) -> None:
    assert load(_quoted(value), "f").data == value


def _only_plain(value: object) -> bool:
    if isinstance(value, dict):
        return all(type(k) is str and _only_plain(v) for k, v in value.items())
    return all(map(_only_plain, value)) if isinstance(value, list) else type(value) is str


@settings(max_examples=400)
@given(
    st.text(alphabet=st.sampled_from("abc:- \n\t[]{}&*!|>'\"%@`#?,<0~\\\u202e\x00é"), max_size=120)
    | st.binary(max_size=80)
)
def test_whatever_bytes_come_the_answer_is_plain_data_or_invalid(text: str | bytes) -> None:
    refusal = None
    try:
        data = load(text, "f").data
    except Invalid as refused:
        refusal = refused.message
    if refusal is None:
        assert data is None or _only_plain(data)
    else:
        assert refusal.code.startswith("yaml.")
        assert int(refusal.params["line"]) >= 1
