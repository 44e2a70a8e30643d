"""What people see in the fake Slack, and which mentions are live."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from twokey.demo.slack import (
    FakeSlack,
    Message,
    as_html,
    as_rich,
    as_text,
    live_mentions,
)
from twokey.demo.slack.mrkdwn import spans

from .fake_slack_bot import CARD, Bot

NAMES = {"U1": "ana", "C1": "incidents", "S1": "oncall"}


def styles(text: str) -> list[tuple[str, str]]:
    """Return each styled run with the names of its styles."""
    kinds = ("bold", "italic", "strike", "code", "quote")
    found = (
        (
            s.text,
            " ".join([k for k in kinds if getattr(s, k)] + [s.mention] * bool(s.mention)),
        )
        for s in spans(text, NAMES)
    )
    return [(words, style) for words, style in found if style]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("*bold* _slanted_ ~gone~ `code`", [("bold", "bold"), ("slanted", "italic"), ("gone", "strike"), ("code", "code")]),
        ("*bold _both_*", [("bold ", "bold"), ("both", "bold italic")]),
        ("a*b*c 2 * 3 * 4 snake_case_name", []),
        ("**not this**", []),
        ("`*plain*`", [("*plain*", "code")]),
        ("&gt; said\nnot", [("said", "quote")]),
        ("<@U1> <#C1> <!subteam^S1>", [("@ana", "user"), ("#incidents", "channel"), ("@oncall", "group")]),
        ("<!channel> &lt;!channel&gt;", [("@channel", "broadcast")]),
        ("`<!here>`", [("@here", "code broadcast")]),
        ("<https://a.example/?x=1&amp;y=2|here>", [("here", "link")]),
        ("see https://a.example/x.", [("https://a.example/x", "link")]),
        ("<not a thing>", []),
    ],
)  # fmt: skip
def test_mrkdwn_is_read_as_slack_reads_it(text: str, expected: list[tuple[str, str]]) -> None:
    assert styles(text) == expected


def test_entities_are_undone_once() -> None:
    assert as_text("&amp;lt;b&amp;gt; &lt;i&gt; &amp;", NAMES) == "&lt;b&gt; <i> &"


def test_escaped_mentions_are_dead_and_raw_ones_are_live() -> None:
    assert live_mentions("&lt;!channel&gt; &lt;@U1&gt; &lt;https://a.example|x&gt; ok") == list(
        live_mentions("https://a.example|x&gt;")
    )
    live = live_mentions("<!channel> <@U1|x> <!subteam^S1> `<!here>` <https://a.example|b> <mailto:a@b.c>")
    assert [(m.kind, m.target) for m in live] == [
        ("broadcast", "channel"),
        ("user", "U1"),
        ("group", "S1"),
        ("broadcast", "here"),
        ("link", "https://a.example"),
        ("link", "mailto:a@b.c"),
    ]


def test_mentions_are_found_wherever_mrkdwn_is_read() -> None:
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": {"type": "plain_text", "text": "<!channel>"}},
        {"type": "section", "fields": [{"type": "mrkdwn", "text": "x"}, {"type": "mrkdwn", "text": "<!here>"}]},
        {"type": "context", "elements": [{"type": "mrkdwn", "text": "https://a.example", "verbatim": True}]},
        {"type": "actions", "elements": [{"type": "button", "url": "https://b.example", "text": {}}]},
    ]  # fmt: skip
    assert [(m.kind, m.target, m.where) for m in live_mentions(blocks)] == [
        ("broadcast", "here", "/1/fields/1/text"),
        ("link", "https://b.example", "/3/elements/0/url"),
    ]
    message = Message("C1", "1.000100", "U1", text="<@U1>", blocks=blocks)
    assert live_mentions(message)[0].where == "/text"
    assert live_mentions("mail @channel", strict=True)[0].kind == "automatic"


def test_a_card_in_the_terminal_shows_what_a_person_sees(slack: FakeSlack, bot: Bot) -> None:
    ana, room = slack.add_user("ana", user_id="U1"), slack.add_channel("incidents")
    ana.command("/twokey", "declare", room)
    card = slack.wait_for(lambda: slack.messages(room))[0]
    text = slack.show(card, width=60)
    for words in (
        "twokey [APP]",
        "SEV2 · INC-12",
        "key `AKIA1` was used by @ana",
        "[ Contain… ]",
    ):
        assert words in text
    assert "*" not in text and "\x1b" not in text
    assert {len(line) for line in text.splitlines()} == {60}
    ana.click(card, "contain")
    view = slack.wait_for(lambda: slack.view_of(ana))
    ana.submit(view, {"typed": "wrong"})
    shown = slack.show(view)
    for words in (
        "Review plan",
        "[wrong]",
        "! That is not this account.",
        "[ Cancel ]  [ Turn my key ]",
    ):
        assert words in shown
    page = slack.page(room, ana)
    assert "That is not this account." in page and '<span class="app">APP</span>' in page
    console = Console(record=True, width=60, file=io.StringIO())
    console.print(as_rich(card, slack.names()))
    assert "Contain…" in console.export_text()


def test_the_page_escapes_everything_and_marks_live_mentions() -> None:
    text = '<!channel> &lt;!channel&gt; &lt;script&gt; <javascript:alert(1)|x"y> <@U1>'
    page = as_html([Message("C1", "1.000100", "U1", text=text)], {"U1": "<b>ana"}, channel="<i>")
    assert '<span class="mention broadcast">@channel</span>' in page
    assert "&lt;!channel&gt; &lt;script&gt;" in page
    assert "<script" not in page and "<b>ana" not in page and "<i>" not in page and "href" not in page
    assert '<span class="mention user">@&lt;b&gt;ana</span>' in page


def test_replies_are_indented_and_private_notes_say_so() -> None:
    first = Message("C1", "1.000100", "U1", text="first", thread_ts="1.000100")
    reply = Message("C1", "1.000300", "U1", text="reply", thread_ts="1.000100")
    other = Message("C1", "1.000200", "U1", text="other")
    note = Message("C1", "1.000400", "U1", blocks=CARD, ephemeral_to="U1")
    page = as_html([first, other, reply, note], NAMES)
    assert (
        page.index(">first<")
        < page.index(">reply<")
        < page.index(">other<")
        < page.index("Only visible to you")
    )
    assert 'class="message reply ' in page
    assert as_text(reply, NAMES).startswith("    ╭") and "Only visible to you" in as_text(note, NAMES)
