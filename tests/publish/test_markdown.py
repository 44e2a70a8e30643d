"""Attack S7 on the page: whatever a finding says, it reads as it was written and does nothing."""

import json
import re
import time
import unicodedata

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from twokey.publish.markdown import code, md, plain, visible, yaml_text

HOSTILE = {
    "channel": "<!channel> wake up",
    "user": "<@U0123ABC> approve",
    "link": "<https://evil.example|Approve>",
    "markdown link": "[Approve](https://evil.example)",
    "reference link": "[a][b]\n\n[b]: https://evil.example",
    "image": "![x](//evil.example/p.png)",
    "autolink": "see https://evil.example/x?y=1&z",
    "www": "see WWW.evil.example",
    "bare host": "see evil.example/approve",
    "mail": "write to ceo@evil.example",
    "mention": "@channel @here @everyone @acme/all",
    "full width mention": "＠channel",
    "issue": "closes #1 and acme/app#2",
    "html": "<script>alert(1)</script><img src=x onerror=y>",
    "html entity": "&lt;b&gt; &amp;#60;",
    "backticks": "``` ` `` x",
    "table": "a | b |\n| --- |",
    "heading": "# big\n===\n---",
    "list": "- a\n+ b\n1. c\n* d",
    "quote": "> q",
    "escape": "\\[x](y) \\",
    "liquid": "{{ site.x }} {% raw %}",
    "math": "$x$ $$y$$",
    "footnote": "[^1] ~~gone~~ __b__ _i_ **b**",
    "rtl": "user\u202egnp.exe",
    "isolates": "\u2066a\u2069\u200f\u061c",
    "zero width": "a\u200bb\u200dc\ufeffd\u2060e",
    "tags": "a\U000e0041\U000e007f",
    "selectors": "a\ufe0f\U000e0100",
    "nul": "a\x00b",
    "ansi": "\x1b[31mred\x1b[0m \x9b1m",
    "line ends": "a\r\nb\rc\x0bd\x0ce\x85f\u2028g\u2029h",
    "surrogate": "a\ud800b",
    "private": "a\ue000b",
    "filler": "a\u3164b\u115fc\uffa0",
}
LIVE = re.compile(r"[@＠][A-Za-z0-9_]|://|www\.[a-z]", re.I)


def read(page: str) -> tuple[str, str, set[str]]:
    """Let a real Markdown reader say what a person would see: all text, text outside code, and what it found."""
    seen, outside, kinds = [], [], set()
    for token in MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(page):
        kinds.add(token.type)
        for inner in token.children or []:
            kinds.add(inner.type)
            seen.append(inner.content)
            if inner.type != "code_inline":
                outside.append(inner.content)
    return "".join(seen), "".join(outside), kinds


def squeezed(text: str) -> str:
    return re.sub(r" +", " ", text).strip()


def check(text: str) -> None:
    shown = str(md(text))
    assert "\n" not in shown
    assert "{{" not in shown
    assert "{%" not in shown
    for page in (f"{shown}\n", f"say {shown} again\n"):
        seen, outside, kinds = read(page)
        assert kinds <= {"paragraph_open", "paragraph_close", "inline", "text", "code_inline"}, kinds
        assert squeezed(plain(text)) in squeezed(seen)
        assert not LIVE.search(outside)
    seen, outside, kinds = read(f"| a | b | c |\n| - | - | - |\n| x | {shown} | z |\n")
    assert kinds & {"link_open", "image", "html_inline", "em_open", "strong_open", "s_open"} == set()
    assert squeezed(seen) == squeezed(f"abcx{squeezed(plain(text))}z")


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_s7_hostile_text_reads_as_it_was_written_and_has_no_effect(text):
    check(text)


@given(st.text(max_size=300))
def test_s7_any_text_reads_as_it_was_written_and_has_no_effect(text):
    check(text)
    shown = str(md(text))
    assert not any(unicodedata.category(ch) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp") for ch in shown)


@given(st.text(alphabet="a`|\\<@:/.#-=+ *[]()!{}_~&;\n1", max_size=60))
def test_s7_any_mixture_of_marks_reads_as_it_was_written_and_has_no_effect(text):
    check(text)


def test_japanese_and_emoji_stay_as_they_are():
    assert md("鍵が公開されていました。至急、無効化します") == "鍵が公開されていました。至急、無効化します"
    assert visible("🔥 ok é ü 漢字") == "🔥 ok é ü 漢字"


def test_a_live_word_inside_japanese_is_code_and_the_rest_is_text():
    assert (
        md("担当は@aoiです。手順はhttps://x.example/aを参照")
        == "担当は`@aoi`です。手順は`https://x.example/a`を参照"
    )


def test_s7_a_title_of_a_megabyte_is_cut_and_says_so():
    before = time.perf_counter()
    shown = md("A" * 1_000_000)
    assert len(shown) < 1100
    assert "(+999000)" in shown
    assert time.perf_counter() - before < 0.5


@pytest.mark.parametrize(
    "unit", ["a", "あ", " a", "a ", "[", "\\", "`", "@", "a.", "(", "あ ", "、", "0", "="]
)
def test_no_text_is_slow_to_escape(unit):
    before = time.perf_counter()
    md(unit * 1000)
    md(unit * 999 + "\x00")
    code(unit * 1000 + "`")
    plain(unit * 100_000)
    assert time.perf_counter() - before < 0.5


@given(st.text(max_size=200))
def test_front_matter_values_are_read_back_as_the_same_visible_text(text):
    value = str(yaml_text(text))
    assert yaml.safe_load(f"title: {value}") == {"title": plain(text)}
    assert "<" not in value
    assert "{" not in value
    assert "\n" not in value
    assert json.loads(value) == plain(text)


def test_a_code_span_cannot_be_left():
    assert code("arn:aws:iam::111122223333:user/a_b") == "`arn:aws:iam::111122223333:user/a_b`"
    assert "`" not in str(code("a`b`c")).replace("&#96;", "")
    assert code("a|b") == "a\\|b"
    assert code('{"Effect":"Deny","Action":"*"}') == '`{"Effect":"Deny","Action":"*"}`'
    assert "{{" not in code("{{ x }}")
    assert "{%" not in code("{% x %}")
    assert code("") == ""
