"""The ledger's page: in the sandbox and limits of the post-mortems, and it fits into them whatever is on record."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from twokey.core.errors import Invalid, NotFound
from twokey.core.ledgers import Ended, Impact, Ledger, LedgerRow, Proof
from twokey.core.responsibility import Label, Origin
from twokey.publish.ledgers import TEMPLATE, to_html
from twokey.publish.sandbox import MAX_BYTES

TEMPLATES = Path(__file__).resolve().parents[2] / "templates"
T0 = datetime(2026, 11, 10, 8, 0, tzinfo=UTC)


def an_impact(number: int, text: str) -> Impact:
    return Impact(
        f"INC-{number}",
        Origin.PROVIDER,
        False,
        Label.PROVIDER_OUTAGE,
        "platform_event",
        "aws",
        text,
        text,
        text,
        T0,
        T0 + timedelta(minutes=30),
        Ended.PROVIDER,
        Proof.ACCOUNT,
        text,
        text,
    )


def a_ledger(rows: int, impacts: int, text: str) -> Ledger:
    every = []
    for row in range(rows):
        found = tuple(an_impact(row * impacts + number, text) for number in range(1, impacts + 1))
        every.append(LedgerRow(Origin.PROVIDER, "aws", text, text, text, 30.0, 0.0, 0.0, found))
    return Ledger(T0, T0 + timedelta(days=1), tuple(every), (7, "a" * 64), 0)


def page(ledger: Ledger, templates: Path = TEMPLATES, language: str = "en") -> str:
    return to_html(ledger, templates, language, ZoneInfo("UTC"))


@pytest.mark.parametrize("language", ["en", "ja"])
@pytest.mark.parametrize("text", ["<'&\">{{ 7*7 }}" * 20, "記" * 300, "plain"])
def test_s10_a_page_fits_into_the_limits_and_says_what_it_leaves_out(text: str, language: str) -> None:
    shown = page(a_ledger(1500, 3, text), language=language)
    assert len(shown.encode()) < MAX_BYTES
    assert "7*7" in shown or text[0] != "<"
    rows = shown.count('<td class="nowrap">INC-')
    assert rows > 200
    assert f"+{4500 - rows} " in shown
    assert "--format csv" in shown


def test_s10_a_page_with_little_on_it_leaves_nothing_out() -> None:
    shown = page(a_ledger(20, 2, "EC2"))
    assert shown.count('<td class="nowrap">INC-') == 40
    assert "--format csv" not in shown


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("one\n{{ ''.__class__ }}", "unsafe"),
        ("one\n{{ cycler }}", "undefined"),
        ("one\n{{ 'a'|attr('b') }}", "attr"),
        ("one\n{% for i in range(1000000) %}{% endfor %}", "range"),
        (
            "one\n{% for a in range(1000) %}{% for b in range(1000) %}"
            + "x" * 50
            + "{% endfor %}{% endfor %}",
            "",
        ),
        ("one\n{{ rows|safe }}", "safe"),
    ],
)
def test_s10_a_template_of_the_page_is_held_to_the_post_mortems_limits(
    tmp_path: Path, source: str, problem: str
) -> None:
    (tmp_path / TEMPLATE).write_text(source)
    with pytest.raises(Invalid) as raised:
        page(a_ledger(1, 1, "x"), tmp_path)
    assert raised.value.message.params["template"] == TEMPLATE
    assert raised.value.message.params["line"] == ("2" if problem else "1")  # a size is the whole file's
    assert problem in raised.value.message.params["problem"]


def test_s10_a_link_out_of_the_folder_is_no_page(tmp_path: Path) -> None:
    folder = tmp_path / "templates"
    folder.mkdir()
    (tmp_path / "secret.j2").write_text("secret")
    os.symlink(tmp_path / "secret.j2", folder / TEMPLATE)
    with pytest.raises(NotFound):
        page(a_ledger(1, 1, "x"), folder)
    with pytest.raises(NotFound):
        page(a_ledger(1, 1, "x"), tmp_path / "nowhere")


def test_s10_an_author_cannot_forget_to_escape_the_page(tmp_path: Path) -> None:
    for source in ("{{ rows[0][1][2] }}", "{{ 'a' ~ rows[0][1][2] }}", "{{ rows[0][1]|join }}"):
        (tmp_path / TEMPLATE).write_text(source)
        shown = page(a_ledger(1, 1, "<script>\u202e"), tmp_path)
        assert "&lt;script&gt;" in shown
        assert "<script" not in shown
        assert "\u202e" not in shown
